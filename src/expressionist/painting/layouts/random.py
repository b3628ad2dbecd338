"""Genes on pixels at random: the null that every other layout method is measured against."""

import numpy as np
import pandas as pd

from expressionist.painting.layouts._curve import spread_along


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes at random; of what is given, only their number counts."""
    return spread_along(rng.permutation(shape[0] * shape[1]), rng.permutation(len(genes)))
