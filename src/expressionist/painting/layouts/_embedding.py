"""From expression to pixels by way of the plane: what every method shares that embeds genes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from expressionist.painting.layouts._components import lead, project_genes

# With fewer genes there is no neighbourhood to speak of; they lie on their components.
_FEWEST = 8
# How far equal genes are drawn apart before an embedding starts, as a share of all genes' spread.
_JITTER = 1e-3


@dataclass(frozen=True, eq=False)
class Embedding:
    """Genes as points in the plane, and the two ways from there to pixels.

    Parameters
    ----------
    embedded : numpy.ndarray of shape (n_embedded,)
        Positions of the genes that have a point, in the order of their ids.
    constant : numpy.ndarray of shape (n_constant,)
        Positions of the others, likewise.
    points : numpy.ndarray of shape (n_embedded, 2)
        Columns and rows, in any unit.
    components : numpy.ndarray of shape (n_embedded, n_components)
        As `project_genes` returns them.
    """

    embedded: np.ndarray
    constant: np.ndarray
    points: np.ndarray
    components: np.ndarray

    def snap(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the pixel of every gene: one for each while there are enough, constant genes at the rim."""
        from expressionist.painting.layouts._grid import snap

        placed = snap(self.points, shape, profiles=self.components, n_more=len(self.constant))
        return self._order(placed)

    def share(self, shape: tuple[int, int]) -> np.ndarray:
        """Return the pixel of every gene: that on which its point falls; constant genes share one apart."""
        fallen = put_in_strips(self.points, shape)
        free = np.flatnonzero(np.bincount(fallen, minlength=shape[0] * shape[1]) == 0)
        apart = free[-1] if len(free) else 0
        return self._order(np.concatenate([fallen, np.full(len(self.constant), apart)]))

    def _order(self, placed: np.ndarray) -> np.ndarray:
        pixel = np.empty(len(placed), np.intp)
        pixel[np.concatenate([self.embedded, self.constant])] = placed
        return pixel


def embed_genes(
    expression: np.ndarray,
    genes: pd.DataFrame,
    rng: np.random.Generator,
    embed: Callable[[np.ndarray], np.ndarray],
) -> Embedding:
    """Embed those genes in the plane that vary in `expression`.

    Parameters
    ----------
    expression, genes, rng
        As in `expressionist.painting.layouts.place_genes`.
    embed : callable
        Takes the components of `project_genes`, at least eight genes in the order of their ids, and returns
        points of shape (n_genes, 2).
    """
    # The order of ids, so that neither ties nor rounding hang on the order of the columns.
    by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
    varying = (expression.min(axis=0) < expression.max(axis=0))[by_id]
    components = project_genes(expression, by_id[varying], rng)
    points = embed(components) if len(components) >= _FEWEST else lead(components)
    return Embedding(by_id[varying], by_id[~varying], points, components)


def put_in_strips(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Put points on the pixels that they fall on.

    Parameters
    ----------
    points : numpy.ndarray of shape (n_points, 2)
        Finite; columns and rows of the image, in any unit.
    shape : tuple of int
        (height, width) in pixels.

    Returns
    -------
    numpy.ndarray of shape (n_points,)
        Flat pixel index of every point, where either range is cut into equal strips, as many as there are
        columns and rows (DeepInsight, Sharma et al. 2019, doi:10.1038/s41598-019-47765-6).

    Examples
    --------
    >>> put_in_strips(np.array([[0.0, 0.0], [0.2, 0.4], [0.9, 0.6], [1.0, 1.0]]), (2, 4)).tolist()
    [0, 0, 7, 7]
    """
    if not len(points):
        return np.zeros(0, np.intp)
    extent = np.ptp(points, axis=0)
    share = (points - points.min(axis=0)) / np.where(extent > 0, extent, 1)
    column, row = np.minimum((share * shape[::-1]).astype(np.intp), np.subtract(shape[::-1], 1)).T
    flat: np.ndarray = row * shape[1] + column
    return flat


def start_embedding(components: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return where an embedding starts: the two leading components, equal genes drawn a little apart.

    Parameters
    ----------
    components : numpy.ndarray of shape (n_genes, n_components)
        As `project_genes` returns them.
    rng : numpy.random.Generator
        Draws genes apart.

    Returns
    -------
    numpy.ndarray of shape (n_genes, 2)
        With a standard deviation of about 1 along the first axis.
    """
    points = lead(components)
    spread = points[:, 0].std()
    if spread > 0:
        points /= spread
    return points + rng.normal(scale=_JITTER, size=points.shape)


def find_neighbours(components: np.ndarray, n_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Find every gene's nearest others by correlation, exactly.

    Parameters
    ----------
    components : numpy.ndarray of shape (n_genes, n_components)
        As `project_genes` returns them.
    n_neighbours : int
        Fewer than there are genes.

    Returns
    -------
    positions : numpy.ndarray of shape (n_genes, n_neighbours)
        Nearest first; never the gene itself.
    distances : numpy.ndarray of shape (n_genes, n_neighbours)
        sqrt(2 - 2 r) of a correlation r: the distance between profiles of length 1.

    Examples
    --------
    >>> components = np.array([[1.0, 0.0], [0.0, 5.0], [2.0, 0.1], [0.1, 1.0]])
    >>> find_neighbours(components, 1)[0].ravel().tolist()
    [2, 3, 0, 1]
    """
    from sklearn.neighbors import NearestNeighbors

    lengths = np.linalg.norm(components, axis=1, keepdims=True)
    directions = components / np.where(lengths > 0, lengths, 1)
    # By brute force: at 10,000 genes it takes a second, misses nothing, and is the same every time.
    search = NearestNeighbors(n_neighbors=n_neighbours, algorithm="brute").fit(directions)
    distances, positions = search.kneighbors()
    return positions, distances
