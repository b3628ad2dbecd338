"""IGTD: ranks against their slow definition, and swaps that lower the error."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata
from tests.painting.layouts.made_up import draw_programmes, name_genes

from expressionist.painting.layouts import _ranks, place_genes
from expressionist.painting.layouts._ranks import rank_genes, rank_pixels, swap


def rank(distances):
    """Rank the entries of a distance matrix below the diagonal, as shares: the slow definition."""
    below = squareform(distances, checks=False)
    return squareform(rankdata(below) / len(below))


def measure_error(expression, pixel, shape):
    places = np.stack(np.divmod(pixel, shape[1]), axis=1)
    gap = rank(1 - np.corrcoef(expression.T).round(10)) - rank(squareform(pdist(places)))
    return np.square(gap).sum() / 2


def exchange(pixel, i, j):
    swapped = pixel.copy()
    swapped[[i, j]] = pixel[[j, i]]
    return swapped


def look_up(pixel_ranks, pixel):
    row, column = np.divmod(pixel, pixel_ranks.shape[1])
    return pixel_ranks[abs(row[:, None] - row), abs(column[:, None] - column)]


def test_ranks_of_genes():
    expression = draw_programmes(30, 40)
    expression[:, 7] = expression[:, 3]
    chosen = np.random.default_rng(2).permutation(40)[:31]
    expected = rank(1 - np.corrcoef(expression.T[chosen]).round(6))
    np.testing.assert_allclose(rank_genes(expression, chosen), expected, atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (4, 5), (6, 3)])
@pytest.mark.parametrize("n_genes", [2, 9, 25])
def test_ranks_of_pixels(shape, n_genes):
    pixel = np.random.default_rng(3).permutation(np.arange(n_genes) % (shape[0] * shape[1]))
    places = np.stack(np.divmod(pixel, shape[1]), axis=1)
    found = look_up(rank_pixels(pixel, shape), pixel)
    np.fill_diagonal(found, 0)
    np.testing.assert_allclose(found, rank(squareform(pdist(places))), atol=1e-6)


@pytest.mark.parametrize("n_genes", [12, 20, 33])
def test_all_gains_are_what_a_swap_gains(n_genes):
    # 20 pixels: some stay free, none does, some are shared.
    shape, expression = (4, 5), draw_programmes(15, n_genes)
    pixel = np.random.default_rng(4).permutation(np.arange(n_genes) % 20)
    ranks, steps = rank_genes(expression, np.arange(n_genes)), rank_pixels(pixel, shape)
    row, column = np.divmod(pixel, 5)
    sums = np.empty_like(ranks)
    _ranks._sum_ranks(ranks, steps, pixel, out=sums)
    np.testing.assert_allclose(sums, ranks @ look_up(steps, pixel), rtol=1e-5)
    gains, partners = np.zeros((n_genes, n_genes), np.float32), np.zeros((n_genes, n_genes), np.intp)
    _ranks._find_candidates(sums, ranks, steps, row, column, gains, partners)
    before = _ranks._sum_error(ranks, steps, row, column)
    assert (gains > 1e-4).any()
    for i, place in np.argwhere(gains > 1e-4):
        j = partners[i, place]
        gain = (before - _ranks._sum_error(ranks, steps, *np.divmod(exchange(pixel, i, j), 5))) / 2
        assert gains[i, place] == pytest.approx(gain, abs=1e-4)
        assert _ranks._count_gain(ranks, steps, row, column, i, j) == pytest.approx(gain, abs=1e-6)


def test_the_error_falls_and_is_what_is_told():
    shape, expression = (6, 7), draw_programmes(30, 40)
    pixel = np.random.default_rng(5).permutation(42)[:40]
    kept = pixel.copy()
    found, errors = swap(pixel, rank_genes(expression, np.arange(40)), rank_pixels(pixel, shape))
    np.testing.assert_array_equal(pixel, kept)
    assert sorted(found) == sorted(pixel)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.7 * errors[0]
    for place, told in ((pixel, errors[0]), (found, errors[-1])):
        assert measure_error(expression, place, shape) == pytest.approx(told, rel=1e-3)


def test_no_single_swap_is_left():
    expression, shape = draw_programmes(30, 36), (6, 6)
    pixel = place_genes("igtd", expression, name_genes(36), shape, np.random.default_rng(1))
    error = measure_error(expression, pixel, shape)
    for i in range(36):
        for j in range(i):
            # The last pass may leave what is below its share.
            assert measure_error(expression, exchange(pixel, i, j), shape) > error * (1 - 1e-3)
