"""What every layout method must do; new files in layouts/ are picked up by themselves."""

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import Cohort
from expressionist.errors import CohortError
from expressionist.painting.layout import Layout, square_shape
from expressionist.painting.layouts import find_layout, place_genes
from expressionist.params import list_layouts

# The null may put a gene anywhere; every other method goes by what it knows of the gene.
GOES_BY_GENES = [name for name in list_layouts() if name != "random"]
SHAPES = [(1, 1), (1, 30), (30, 1), (5, 6), (4, 9), (9, 4), (3, 7), (7, 7), (2, 3)]


def make_genes(n_genes, rng):
    return pd.DataFrame(
        {
            "symbol": [f"S{number}" for number in range(n_genes)],
            "chromosome": rng.choice(["1", "2", "10", "X", "MT"], n_genes),
            "start": rng.permutation(10 * n_genes)[:n_genes],
        },
        index=pd.Index([f"g{number}" for number in rng.permutation(n_genes)], name="gene"),
    )


def make_expression(n_samples, n_genes, rng):
    programmes = rng.normal(size=(n_samples, 4)) @ rng.normal(size=(4, n_genes))
    expression = programmes + 0.5 * rng.normal(size=(n_samples, n_genes))
    return ((expression - expression.min(axis=0)) / np.ptp(expression, axis=0)).astype(np.float32)


def group_genes(n_genes):
    """Every third gene in a set of its own by symbol, every second in one by id; the others in none."""
    return {
        "thirds": [f"S{number}" for number in range(0, n_genes, 3)],
        "halves": [f"g{number}" for number in range(0, n_genes, 2)],
        "elsewhere": ["S-1"],
    }


def place(method, expression, genes, shape, seed=1):
    options = {"gene_sets": group_genes(len(genes))} if method == "pathway" else {}
    return place_genes(method, expression, genes, shape, np.random.default_rng(seed), **options)


@pytest.fixture(params=list_layouts())
def method(request):
    return request.param


@pytest.mark.parametrize("n_genes", [1, 2, 3, 30])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_gene_is_placed_and_pixels_are_filled_evenly(method, shape, n_genes):
    rng = np.random.default_rng(n_genes)
    genes = make_genes(n_genes, rng)
    pixel = place(method, make_expression(9, n_genes, rng), genes, shape)
    assert pixel.shape == (n_genes,)
    assert pixel.dtype == np.intp
    overlap = Layout(genes.index.to_numpy(), pixel, shape, method).overlap
    assert overlap.sum() == n_genes
    assert overlap.max() - overlap.min() <= 1


def test_same_seed_same_pixels(method):
    rng = np.random.default_rng(5)
    genes, expression = make_genes(60, rng), make_expression(12, 60, rng)
    first, again = (place(method, expression, genes, (8, 8)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_inputs_are_left_alone(method):
    rng = np.random.default_rng(6)
    genes, expression = make_genes(30, rng), make_expression(12, 30, rng)
    genes_before, expression_before = genes.copy(), expression.copy()
    place(method, expression, genes, (6, 6))
    np.testing.assert_array_equal(expression, expression_before)
    pd.testing.assert_frame_equal(genes, genes_before)


@pytest.mark.parametrize("method", GOES_BY_GENES)
@pytest.mark.parametrize("n_genes", [7, 60])
@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (4, 4)])
def test_order_of_genes_does_not_matter(method, n_genes, shape):
    rng = np.random.default_rng(7)
    genes, expression = make_genes(n_genes, rng), make_expression(12, n_genes, rng)
    shuffled = rng.permutation(n_genes)
    pixel = place(method, expression, genes, shape)
    again = place(method, expression[:, shuffled], genes.iloc[shuffled], shape)
    np.testing.assert_array_equal(again, pixel[shuffled])


@pytest.mark.parametrize("which", ["all constant", "some constant", "duplicates", "one sample", "two values"])
def test_poor_expression_is_placed_too(method, which):
    rng = np.random.default_rng(8)
    genes, expression = make_genes(50, rng), make_expression(10, 50, rng)
    if which == "all constant":
        expression[:] = 0.1
    elif which == "some constant":
        expression[:, ::3] = 0.1
    elif which == "duplicates":
        expression[:, 1:40] = expression[:, :1]
    elif which == "one sample":
        expression = expression[:1]
    else:
        expression = expression.round()
    pixel = place(method, expression, genes, (8, 8))
    assert len(set(pixel.tolist())) == 50


def test_only_the_rows_given_are_seen(method):
    # Training rows come as a view of the whole matrix, and other rows were laid out in between.
    rng = np.random.default_rng(9)
    genes, expression = make_genes(40, rng), make_expression(20, 40, rng)
    alone = place(method, expression[:14].copy(), genes, (7, 7))
    place(method, expression[14:], genes, (7, 7))
    expression[14:] = np.nan
    np.testing.assert_array_equal(place(method, expression[:14], genes, (7, 7)), alone)


def test_a_cohort_can_be_painted(method):
    rng = np.random.default_rng(10)
    genes, expression = make_genes(12, rng), make_expression(5, 12, rng)
    samples = pd.DataFrame({"patient": list("abcde"), "tumour_type": "UVM"}, index=list("abcde"))
    cohort = Cohort("toy", expression, samples, genes, "TPM")
    shape = square_shape(12)
    layout = Layout(cohort.genes.index.to_numpy(), place(method, expression, genes, shape), shape, method)
    images = layout.paint(cohort.expression)
    for gene, row, column in zip(range(12), layout.row, layout.column, strict=True):
        np.testing.assert_array_equal(images[:, row, column, 0], expression[:, gene])


def test_module_says_what_it_is(method):
    layout = find_layout(method)
    assert layout.__doc__
    assert layout.place.__doc__


def test_wrong_number_of_columns_is_refused(method):
    rng = np.random.default_rng(11)
    with pytest.raises(CohortError, match=r"must be \(n_samples, 5\), but got \(3, 4\)"):
        place(method, make_expression(3, 4, rng), make_genes(5, rng), (3, 3))


def test_nan_is_refused_by_gene(method):
    rng = np.random.default_rng(12)
    genes, expression = make_genes(9, rng), make_expression(4, 9, rng)
    expression[2, 5] = np.nan
    with pytest.raises(CohortError, match=f"1 genes have NaN or infinite values: {genes.index[5]}"):
        place(method, expression, genes, (3, 3))
