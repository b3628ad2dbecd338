"""How far apart two genes and two pixels are, as ranks, and swaps of genes until these match."""

import numba
import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

from expressionist.painting.layouts._embedding import standardise

# So many steps divide 1 - r, which runs from 0 to 2: finer than the float32 that holds it.
_N_STEPS = 2**22
# Of every gene, so many of its best swaps are looked at again in each pass.
_N_CANDIDATES = 8
_MOST_PASSES = 200
# The pass that lowers the error by less than this share is the last.
_LEAST_SHARE = 3e-4
# What rounding cannot feign.
_LEAST_GAIN = 1e-6
_N_GENES_AT_ONCE = 128
_TILE = 64


def rank_genes(expression: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Rank all pairs of genes that vary by 1 - r of their correlation r: float32 (n_chosen, n_chosen).

    A rank is the share of pairs no farther apart, ties at their mean. Counted, so that no second such matrix
    is needed.
    """
    profiles = standardise(expression, chosen)
    correlation: np.ndarray = profiles @ profiles.T
    counts = np.zeros(_N_STEPS + 1, np.int64)
    _count_steps(correlation, counts)
    _read_ranks(correlation, _average_ranks(counts))
    return correlation


def rank_pixels(pixel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Rank, as `rank_genes`, two genes so many rows and columns apart: shape (height, width)."""
    counts = np.zeros((shape[0] - 1) ** 2 + (shape[1] - 1) ** 2 + 1, np.int64)
    _count_distances(pixel // shape[1], pixel % shape[1], counts)
    down, across = np.ogrid[: shape[0], : shape[1]]
    ranks: np.ndarray = _average_ranks(counts)[down**2 + across**2]
    return ranks


def _average_ranks(counts: np.ndarray) -> np.ndarray:
    """Return the mean rank of each of several classes in ascending order, as a share of all members."""
    last = counts.cumsum()
    return ((last - (counts - 1) / 2 * (counts > 0)) / max(last[-1], 1)).astype(np.float32)


def _count_distances(row: np.ndarray, column: np.ndarray, counts: np.ndarray) -> None:
    for i in range(len(row)):
        for j in range(i):
            counts[(row[i] - row[j]) ** 2 + (column[i] - column[j]) ** 2] += 1


def _find_step(correlation: float) -> int:
    return min(max(int((1 - correlation) * (_N_STEPS / 2)), 0), _N_STEPS)


def _count_steps(correlation: np.ndarray, counts: np.ndarray) -> None:
    for i in range(len(correlation)):
        for j in range(i):
            counts[_find_step(correlation[i, j])] += 1


def _read_ranks(correlation: np.ndarray, ranks: np.ndarray) -> None:
    """Put ranks in the place of correlations, of which the lower triangle is read."""
    for i in range(len(correlation)):
        correlation[i, i] = 0
        for j in range(i):
            rank = ranks[_find_step(correlation[i, j])]
            correlation[i, j] = rank
            correlation[j, i] = rank


def swap(
    pixel: np.ndarray, gene_ranks: np.ndarray, pixel_ranks: np.ndarray
) -> tuple[np.ndarray, list[float]]:
    """Swap the pixels of two genes, again and again, as long as that lowers the error.

    The error is the sum over pairs of squared differences of their two ranks (Zhu et al. 2021,
    doi:10.1038/s41598-021-90923-y). What every swap would gain follows from one product of both matrices of
    ranks, a convolution of images: Fourier transforms judge all at once. The best are carried out in turn, if
    they still gain by an exact count. Also returned is the error at the start and after each pass.
    """
    width = pixel_ranks.shape[1]
    row, column = pixel // width, pixel % width
    errors = [_sum_error(gene_ranks, pixel_ranks, row, column)]
    sums = np.empty_like(gene_ranks)
    for _ in range(_MOST_PASSES):
        _sum_ranks(gene_ranks, pixel_ranks, row * width + column, out=sums)
        gains = np.zeros((len(pixel), _N_CANDIDATES), np.float32)
        partners = np.zeros((len(pixel), _N_CANDIDATES), np.intp)
        _find_candidates(sums, gene_ranks, pixel_ranks, row, column, gains, partners)
        best = np.argsort(-gains, axis=None, kind="stable")[: np.count_nonzero(gains > _LEAST_GAIN)]
        genes, others = best // _N_CANDIDATES, partners.ravel()[best]
        gained = _carry_out(gene_ranks, pixel_ranks, row, column, genes, others)
        errors.append(max(errors[-1] - 2 * gained, 0.0))
        if 2 * gained <= _LEAST_SHARE * errors[-2]:
            break
    return row * width + column, errors


def _sum_ranks(
    gene_ranks: np.ndarray, pixel_ranks: np.ndarray, pixel: np.ndarray, *, out: np.ndarray
) -> None:
    """Compute out[i, j]: the sum over k of rank(gene i, gene k) times rank(pixel of j, pixel of k)."""
    height, width = pixel_ranks.shape
    sides = next_fast_len(2 * height - 1, real=True), next_fast_len(2 * width - 1, real=True)
    # The ranks of all steps between two pixels, those to the left and upwards wrapped around.
    steps = [np.minimum(np.arange(side), side - np.arange(side)) for side in sides]
    within = [np.minimum(step, most - 1) for step, most in zip(steps, (height, width), strict=True)]
    kernel = rfft2(pixel_ranks[np.ix_(*within)], workers=-1)
    for first in range(0, len(pixel), _N_GENES_AT_ONCE):
        ranks = gene_ranks[first : first + _N_GENES_AT_ONCE]
        images = np.zeros((len(ranks), height * width), np.float32)
        # Genes that share a pixel add up there.
        _add_at(images, pixel, ranks)
        waves = rfft2(images.reshape(-1, height, width), sides, workers=-1)
        waves *= kernel
        sums = irfft2(waves, sides, workers=-1)[:, :height, :width]
        out[first : first + _N_GENES_AT_ONCE] = sums.reshape(len(ranks), -1)[:, pixel]


def _add_at(images: np.ndarray, pixel: np.ndarray, values: np.ndarray) -> None:
    for i in range(len(values)):
        for k in range(len(pixel)):
            images[i, pixel[k]] += values[i, k]


def _sum_error(gene_ranks: np.ndarray, pixel_ranks: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    error = 0.0
    for i in range(len(row)):
        for j in range(i):
            between = pixel_ranks[abs(row[i] - row[j]), abs(column[i] - column[j])]
            error += (gene_ranks[i, j] - between) ** 2
    return error


def _keep(gains: np.ndarray, partners: np.ndarray, gain: float, partner: int) -> None:
    """Put a candidate into its place among those of a gene, the least of which comes first and falls out."""
    place = 0
    while place + 1 < len(gains) and gains[place + 1] < gain:
        gains[place], partners[place] = gains[place + 1], partners[place + 1]
        place += 1
    gains[place], partners[place] = gain, partner


def _find_candidates(
    sums: np.ndarray,
    gene_ranks: np.ndarray,
    pixel_ranks: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    gains: np.ndarray,
    partners: np.ndarray,
) -> None:
    """Fill in what the best swaps of every gene would gain if nothing else moved."""
    n_genes = len(row)
    # By tiles, since `sums` is read along rows and columns.
    for top in range(0, n_genes, _TILE):
        for left in range(0, top + 1, _TILE):
            for i in range(top, min(n_genes, top + _TILE)):
                for j in range(left, min(i, left + _TILE)):
                    apart = pixel_ranks[abs(row[i] - row[j]), abs(column[i] - column[j])] - pixel_ranks[0, 0]
                    gain = sums[i, j] + sums[j, i] - sums[i, i] - sums[j, j] + 2 * gene_ranks[i, j] * apart
                    if gain > gains[i, 0]:
                        _keep(gains[i], partners[i], gain, j)
                    if gain > gains[j, 0]:
                        _keep(gains[j], partners[j], gain, i)


def _count_gain(
    gene_ranks: np.ndarray, pixel_ranks: np.ndarray, row: np.ndarray, column: np.ndarray, i: int, j: int
) -> float:
    """Return half of what the swap of two genes takes off the error."""
    gain = 0.0
    for k in range(len(row)):
        if k not in (i, j):
            from_i = pixel_ranks[abs(row[i] - row[k]), abs(column[i] - column[k])]
            from_j = pixel_ranks[abs(row[j] - row[k]), abs(column[j] - column[k])]
            gain += (gene_ranks[i, k] - gene_ranks[j, k]) * (from_j - from_i)
    return gain


def _carry_out(
    gene_ranks: np.ndarray,
    pixel_ranks: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    genes: np.ndarray,
    partners: np.ndarray,
) -> float:
    """Carry out swaps one after the other, in place, and return the sum of what they gained."""
    gained = 0.0
    for i, j in zip(genes, partners):  # noqa: B905  Numba's zip is never strict
        gain = _count_gain(gene_ranks, pixel_ranks, row, column, i, j)
        if gain > _LEAST_GAIN:
            row[i], row[j] = row[j], row[i]
            column[i], column[j] = column[j], column[i]
            gained += gain
    return gained


_find_step = numba.njit(_find_step)
_count_distances = numba.njit(_count_distances)
_count_steps = numba.njit(_count_steps)
_read_ranks = numba.njit(_read_ranks)
# Sums may be taken in any order: that is what lets them run on several numbers at a time.
_ANY_ORDER = {"reassoc", "contract"}
_add_at = numba.njit(_add_at)
_sum_error = numba.njit(fastmath=_ANY_ORDER)(_sum_error)
_keep = numba.njit(_keep)
_find_candidates = numba.njit(fastmath=_ANY_ORDER)(_find_candidates)
_count_gain = numba.njit(fastmath=_ANY_ORDER)(_count_gain)
_carry_out = numba.njit(_carry_out)
