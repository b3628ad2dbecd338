"""What every layout method must do; new files in layouts/ are picked up by themselves."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.painting.layouts.made_up import draw_programmes

from expressionist.errors import CohortError
from expressionist.painting.layout import Layout, square_shape
from expressionist.painting.layouts import find_layout, place_genes
from expressionist.params import list_layouts
from rounds import count_rounds

# The null may put a gene anywhere; every other method goes by what it knows of the gene.
GOES_BY_GENES = [name for name in list_layouts() if name != "random"]
AVERAGING = [name for name in list_layouts() if hasattr(find_layout(name), "embed")]
SHAPES = [(1, 1), (1, 30), (30, 1), (5, 6), (4, 9), (9, 4), (3, 7), (7, 7), (2, 3)]
POOR = {
    "all constant": lambda expression: np.full_like(expression, 0.1),
    "some constant": lambda expression: np.where(np.arange(50) % 3, expression, np.float32(0.1)),
    "duplicates": lambda expression: expression[:, np.r_[np.zeros(40, int), 40:50]],
    "one sample": lambda expression: expression[:1],
    "two values": np.round,
}


def make_genes(n_genes, rng):
    return pd.DataFrame(
        {
            "symbol": [f"S{number}" for number in range(n_genes)],
            "chromosome": rng.choice(["1", "2", "10", "X", "MT"], n_genes),
            "start": rng.permutation(10 * n_genes)[:n_genes],
        },
        index=pd.Index([f"g{number}" for number in rng.permutation(n_genes)], name="gene"),
    )


def draw(n_samples, n_genes, seed=5):
    """Scaled expression, and its gene table in any order."""
    expression = draw_programmes(n_samples, n_genes, seed)
    scaled = (expression - expression.min(axis=0)) / np.ptp(expression, axis=0)
    return scaled, make_genes(n_genes, np.random.default_rng(seed))


@st.composite
def tables(draw):
    """Scaled expression with constant and equal genes, and its gene table."""
    n_samples, n_genes = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    expression = rng.random((n_samples, n_genes)).astype(np.float32)
    if draw(st.booleans()):
        expression = expression.round()
    expression = expression[:, rng.integers(0, draw(st.integers(1, n_genes)), n_genes)]
    expression[:, rng.random(n_genes) < draw(st.sampled_from([0, 0.3, 1]))] = 0.5
    return expression, make_genes(n_genes, rng)


# For every method anew.
few = settings(
    max_examples=count_rounds(5, 12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def place(method, expression, genes, shape, **options):
    if method == "pathway":
        # Every third gene in a set of its own by symbol, every second in one by id; the others in none.
        thirds = [f"S{number}" for number in range(0, len(genes), 3)]
        halves = [f"g{number}" for number in range(0, len(genes), 2)]
        options["gene_sets"] = {"thirds": thirds, "halves": halves, "elsewhere": ["S-1"]}
    return place_genes(method, expression, genes, shape, np.random.default_rng(1), **options)


def assert_even(pixel, shape, n_genes):
    assert pixel.shape == (n_genes,)
    assert pixel.dtype == np.intp
    overlap = np.bincount(pixel, minlength=shape[0] * shape[1])
    assert len(overlap) == shape[0] * shape[1]
    assert np.ptp(overlap) <= 1


@pytest.fixture(params=list_layouts())
def method(request):
    return request.param


@pytest.mark.parametrize("n_genes", [1, 2, 3, 30])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_gene_is_placed_and_pixels_are_filled_evenly(method, shape, n_genes):
    assert_even(place(method, *draw(9, n_genes), shape), shape, n_genes)


@few
@given(tables(), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["free", "row", "column"]))
def test_any_expression_fills_any_shape_evenly_and_is_left_alone(method, table, height, width, form):
    shape = {"free": (height, width), "row": (1, height * width), "column": (height * width, 1)}[form]
    expression, genes = (each.copy() for each in table)
    assert_even(place(method, *table, shape), shape, len(genes))
    np.testing.assert_array_equal(table[0], expression)
    pd.testing.assert_frame_equal(table[1], genes)


@pytest.mark.parametrize("method", AVERAGING)
@few
@given(tables(), st.integers(1, 9), st.integers(1, 9))
def test_averaged_genes_stay_on_the_image(method, table, height, width):
    pixel = place(method, *table, (height, width), overlap="average")
    assert pixel.shape == (len(table[1]),)
    assert pixel.min() >= 0
    assert pixel.max() < height * width


@few
@given(tables(), st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
def test_the_gene_that_is_not_finite_is_named(method, table, value, data):
    expression, genes = table
    gene = data.draw(st.integers(0, len(genes) - 1))
    expression[data.draw(st.integers(0, len(expression) - 1)), gene] = value
    with pytest.raises(CohortError, match=f"1 genes have NaN or infinite values: {genes.index[gene]}\\."):
        place(method, expression, genes, (5, 9))


def test_same_seed_same_pixels(method):
    first, again = (place(method, *draw(12, 60), (8, 8)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("method", GOES_BY_GENES)
@pytest.mark.parametrize("n_genes", [7, 60])
@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (4, 4)])
def test_order_of_genes_does_not_matter(method, n_genes, shape):
    expression, genes = draw(12, n_genes)
    shuffled = np.random.default_rng(7).permutation(n_genes)
    pixel = place(method, expression, genes, shape)
    again = place(method, expression[:, shuffled], genes.iloc[shuffled], shape)
    np.testing.assert_array_equal(again, pixel[shuffled])


@pytest.mark.parametrize("which", POOR)
def test_poor_expression_is_placed_too(method, which):
    expression, genes = draw(10, 50)
    assert len(set(place(method, POOR[which](expression), genes, (8, 8)).tolist())) == 50


def test_only_the_rows_given_are_seen(method):
    # Training rows come as a view of the whole matrix, and other rows were laid out in between.
    expression, genes = draw(20, 40)
    alone = place(method, expression[:14].copy(), genes, (7, 7))
    place(method, expression[14:], genes, (7, 7))
    expression[14:] = np.nan
    np.testing.assert_array_equal(place(method, expression[:14], genes, (7, 7)), alone)


def test_a_cohort_can_be_painted(method):
    expression, genes = draw(5, 12)
    shape = square_shape(12)
    layout = Layout(genes.index.to_numpy(), place(method, expression, genes, shape), shape, method)
    images = layout.paint(expression)
    np.testing.assert_array_equal(images[:, layout.row, layout.column, 0], expression)


def test_wrong_number_of_columns_is_refused(method):
    with pytest.raises(CohortError, match=r"must be \(n_samples, 5\), but got \(3, 4\)"):
        place(method, draw(3, 4)[0], draw(3, 5)[1], (3, 3))
