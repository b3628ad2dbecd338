"""Genes by similarity of their expression, laid along a space-filling curve."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._components import project_genes
from expressionist.painting.layouts._curve import trace_curve
from expressionist.painting.layouts._spread import spread_along
from expressionist.painting.layouts._tree import order_by_similarity


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
    order = np.concatenate([by_id[varying][order_by_similarity(components)], by_id[~varying]])
    return spread_along(trace_curve(shape), order)
