"""Genes by similarity of their expression, laid along a space-filling curve."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array
from sklearn.cluster import ward_tree
from sklearn.neighbors import kneighbors_graph

from expressionist.layouts._components import project_genes
from expressionist.layouts._curve import trace_curve
from expressionist.layouts._spread import spread_along

_N_NEIGHBOURS = 10


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes so that those that rise and fall together stand close together.

    Genes are compared by the correlation of their expression (in its 50 leading components), joined into a
    tree by Ward's method, which considers only each gene's 10 nearest genes, and read off the tree in an
    order in which every branch is turned with its more similar end towards its neighbours (the idea of
    Gruvaeus and Wainer 1972, doi:10.1111/j.2044-8317.1972.tb00491.x). The order is laid along `trace_curve`,
    which keeps branches of any size together in the image.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, scaled; training samples only.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id. Ids decide between ties, so that the order of the columns does not matter.
    shape : tuple of int
        (height, width) in pixels.
    rng : numpy.random.Generator
        Starts the search for the components.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene; genes that are constant in `expression` come last.

    Examples
    --------
    >>> expression = np.array([[0, 1, 0.1, 0.9], [1, 0, 1, 0], [0.5, 0.4, 0.6, 0.5]], "float32")
    >>> pixel = place(expression, pd.DataFrame(index=list("abcd")), (1, 4), np.random.default_rng(1))
    >>> abs(pixel[0] - pixel[2]), abs(pixel[1] - pixel[3])
    (np.int64(1), np.int64(1))
    """
    by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
    varying = (expression.min(axis=0) < expression.max(axis=0))[by_id]
    components = project_genes(expression, by_id[varying], rng)
    order = np.concatenate([by_id[varying][_order_by_similarity(components)], by_id[~varying]])
    return spread_along(trace_curve(shape), order)


def _order_by_similarity(components: np.ndarray) -> np.ndarray:
    if len(components) < 2:
        return np.arange(len(components))
    joins = ward_tree(components, connectivity=_link_neighbours(components))[0]
    return _read_tree(joins, components)


def _link_neighbours(components: np.ndarray) -> csr_array:
    """Link every gene with its nearest genes, and all of them in a chain, so that none is out of reach."""
    n_genes = len(components)
    nearest = kneighbors_graph(components, min(_N_NEIGHBOURS, n_genes - 1))
    chain = np.argsort(components[:, 0], kind="stable")
    chained = coo_array((np.ones(n_genes - 1), (chain[:-1], chain[1:])), shape=(n_genes, n_genes))
    return csr_array(nearest + nearest.T + chained + chained.T)


def _read_tree(joins: np.ndarray, components: np.ndarray) -> np.ndarray:
    """List a tree's leaves, turning every branch so that its ends resemble what stands beside them.

    `joins` is of shape (n_leaves - 1, 2): row k joins two earlier nodes to node n_leaves + k.
    """
    n_leaves = len(components)
    means = _average_nodes(joins, components)
    nothing = np.zeros(components.shape[1])
    leaves = []
    waiting = [(n_leaves + len(joins) - 1, nothing, nothing)]
    while waiting:
        node, before, behind = waiting.pop()
        if node < n_leaves:
            leaves.append(node)
            continue
        first, last = joins[node - n_leaves]
        if (before - behind) @ (means[first] - means[last]) < 0:
            first, last = last, first
        waiting.append((last, means[first], behind))
        waiting.append((first, before, means[last]))
    return np.array(leaves)


def _average_nodes(joins: np.ndarray, components: np.ndarray) -> np.ndarray:
    n_leaves = len(components)
    means = np.concatenate([components, np.zeros((len(joins), components.shape[1]))])
    sizes = np.ones(len(means))
    for node, pair in enumerate(joins, start=n_leaves):
        sizes[node] = sizes[pair].sum()
        means[node] = sizes[pair] @ means[pair] / sizes[node]
    return means
