"""Genes on the plane of their two leading components."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._components import lead
from expressionist.painting.layouts._embedding import Embedding, embed_genes


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes by the first two principal components of their standardised profiles.

    Each gene lies where the two leading components of all profiles (Pearson 1901,
    doi:10.1080/14786440109462720) put it: what TINTO and DeepInsight's PCA variant draw, here with a pixel
    for every gene (`expressionist.painting.layouts._grid.snap`).

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
        Flat pixel index of every gene; genes that are constant in `expression` come last, at the rim.

    Examples
    --------
    >>> expression = np.array([[0, 1, 0.1, 0.9], [1, 0, 1, 0], [0.5, 0.4, 0.6, 0.5]], "float32")
    >>> pixel = place(expression, pd.DataFrame(index=list("abcd")), (1, 4), np.random.default_rng(1))
    >>> abs(pixel[0] - pixel[2]), abs(pixel[1] - pixel[3])
    (np.int64(1), np.int64(1))
    """
    return embed(expression, genes, rng).snap(shape)


def embed(expression: np.ndarray, genes: pd.DataFrame, rng: np.random.Generator) -> Embedding:
    """Return what `place` snaps to the pixels: the genes on the plane of their two leading components."""
    return embed_genes(expression, genes, rng, lead)
