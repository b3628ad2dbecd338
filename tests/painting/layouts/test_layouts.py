"""The layout methods, each by what it alone promises."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.errors import CohortError, ParamsError
from expressionist.painting.layouts import chromosome, coexpression, find_layout, place_genes, random
from expressionist.painting.layouts._curve import spread_along, trace_curve
from expressionist.params import list_layouts
from rounds import count_rounds


def correlate_neighbours(expression, pixel, shape):
    """Mean correlation of genes on pixels beside or above one another."""
    image = np.full(shape[0] * shape[1], -1)
    image[pixel] = np.arange(len(pixel))
    image = image.reshape(shape)
    correlation = np.corrcoef(expression.T)
    pairs = np.concatenate(
        [
            np.stack([image[:, :-1].ravel(), image[:, 1:].ravel()]),
            np.stack([image[:-1].ravel(), image[1:].ravel()]),
        ],
        axis=1,
    )
    pairs = pairs[:, (pairs >= 0).all(axis=0)]
    return correlation[pairs[0], pairs[1]].mean()


def rng():
    return np.random.default_rng(1)


def draw_genes(n_genes, seed=4):
    """Nine samples of genes that vary, but for the third and the eleventh after the first."""
    expression = np.random.default_rng(seed).random((9, n_genes)).astype(np.float32)
    expression[:, [3, 11]] = 0.1
    return expression, pd.DataFrame(index=[f"g{number:02d}" for number in range(n_genes)])


two_genes = pd.DataFrame(index=["a", "b"])


def test_names_are_words_for_params_yaml():
    assert list_layouts() == sorted(list_layouts())
    assert all(name.isidentifier() and not name.startswith("_") for name in list_layouts())
    assert {"chromosome", "coexpression", "random"} <= set(list_layouts())


@pytest.mark.parametrize("name", ["hilbert", "_curve", "", "random.place", "os"])
def test_unknown_method_is_refused(name):
    with pytest.raises(ParamsError, match="must be one of .*coexpression.*, but got"):
        find_layout(name)


def test_unknown_option_is_refused():
    with pytest.raises(
        ParamsError, match="layout: random has no key 'perplexity'. Its keys are none at all."
    ):
        place_genes("random", np.zeros((1, 2)), two_genes, (2, 2), rng(), perplexity=30)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (-1, 2)])
def test_image_without_pixels_is_refused(shape):
    with pytest.raises(ParamsError, match="at least one pixel"):
        place_genes("random", np.zeros((1, 2)), two_genes, shape, rng())


def test_chromosomes_run_in_their_natural_order():
    names = ["MT", "Y", "X", "22", "10", "2", "1", "GL000192.1"]
    genes = pd.DataFrame({"chromosome": names, "start": 1})
    pixel = chromosome.place(np.zeros((1, 8)), genes, (2, 4), rng())
    assert [names[gene] for gene in np.argsort(pixel)] == ["1", "2", "10", "22", "X", "Y", "MT", "GL000192.1"]


def test_genes_of_a_chromosome_run_by_start_as_a_number():
    genes = pd.DataFrame({"chromosome": "7", "start": ["900", "1000", "90"]})
    np.testing.assert_array_equal(chromosome.place(np.zeros((1, 3)), genes, (1, 3), rng()), [1, 2, 0])


@pytest.mark.parametrize("names", [["chr2", "CHR10", "chrx", "chrM"], [" 2", "10 ", "x", "m"]])
def test_spellings_of_chromosomes(names):
    genes = pd.DataFrame({"chromosome": names, "start": 1})
    np.testing.assert_array_equal(chromosome.place(np.zeros((1, 4)), genes, (2, 2), rng()), [0, 1, 2, 3])


def test_chromosomes_read_as_numbers():
    genes = pd.DataFrame({"chromosome": [10.0, np.nan, 2.0], "start": [1, 1, 1]})
    np.testing.assert_array_equal(chromosome.place(np.zeros((1, 3)), genes, (1, 3), rng()), [1, 2, 0])


def test_genes_without_position_come_last_in_their_order():
    genes = pd.DataFrame(
        {"chromosome": ["3", None, "2", "", "1", pd.NA], "start": [5, 6, np.nan, 8, 9, np.nan]}
    )
    np.testing.assert_array_equal(
        chromosome.place(np.zeros((1, 6)), genes, (2, 3), rng()), [1, 2, 3, 4, 0, 5]
    )


@pytest.mark.parametrize("lacking", ["chromosome", "start"])
def test_positions_must_be_there(lacking):
    genes = pd.DataFrame({"chromosome": ["1"], "start": [1]}).drop(columns=lacking)
    with pytest.raises(CohortError, match=rf"but lacks {lacking}\. Give a table of positions"):
        chromosome.place(np.zeros((1, 1)), genes, (1, 1), rng())


def test_modules_of_genes_stay_together():
    shuffle = np.random.default_rng(2)
    profiles = shuffle.normal(size=(30, 16))
    module = shuffle.permutation(np.repeat(np.arange(16), 16))
    expression = profiles[:, module] + 0.3 * shuffle.normal(size=(30, 256))
    genes = pd.DataFrame(index=[f"g{number}" for number in range(256)])
    pixel = coexpression.place(expression.astype(np.float32), genes, (16, 16), rng())
    along = module[np.argsort(np.argsort(trace_curve((16, 16)))[pixel])]
    # 16 modules in 16 unbroken runs.
    assert np.count_nonzero(np.diff(along)) == 15
    null = random.place(expression, genes, (16, 16), rng())
    assert correlate_neighbours(expression, pixel, (16, 16)) > 0.6
    assert abs(correlate_neighbours(expression, null, (16, 16))) < 0.1


def test_a_gradient_of_genes_is_unrolled():
    # Every gene peaks a little later than the one before: the order is known, up to its direction.
    time, peak = np.linspace(0, 1, 60)[:, None], np.linspace(0, 1, 100)[None]
    expression = np.exp(-((time - peak) ** 2) / 0.02).astype(np.float32)
    shuffled = np.random.default_rng(3).permutation(100)
    genes = pd.DataFrame(index=[f"g{number:03d}" for number in shuffled])
    pixel = coexpression.place(expression[:, shuffled], genes, (1, 100), rng())
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


@pytest.mark.parametrize("name", ["pca", "tsne", "umap"])
@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (17, 17)])
def test_embedded_genes_of_a_module_stay_together(name, shape):
    shuffle = np.random.default_rng(6)
    profiles = shuffle.normal(size=(30, 8))
    module = shuffle.permutation(np.repeat(np.arange(8), 32))
    expression = (profiles[:, module] + 0.3 * shuffle.normal(size=(30, 256))).astype(np.float32)
    genes = pd.DataFrame(index=[f"g{number:03d}" for number in range(256)])
    pixel = find_layout(name).place(expression, genes, shape, rng())
    # 8 modules of 32 genes: two neighbours in three belong to one module where each is a patch of 4 × 8.
    assert correlate_neighbours(expression, pixel, shape) > 0.55


@pytest.mark.parametrize("name", ["pca", "tsne", "umap"])
def test_constant_genes_of_an_embedding_lie_at_the_rim(name):
    row, column = np.divmod(find_layout(name).place(*draw_genes(49), (7, 7), rng())[[3, 11]], 7)
    assert (np.maximum(abs(row - 3), abs(column - 3)) == 3).all()


@pytest.mark.parametrize(("name", "option"), [("tsne", "perplexity"), ("umap", "n_neighbours")])
def test_options_count_and_are_checked(name, option):
    expression = np.random.default_rng(8).random((9, 100)).astype(np.float32)
    genes = pd.DataFrame(index=[f"g{number:02d}" for number in range(100)])
    few, many, too_many = (
        place_genes(name, expression, genes, (10, 10), rng(), **{option: value}) for value in (3, 30, 10_000)
    )
    assert (few != many).any()
    assert len(set(too_many.tolist())) == 100
    with pytest.raises(ParamsError, match=f"layout: {name}: {option} must be . or more, but got 0"):
        place_genes(name, expression, genes, (10, 10), rng(), **{option: 0})


@pytest.mark.parametrize("name", ["pca", "tsne", "umap"])
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


@pytest.mark.parametrize("name", ["pca", "tsne"])
@pytest.mark.parametrize("expression", [np.ones((4, 12), "f4"), np.repeat(np.eye(3, dtype="f4"), 4, axis=1)])
def test_poor_expression_is_averaged_too(name, expression):
    pixel = place_genes(name, expression, pd.DataFrame(index=range(12)), (3, 4), rng(), overlap="average")
    assert pixel.min() >= 0
    assert pixel.max() < 12


@pytest.mark.parametrize("name", ["random", "coexpression", "igtd"])
def test_methods_without_points_cannot_average(name):
    with pytest.raises(ParamsError, match=f"average with {name}. Choose single, or one of pca, tsne, umap."):
        place_genes(name, np.eye(2, dtype="f4"), two_genes, (1, 2), rng(), overlap="average")


def test_overlap_is_one_of_two_words():
    with pytest.raises(ParamsError, match="overlap must be one of single, average, but got 'mean'"):
        place_genes("pca", np.eye(2, dtype="f4"), two_genes, (1, 2), rng(), overlap="mean")


# Curve, spreading and every layout method on any shape.


sides = st.integers(1, 60)
few = settings(deadline=None)
# For every method anew.
fewer = settings(max_examples=count_rounds(5, 12), deadline=None)
methods = pytest.mark.parametrize("method", list_layouts())
averaging = pytest.mark.parametrize(
    "method", [name for name in list_layouts() if hasattr(find_layout(name), "embed")]
)


@st.composite
def tables(draw):
    """Scaled expression with constant and equal genes, its gene table, and the options of methods."""
    n_samples, n_genes = draw(st.integers(1, 12)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    expression = rng.random((n_samples, n_genes)).astype(np.float32)
    if draw(st.booleans()):
        expression = expression.round()
    expression = expression[:, rng.integers(0, draw(st.integers(1, n_genes)), n_genes)]
    expression[:, rng.random(n_genes) < draw(st.sampled_from([0, 0.3, 1]))] = 0.5
    genes = pd.DataFrame(
        {"chromosome": rng.choice(["1", "X"], n_genes), "start": rng.integers(0, 9, n_genes)},
        index=[f"g{number}" for number in rng.permutation(n_genes)],
    )
    gene_sets = {"some": ["g0", *genes.index[rng.random(n_genes) < 0.5]], "others": genes.index[::3].tolist()}
    return expression, genes, {"pathway": {"gene_sets": gene_sets}}


@methods
@fewer
@given(tables(), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["free", "row", "column"]))
def test_any_method_fills_any_shape_evenly(method, table, height, width, form):
    expression, genes, options = table
    shape = {"free": (height, width), "row": (1, height * width), "column": (height * width, 1)}[form]
    before = expression.copy()
    pixel = place_genes(method, expression, genes, shape, np.random.default_rng(1), **options.get(method, {}))
    overlap = np.bincount(pixel, minlength=height * width)
    assert len(overlap) == height * width
    assert overlap.sum() == len(genes)
    assert overlap.max() - overlap.min() <= 1
    np.testing.assert_array_equal(expression, before)


@averaging
@fewer
@given(tables(), st.integers(1, 9), st.integers(1, 9))
def test_averaged_genes_stay_on_the_image(method, table, height, width):
    expression, genes, _ = table
    pixel = place_genes(
        method, expression, genes, (height, width), np.random.default_rng(1), overlap="average"
    )
    assert pixel.shape == (len(genes),)
    assert pixel.min() >= 0
    assert pixel.max() < height * width


@methods
@fewer
@given(tables(), st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
def test_any_method_names_the_gene_that_is_not_finite(method, table, value, data):
    expression, genes, options = table
    sample = data.draw(st.integers(0, len(expression) - 1))
    gene = data.draw(st.integers(0, len(genes) - 1))
    expression[sample, gene] = value
    with pytest.raises(CohortError, match=f"1 genes have NaN or infinite values: {genes.index[gene]}\\."):
        place_genes(method, expression, genes, (5, 9), np.random.default_rng(1), **options.get(method, {}))


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
