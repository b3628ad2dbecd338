"""Snapping to the grid: one gene a pixel, near where it was."""

import numpy as np
import pytest
from tests.painting.layouts.made_up import draw_programmes

from expressionist.painting.layout_score import score_layout
from expressionist.painting.layouts._embedding import standardise
from expressionist.painting.layouts._grid import exchange, snap

SHAPES = [(1, 1), (1, 13), (13, 1), (4, 9), (9, 4), (7, 7), (12, 12)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_points", [0, 1, 2, 36, 100])
@pytest.mark.parametrize("n_more", [0, 3])
def test_pixels_are_filled_evenly(shape, n_points, n_more):
    rng = np.random.default_rng(1)
    pixel = snap(
        rng.normal(size=(n_points, 2)), shape, profiles=rng.normal(size=(n_points, 4)), n_more=n_more
    )
    overlap = np.bincount(pixel, minlength=shape[0] * shape[1])
    assert len(pixel) == overlap.sum() == n_points + n_more
    assert len(overlap) == shape[0] * shape[1]
    assert np.ptp(overlap) <= 1


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5)])
def test_points_that_lie_on_a_grid_stay_on_it(shape):
    row, column = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    shuffled = np.random.default_rng(2).permutation(len(row))
    points = np.stack([column, row], axis=1)[shuffled] * 3.0 + 7
    np.testing.assert_array_equal(snap(points, shape), shuffled)


@pytest.mark.parametrize(
    ("extent", "shape"), [(1, (1, 6)), (1, (6, 1)), (0, (1, 6))], ids=["turned", "upright", "equal points"]
)
def test_points_keep_their_order_on_the_longer_side(extent, shape):
    points = np.stack([np.zeros(6), extent * np.arange(6.0)], axis=1)
    np.testing.assert_array_equal(snap(points, shape), np.arange(6))


def test_spare_pixels_and_genes_without_a_point_lie_at_the_rim():
    pixel = snap(np.random.default_rng(3).normal(size=(30, 2)), (7, 7), n_more=5)
    row, column = np.divmod(pixel, 7)
    frame = np.maximum(abs(row - 3), abs(column - 3))
    assert frame[:25].min() == 0
    assert set(frame[30:]) == {3}
    # The 25 pixels inside are all taken before one of the rim is.
    assert (frame < 3).sum() == 25


def test_exchange_makes_neighbours_alike_and_moves_no_pixel():
    rng = np.random.default_rng(4)
    scaled = draw_programmes(50, 380, noise=1)
    profiles = standardise(scaled, np.arange(380))
    before = np.sort(rng.permutation(400)[:380])
    after = exchange(before, profiles, (20, 20))
    assert sorted(after) == before.tolist()
    first, last = (score_layout(scaled, pixel, (20, 20)) for pixel in (before, after))
    assert last["neighbour_correlation"] > first["neighbour_correlation"] + 0.2
    assert last["trustworthiness"] > first["trustworthiness"] + 0.1


def test_exchange_leaves_what_is_best_already():
    profiles = np.repeat(np.eye(2), 8, axis=0)
    np.testing.assert_array_equal(exchange(np.arange(16), profiles, (4, 4)), np.arange(16))
