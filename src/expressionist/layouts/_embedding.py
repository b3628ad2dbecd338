"""From expression to pixels by way of the plane: what every method shares that embeds genes."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from expressionist.layouts._components import lead, project_genes
from expressionist.layouts._grid import snap

# With fewer genes there is no neighbourhood to speak of; they lie on their components.
_FEWEST = 8
# How far equal genes are drawn apart before an embedding starts, as a share of all genes' spread.
_JITTER = 1e-3


def place_embedded(
    expression: np.ndarray,
    genes: pd.DataFrame,
    shape: tuple[int, int],
    rng: np.random.Generator,
    embed: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Embed genes in the plane and snap them to the pixels.

    Parameters
    ----------
    expression, genes, shape, rng
        As in `expressionist.layouts.place_genes`.
    embed : callable
        Takes the components of `project_genes`, at least eight genes in the order of their ids, and returns
        points of shape (n_genes, 2).

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene; genes that are constant in `expression` come last, at the rim.
    """
    # The order of ids, so that neither ties nor rounding hang on the order of the columns.
    by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
    varying = (expression.min(axis=0) < expression.max(axis=0))[by_id]
    components = project_genes(expression, by_id[varying], rng)
    points = embed(components) if len(components) >= _FEWEST else lead(components)
    placed = snap(points, shape, profiles=components, n_more=int((~varying).sum()))
    pixel = np.empty(len(genes), np.intp)
    pixel[np.concatenate([by_id[varying], by_id[~varying]])] = placed
    return pixel


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
    lengths = np.linalg.norm(components, axis=1, keepdims=True)
    directions = components / np.where(lengths > 0, lengths, 1)
    # By brute force: at 10,000 genes it takes a second, misses nothing, and is the same every time.
    search = NearestNeighbors(n_neighbors=n_neighbours, algorithm="brute").fit(directions)
    distances, positions = search.kneighbors()
    return positions, distances
