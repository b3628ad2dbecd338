"""Curve and spreading on any shape."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.layouts._curve import trace_curve
from expressionist.layouts._spread import spread_along

sides = st.integers(1, 60)
few = settings(max_examples=25, deadline=None)


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
