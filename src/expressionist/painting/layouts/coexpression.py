"""Genes by similarity of their expression, laid along a space-filling curve."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._curve import spread_along, trace_curve
from expressionist.painting.layouts._embedding import part_genes, project_genes
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
    """
    varying, constant = part_genes(expression, genes)
    similar = order_by_similarity(project_genes(expression, varying, rng))
    return spread_along(trace_curve(shape), np.concatenate([varying[similar], constant]))
