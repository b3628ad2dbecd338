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

    Compared by correlation (in 50 leading components), genes are joined into a tree by Ward's method among
    each one's 10 nearest, and read off it with every branch turned to its neighbours (after Gruvaeus and
    Wainer 1972, doi:10.1111/j.2044-8317.1972.tb00491.x), along `trace_curve`, which keeps branches together.
    """
    varying, constant = part_genes(expression, genes)
    similar = order_by_similarity(project_genes(expression, varying, rng))
    return spread_along(trace_curve(shape), np.concatenate([varying[similar], constant]))
