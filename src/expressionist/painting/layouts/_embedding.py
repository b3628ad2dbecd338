"""Genes as points: their leading components, an embedding of these in the plane, and the pixels below it.

Every command that reads params loads this: what is slow (scikit-learn, Numba) is loaded where it is called.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

_N_COMPONENTS = 50
# With fewer genes there is no neighbourhood to speak of; they lie on their components.
_FEWEST = 8
# How far equal genes are drawn apart before an embedding starts, as a share of all genes' spread.
_JITTER = 1e-3


def part_genes(expression: np.ndarray, genes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of genes that vary, and of constant ones, each in the order of their ids."""
    # Then neither ties nor rounding hang on the order of the columns.
    by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
    varying = (expression.min(axis=0) < expression.max(axis=0))[by_id]
    return by_id[varying], by_id[~varying]


def standardise(expression: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return profiles of mean 0 and length 1, (n_chosen, n_samples): inner products are correlations."""
    profiles = expression.T[chosen].astype(np.float32, copy=False)
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.sqrt(np.einsum("gs,gs->g", profiles, profiles, dtype=np.float64))[:, None]
    return profiles


def project_genes(expression: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the leading components of profiles, at most 50, (n_chosen, n_components), strongest first."""
    from sklearn.utils.extmath import randomized_svd

    profiles = standardise(expression, chosen)
    n_components = min(_N_COMPONENTS, *profiles.shape)
    if n_components == 0:
        return np.zeros((len(chosen), 0))
    left, strengths, _ = randomized_svd(profiles, n_components, random_state=int(rng.integers(2**31)))
    return np.asarray(left * strengths, np.float64)


def lead(components: np.ndarray) -> np.ndarray:
    """Return the first two components of every gene, 0 where there are fewer: shape (n_genes, 2)."""
    points = np.zeros((len(components), 2))
    points[:, : components.shape[1]] = components[:, :2]
    return points


@dataclass(frozen=True, eq=False)
class Embedding:
    """Genes as points in the plane, and the two ways from there to pixels."""

    # Positions of genes with and without a point.
    embedded: np.ndarray
    constant: np.ndarray
    # Columns and rows in any unit, (n_embedded, 2); as from `project_genes`.
    points: np.ndarray
    components: np.ndarray

    def snap(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the pixel of every gene: one for each while there are enough, constant genes at the rim."""
        from expressionist.painting.layouts._grid import snap

        placed = snap(self.points, shape, profiles=self.components, n_more=len(self.constant))
        return put_back(placed, self.embedded, self.constant)

    def share(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the pixel of every gene: that on which its point falls; constant genes share one apart."""
        fallen = put_in_strips(self.points, shape)
        free = np.flatnonzero(np.bincount(fallen, minlength=shape[0] * shape[1]) == 0)
        apart = free[-1] if len(free) else 0
        placed = np.concatenate([fallen, np.full(len(self.constant), apart)])
        return put_back(placed, self.embedded, self.constant)


def put_back(placed: np.ndarray, *positions: np.ndarray) -> np.ndarray:
    """Return the pixels of genes in the order of the columns; `placed` has them in that of `positions`."""
    pixel = np.empty(len(placed), np.intp)
    pixel[np.concatenate(positions)] = placed
    return pixel


def embed_genes(
    expression: np.ndarray,
    genes: pd.DataFrame,
    rng: np.random.Generator,
    embed: Callable[[np.ndarray], np.ndarray],
) -> Embedding:
    """Embed the genes that vary; `embed` takes components of at least eight, and returns (n_genes, 2)."""
    varying, constant = part_genes(expression, genes)
    components = project_genes(expression, varying, rng)
    points = embed(components) if len(components) >= _FEWEST else lead(components)
    return Embedding(varying, constant, points, components)


def put_in_strips(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the flat index of the pixel that each point falls on, of shape (n_points,), as DeepInsight does.

    Either range is cut into equal strips, as many as there are columns and rows.
    """
    if not len(points):
        return np.zeros(0, np.intp)
    extent = np.ptp(points, axis=0)
    share = (points - points.min(axis=0)) / np.where(extent > 0, extent, 1)
    column, row = np.minimum((share * shape[::-1]).astype(np.intp), np.subtract(shape[::-1], 1)).T
    flat: np.ndarray = row * shape[1] + column
    return flat


def start_embedding(components: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return where an embedding starts, (n_genes, 2): the leading components, equal genes drawn apart."""
    points = lead(components)
    spread = points[:, 0].std()
    if spread > 0:
        points /= spread
    return points + rng.normal(scale=_JITTER, size=points.shape)


def find_neighbours(components: np.ndarray, n_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Find every gene's others of highest correlation r, the first first: positions, and sqrt(2 - 2 r)."""
    from sklearn.neighbors import NearestNeighbors

    lengths = np.linalg.norm(components, axis=1, keepdims=True)
    directions = components / np.where(lengths > 0, lengths, 1)
    # By brute force: at 10,000 genes it takes a second, misses nothing, and is the same every time.
    search = NearestNeighbors(n_neighbors=n_neighbours, algorithm="brute").fit(directions)
    distances, positions = search.kneighbors()
    return positions, distances
