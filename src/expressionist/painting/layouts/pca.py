"""Genes on the plane of their two leading components."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._embedding import Embedding, embed_genes, lead


def embed(expression: np.ndarray, genes: pd.DataFrame, rng: np.random.Generator) -> Embedding:
    """Embed genes by the first two principal components of their standardised profiles.

    After Pearson 1901, doi:10.1080/14786440109462720: what TINTO and DeepInsight's PCA variant draw.
    """
    return embed_genes(expression, genes, rng, lead)
