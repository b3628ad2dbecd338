"""Points in an order in which like stands beside like, read off a tree of them."""

import numpy as np

_N_NEIGHBOURS = 10


def order_by_similarity(
    components: np.ndarray, before: np.ndarray | None = None, behind: np.ndarray | None = None
) -> np.ndarray:
    """Order points so that like ones stand together: read off Ward's tree, its branches turned to fit.

    Inner products of `components` say what is alike; `before` and `behind` stand at the ends of the order.
    """
    if len(components) < 2 or not components.size:
        return np.arange(len(components))
    from sklearn.cluster import ward_tree

    nothing = np.zeros(components.shape[1])
    before, behind = (nothing if beside is None else beside for beside in (before, behind))
    joins = ward_tree(components, connectivity=_link_neighbours(components))[0]
    return _read_tree(joins, components, before, behind)


def _link_neighbours(components: np.ndarray) -> object:
    """Link every gene with its nearest genes, and all of them in a chain, so that none is out of reach."""
    from scipy.sparse import coo_array, csr_array
    from sklearn.neighbors import kneighbors_graph

    n_genes = len(components)
    nearest = kneighbors_graph(components, min(_N_NEIGHBOURS, n_genes - 1))
    chain = np.argsort(components[:, 0], kind="stable")
    chained = coo_array((np.ones(n_genes - 1), (chain[:-1], chain[1:])), shape=(n_genes, n_genes))
    return csr_array(nearest + nearest.T + chained + chained.T)


def _read_tree(
    joins: np.ndarray, components: np.ndarray, before: np.ndarray, behind: np.ndarray
) -> np.ndarray:
    """List leaves, branches turned to what is beside; row k of `joins` makes node n_leaves + k of two."""
    n_leaves = len(components)
    means = _average_nodes(joins, components)
    leaves = []
    waiting = [(n_leaves + len(joins) - 1, before, behind)]
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
