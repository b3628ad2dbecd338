"""The layout methods, each by what it alone promises."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.painting.layouts.made_up import draw_modules, name_genes

from expressionist.errors import CohortError, ParamsError
from expressionist.painting.layout_score import score_layout
from expressionist.painting.layouts import chromosome, coexpression, find_layout, place_genes, random
from expressionist.painting.layouts._curve import spread_along, trace_curve
from expressionist.params import list_layouts


def correlate_neighbours(expression, pixel, shape):
    return score_layout(expression, pixel, shape)["neighbour_correlation"]


UNKNOWN = ["hilbert", "_curve", "", "random.place", "os"]
embedding = pytest.mark.parametrize("name", ["pca", "tsne", "umap"])


def rng():
    return np.random.default_rng(1)


def draw_genes(n_genes, seed=4):
    """Nine samples of genes that vary, but for the third and the eleventh after the first."""
    expression = np.random.default_rng(seed).random((9, n_genes)).astype(np.float32)
    expression[:, [3, 11]] = 0.1
    return expression, name_genes(n_genes)


def test_names_are_words_for_params_yaml():
    assert list_layouts() == sorted(list_layouts())
    assert all(name.isidentifier() and not name.startswith("_") for name in list_layouts())
    assert {"chromosome", "coexpression", "random"} <= set(list_layouts())


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        *((name, (2, 2), {}, "one of .*coexpression.*, but got") for name in UNKNOWN),
        *(("random", shape, {}, "at least one pixel") for shape in [(0, 3), (3, 0), (-1, 2)]),
        ("random", (2, 2), {"perplexity": 30}, "random has no key 'perplexity'. Its keys are none at all."),
        ("tsne", (2, 2), {"perplexity": 0}, "layout: tsne: perplexity must be 1 or more, but got 0"),
        ("umap", (2, 2), {"n_neighbours": 0}, "layout: umap: n_neighbours must be 2 or more, but got 0"),
        ("pca", (1, 2), {"overlap": "mean"}, "overlap must be one of single, average, but got 'mean'"),
        *(
            (name, (1, 2), {"overlap": "average"}, f"with {name}. Choose single, or one of pca, tsne, umap.")
            for name in ("random", "coexpression", "igtd")
        ),
        *(
            ("pathway", (2, 2), {"gene_sets": given}, f"pathway: gene_sets must .* but got {given!r}")
            for given in (None, "sets.gmt", 3)
        ),
    ],
)
def test_what_makes_no_sense_is_refused(name, shape, options, message):
    with pytest.raises(ParamsError, match=message):
        place_genes(name, np.eye(2, dtype="f4"), name_genes(2), shape, rng(), **options)


@pytest.mark.parametrize(
    ("chromosomes", "start", "pixel"),
    [
        (["MT", "Y", "X", "22", "10", "2", "1", "GL000192.1"], 1, [6, 5, 4, 3, 2, 1, 0, 7]),
        ("7", ["900", "1000", "90"], [1, 2, 0]),
        (["chr2", "CHR10", "chrx", "chrM"], 1, [0, 1, 2, 3]),
        ([" 2", "10 ", "x", "m"], 1, [0, 1, 2, 3]),
        ([10.0, np.nan, 2.0], 1, [1, 2, 0]),
        (["3", None, "2", "", "1", pd.NA], [5, 6, np.nan, 8, 9, np.nan], [1, 2, 3, 4, 0, 5]),
    ],
    ids=["natural order", "by start as a number", "spelt", "spaced", "numbers", "without position last"],
)
def test_genes_run_by_chromosome_and_start(chromosomes, start, pixel):
    genes = pd.DataFrame({"chromosome": chromosomes, "start": start})
    np.testing.assert_array_equal(chromosome.place(np.zeros((1, len(genes))), genes, (2, 4), rng()), pixel)


@pytest.mark.parametrize("lacking", ["chromosome", "start"])
def test_positions_must_be_there(lacking):
    genes = pd.DataFrame({"chromosome": ["1"], "start": [1]}).drop(columns=lacking)
    with pytest.raises(CohortError, match=rf"but lacks {lacking}\. Give a table of positions"):
        chromosome.place(np.zeros((1, 1)), genes, (1, 1), rng())


def test_modules_of_genes_stay_together():
    module = np.random.default_rng(2).permutation(np.repeat(np.arange(16), 16))
    expression, genes, shape = draw_modules(module), name_genes(256), (16, 16)
    pixel = coexpression.place(expression, genes, shape, rng())
    along = module[np.argsort(np.argsort(trace_curve(shape))[pixel])]
    # 16 modules in 16 unbroken runs.
    assert np.count_nonzero(np.diff(along)) == 15
    assert correlate_neighbours(expression, pixel, shape) > 0.6
    assert abs(correlate_neighbours(expression, random.place(expression, genes, shape, rng()), shape)) < 0.1


def test_a_gradient_of_genes_is_unrolled():
    # Every gene peaks a little later than the one before: the order is known, up to its direction.
    time, peak = np.linspace(0, 1, 60)[:, None], np.linspace(0, 1, 100)[None]
    expression = np.exp(-((time - peak) ** 2) / 0.02).astype(np.float32)
    shuffled = np.random.default_rng(3).permutation(100)
    pixel = coexpression.place(expression[:, shuffled], name_genes(100).iloc[shuffled], (1, 100), rng())
    order = shuffled[np.argsort(pixel)]
    assert np.abs(np.diff(order)).mean() < 3


def test_constant_genes_come_last_on_the_curve():
    pixel = coexpression.place(*draw_genes(20), (4, 5), rng())
    np.testing.assert_array_equal(pixel[[3, 11]], trace_curve((4, 5))[-2:])


def test_ids_that_are_numbers_are_fine():
    expression = np.random.default_rng(5).random((9, 20)).astype(np.float32)
    words, numbers = (
        coexpression.place(expression, pd.DataFrame(index=ids), (4, 5), rng())
        for ids in ([str(number) for number in range(20)], range(20))
    )
    np.testing.assert_array_equal(words, numbers)


def test_random_depends_on_the_seed_alone():
    genes = pd.DataFrame(index=range(50))
    first, again, other = (
        random.place(np.full((1, 50), value), genes, (8, 8), np.random.default_rng(seed))
        for value, seed in ((0, 1), (1, 1), (0, 2))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_curve_of_a_square_is_hilberts():
    np.testing.assert_array_equal(trace_curve((4, 4)), [0, 1, 5, 4, 8, 12, 13, 9, 10, 14, 15, 11, 7, 6, 2, 3])


def test_curve_keeps_stretches_together():
    # A stretch of n pixels on the walk stays within twice sqrt(n); row by row it would span the image.
    row, column = np.divmod(trace_curve((102, 102)), 102)
    for n_pixels in (16, 100, 1024):
        starts = np.arange(0, 102 * 102 - n_pixels, n_pixels)
        extent = [max(np.ptp(row[s : s + n_pixels]), np.ptp(column[s : s + n_pixels])) + 1 for s in starts]
        assert np.mean(extent) < 2 * np.sqrt(n_pixels)


def test_crowded_path_shares_pixels_between_neighbours():
    np.testing.assert_array_equal(spread_along(np.array([5, 7]), np.array([3, 1, 0, 2])), [7, 5, 7, 5])


@embedding
@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (17, 17)])
def test_embedded_genes_of_a_module_stay_together(name, shape):
    module = np.random.default_rng(6).permutation(np.repeat(np.arange(8), 32))
    expression = draw_modules(module)
    pixel = place_genes(name, expression, name_genes(256), shape, rng())
    # 8 modules of 32 genes: two neighbours in three belong to one module where each is a patch of 4 × 8.
    assert correlate_neighbours(expression, pixel, shape) > 0.55


@embedding
def test_constant_genes_of_an_embedding_lie_at_the_rim(name):
    row, column = np.divmod(place_genes(name, *draw_genes(49), (7, 7), rng())[[3, 11]], 7)
    assert (np.maximum(abs(row - 3), abs(column - 3)) == 3).all()


@pytest.mark.parametrize(("name", "option"), [("tsne", "perplexity"), ("umap", "n_neighbours")])
def test_options_count(name, option):
    few, many, too_many = (
        place_genes(name, *draw_genes(100), (10, 10), rng(), **{option: value}) for value in (3, 30, 10_000)
    )
    assert (few != many).any()
    assert len(set(too_many.tolist())) == 100


@embedding
@pytest.mark.parametrize("shape", [(10, 10), (3, 40), (1, 5), (7, 1), (1, 1)])
def test_averaged_genes_lie_where_their_points_fall(name, shape):
    expression, genes = draw_genes(60)
    pixel = place_genes(name, expression, genes, shape, rng(), overlap="average")
    embedding = find_layout(name).embed(expression, genes, rng())
    assert sorted(embedding.embedded) == [gene for gene in range(60) if gene not in (3, 11)]
    for axis, side, strip in ((0, shape[1], pixel % shape[1]), (1, shape[0], pixel // shape[1])):
        points = embedding.points[:, axis]
        edges = np.linspace(points.min(), points.max(), side + 1)
        expected = np.searchsorted(edges[1:-1], points, side="right")
        # Points within rounding of an edge may fall on either side of it.
        clear = np.abs(points[:, None] - edges[1:-1]).min(axis=1, initial=np.inf) > 1e-9
        np.testing.assert_array_equal(strip[embedding.embedded][clear], expected[clear])
    assert pixel[3] == pixel[11]
    if shape == (10, 10):
        assert pixel[3] not in pixel[embedding.embedded]


# Curve and spreading on any shape.


sides = st.integers(1, 60)
few = settings(deadline=None)


@few
@given(sides, sides)
def test_curve_visits_every_pixel_once_in_single_steps(height, width):
    path = trace_curve((height, width))
    np.testing.assert_array_equal(np.sort(path), np.arange(height * width))
    row, column = np.divmod(path, width)
    steps = np.abs(np.diff(row)) + np.abs(np.diff(column))
    far = np.maximum(np.abs(np.diff(row)), np.abs(np.diff(column)))
    assert np.all(far == 1)
    n_diagonal = np.count_nonzero(steps == 2)
    assert n_diagonal <= 1
    assert n_diagonal == 0 or height % 2 or width % 2


@few
@given(st.integers(1, 80), st.integers(1, 40), st.randoms(use_true_random=False))
def test_spreading_is_even_and_keeps_the_order(n_genes, n_pixels, shuffler):
    order, path = list(range(n_genes)), list(range(n_pixels))
    shuffler.shuffle(order)
    shuffler.shuffle(path)
    pixel = spread_along(np.array(path), np.array(order))
    overlap = np.bincount(pixel, minlength=n_pixels)
    assert overlap.max() - overlap.min() <= 1
    step_of = {place: step for step, place in enumerate(path)}
    steps = [step_of[pixel[gene]] for gene in order]
    assert steps == sorted(steps)
    assert steps[0] == 0
