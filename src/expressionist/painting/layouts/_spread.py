"""Genes in an order, pixels along a path: who stands where."""

import numpy as np


def spread_along(path: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Put genes on a path in their order.

    Parameters
    ----------
    path : numpy.ndarray of shape (n_pixels,)
        Flat pixel indices, in the order in which they are to be filled.
    order : numpy.ndarray of shape (n_genes,)
        Positions of the genes, first to last.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of the gene at every position. While there are pixels enough, genes fill the path
        from its start, one each; otherwise neighbours in the order share pixels, equally many on each, give
        or take one.

    Examples
    --------
    >>> spread_along(np.arange(4), np.array([2, 0, 1])).tolist()
    [1, 2, 0]
    >>> spread_along(np.arange(2), np.array([0, 1, 2, 3, 4])).tolist()
    [0, 0, 0, 1, 1]
    """
    n_genes, n_pixels = len(order), len(path)
    step = np.arange(n_genes)
    if n_genes > n_pixels:
        step = step * n_pixels // n_genes
    pixel = np.empty(n_genes, np.intp)
    pixel[order] = path[step]
    return pixel
