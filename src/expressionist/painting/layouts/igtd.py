"""Genes where the ranks of their distances match those of the pixels', as in IGTD."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._components import lead
from expressionist.painting.layouts._grid import snap
from expressionist.painting.layouts._ranks import rank_genes, rank_pixels
from expressionist.painting.layouts._swaps import swap

# The start is where swaps begin, not where they end: it need not be exact.
_N_AXES, _N_ROUNDS = 8, 12


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes so that pairs rank by distance on the image as they do by correlation.

    The error of IGTD (Zhu et al. 2021, doi:10.1038/s41598-021-90923-y), with squares, between the ranks of
    the genes' distances 1 - r and the Euclidean distances of their pixels. Unlike there, the start is not
    the order of the columns but the plane that fits the ranks best (classical scaling, Torgerson 1952,
    doi:10.1007/BF02288916), and a pass looks at the swaps of all genes
    (`expressionist.painting.layouts._swaps.swap`).

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, scaled; training samples only.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id. Ids decide between ties, so that the order of the columns does not matter.
    shape : tuple of int
        (height, width) in pixels.
    rng : numpy.random.Generator
        Starts the search for the plane.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene; genes that are constant in `expression` come last, at the rim.

    Examples
    --------
    >>> expression = np.array([[0, 1, 0.1, 0.9], [1, 0, 1, 0], [0.5, 0.4, 0.6, 0.5]], "float32")
    >>> pixel = place(expression, pd.DataFrame(index=list("abcd")), (1, 4), np.random.default_rng(1))
    >>> abs(pixel[0] - pixel[2]), abs(pixel[1] - pixel[3])
    (np.int64(1), np.int64(1))
    """
    by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
    varying = (expression.min(axis=0) < expression.max(axis=0))[by_id]
    ranks = rank_genes(expression, by_id[varying])
    placed = snap(_scale_to_plane(ranks, rng), shape, n_more=int((~varying).sum()))
    n_varying = len(ranks)
    placed[:n_varying], _ = swap(placed[:n_varying], ranks, rank_pixels(placed[:n_varying], shape))
    pixel = np.empty(len(genes), np.intp)
    pixel[np.concatenate([by_id[varying], by_id[~varying]])] = placed
    return pixel


def _scale_to_plane(ranks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return points of shape (n_genes, 2) whose distances are close to the ranks: classical scaling."""
    if not len(ranks):
        return np.zeros((0, 2))
    axes = rng.normal(size=(len(ranks), min(_N_AXES, len(ranks)))).astype(np.float32)
    for _ in range(_N_ROUNDS):
        axes = np.linalg.qr(_turn(ranks, axes))[0]
    strengths, turns = np.linalg.eigh(axes.T @ _turn(ranks, axes))
    return lead((axes @ turns * np.sqrt(np.maximum(strengths, 0)))[:, ::-1])


def _turn(ranks: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Multiply by the ranks as likenesses, centred in rows and columns."""
    turned: np.ndarray = ranks @ (axes - axes.mean(axis=0))
    return turned.mean(axis=0) - turned
