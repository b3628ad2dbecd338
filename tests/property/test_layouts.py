"""Curve, spreading and every layout method on any shape."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.errors import CohortError
from expressionist.layouts import find_layout, layout_names, place_genes
from expressionist.layouts._curve import trace_curve
from expressionist.layouts._spread import spread_along
from rounds import count_rounds

sides = st.integers(1, 60)
few = settings(deadline=None)
# For every method anew.
fewer = settings(max_examples=count_rounds(5, 12), deadline=None)
methods = pytest.mark.parametrize("method", layout_names())
averaging = pytest.mark.parametrize(
    "method", [name for name in layout_names() if hasattr(find_layout(name), "embed")]
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
    crowding = np.bincount(pixel, minlength=height * width)
    assert len(crowding) == height * width
    assert crowding.sum() == len(genes)
    assert crowding.max() - crowding.min() <= 1
    np.testing.assert_array_equal(expression, before)


@averaging
@fewer
@given(tables(), st.integers(1, 9), st.integers(1, 9))
def test_averaged_genes_stay_on_the_image(method, table, height, width):
    expression, genes, _ = table
    pixel = place_genes(
        method, expression, genes, (height, width), np.random.default_rng(1), crowding="average"
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
    crowding = np.bincount(pixel, minlength=n_pixels)
    assert crowding.max() - crowding.min() <= 1
    step_of = {place: step for step, place in enumerate(path)}
    steps = [step_of[pixel[gene]] for gene in order]
    assert steps == sorted(steps)
    assert steps[0] == 0
