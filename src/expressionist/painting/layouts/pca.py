"""Genes on the plane of their two leading components."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._embedding import Embedding, embed_genes, lead


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes by the first two principal components of their standardised profiles.

    Each gene lies where the two leading components of all profiles (Pearson 1901,
    doi:10.1080/14786440109462720) put it: what TINTO and DeepInsight's PCA variant draw, here with a pixel
    for every gene (`_grid.snap`). Constant genes lie at the rim.
    """
    return embed(expression, genes, rng).snap(shape)


def embed(expression: np.ndarray, genes: pd.DataFrame, rng: np.random.Generator) -> Embedding:
    """Return what `place` snaps to the pixels: the genes on the plane of their two leading components."""
    return embed_genes(expression, genes, rng, lead)
