"""Genes where the ranks of their distances match those of the pixels', as in IGTD."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._embedding import lead, part_genes, put_back
from expressionist.painting.layouts._grid import snap
from expressionist.painting.layouts._ranks import rank_genes, rank_pixels, swap

# The start is where swaps begin, not where they end: it need not be exact.
_N_AXES, _N_ROUNDS = 8, 12


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes so that pairs rank by distance on the image as they do by correlation.

    The error of IGTD (Zhu et al. 2021, doi:10.1038/s41598-021-90923-y), with squares. Unlike there, the start
    is the plane that fits the ranks best (classical scaling, Torgerson 1952, doi:10.1007/BF02288916), and a
    pass looks at the swaps of all genes (`_ranks.swap`). Constant genes lie at the rim.
    """
    varying, constant = part_genes(expression, genes)
    ranks = rank_genes(expression, varying)
    placed = snap(_scale_to_plane(ranks, rng), shape, n_more=len(constant))
    start = placed[: len(varying)]
    placed[: len(varying)], _ = swap(start, ranks, rank_pixels(start, shape))
    return put_back(placed, varying, constant)


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
