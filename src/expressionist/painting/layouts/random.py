"""Genes on pixels at random: the null that every other layout method is measured against."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._spread import spread_along


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes at random.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        Not looked at.
    genes : pandas.DataFrame of length n_genes
        Only its length counts.
    shape : tuple of int
        (height, width) in pixels.
    rng : numpy.random.Generator
        Shuffles the pixels.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene.

    Examples
    --------
    >>> genes = pd.DataFrame(index=["a", "b", "c"])
    >>> pixel = place(np.zeros((2, 3), "float32"), genes, (2, 2), np.random.default_rng(1))
    >>> len(set(pixel.tolist()))
    3
    """
    return spread_along(rng.permutation(shape[0] * shape[1]), rng.permutation(len(genes)))
