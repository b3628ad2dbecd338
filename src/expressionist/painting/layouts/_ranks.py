"""How far apart two genes and two pixels are, as ranks that can be compared with one another."""

import numba
import numpy as np

# So many steps divide 1 - r, which runs from 0 to 2: finer than the float32 that holds it.
_N_STEPS = 2**22


def rank_genes(expression: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Rank all pairs of genes by the distance 1 - r of a correlation r.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        Left alone.
    chosen : numpy.ndarray of shape (n_chosen,)
        Positions of the genes wanted; none of them constant.

    Returns
    -------
    numpy.ndarray of shape (n_chosen, n_chosen)
        float32, symmetric: the share of pairs that are no farther apart, ties at their mean; 0 on the
        diagonal. Counted, not sorted: there is never more than this one matrix of that size.

    Examples
    --------
    >>> expression = np.array([[0, 0.1, 1], [1, 1, 0], [0.5, 0.3, 0.5]], "float32")
    >>> (3 * rank_genes(expression, np.arange(3))).tolist()
    [[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]
    """
    profiles = expression.T[chosen].astype(np.float32, copy=False)
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.sqrt(np.einsum("gs,gs->g", profiles, profiles, dtype=np.float64))[:, None]
    return _rank(profiles @ profiles.T, _N_STEPS)


def rank_pixels(pixel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Rank all pairs of genes by the Euclidean distance of their pixels.

    Parameters
    ----------
    pixel : numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene; which gene has which does not matter.
    shape : tuple of int
        (height, width) in pixels.

    Returns
    -------
    numpy.ndarray of shape (height, width)
        float32: the rank, as in `rank_genes`, of two genes that are so many rows and columns apart.

    Examples
    --------
    >>> rank_pixels(np.arange(3), (1, 3)).round(2).tolist()
    [[0.0, 0.5, 1.0]]
    """
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


def _rank(correlation: np.ndarray, n_steps: int) -> np.ndarray:
    counts = np.zeros(n_steps + 1, np.int64)
    _count_steps(correlation, counts)
    _read_ranks(correlation, _average_ranks(counts))
    return correlation


def _find_step(correlation: float, n_steps: int) -> int:
    return min(max(int((1 - correlation) * (n_steps / 2)), 0), n_steps)


def _count_steps(correlation: np.ndarray, counts: np.ndarray) -> None:
    for i in range(len(correlation)):
        for j in range(i):
            counts[_find_step(correlation[i, j], len(counts) - 1)] += 1


def _read_ranks(correlation: np.ndarray, ranks: np.ndarray) -> None:
    """Put ranks in the place of correlations, of which the lower triangle is read."""
    for i in range(len(correlation)):
        correlation[i, i] = 0
        for j in range(i):
            rank = ranks[_find_step(correlation[i, j], len(ranks) - 1)]
            correlation[i, j] = rank
            correlation[j, i] = rank


_find_step = numba.njit(_find_step)
_count_distances = numba.njit(_count_distances)
_count_steps = numba.njit(_count_steps)
_read_ranks = numba.njit(_read_ranks)
