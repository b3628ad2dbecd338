"""Genes by chromosome and position, row by row: the order of the reference images."""

import numpy as np
import pandas as pd

from expressionist.errors import CohortError
from expressionist.painting.layouts._curve import spread_along

_CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
_NEEDED = ("chromosome", "start")


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes row by row, ordered by ``chromosome`` and ``start`` (base pairs); equals keep their order.

    Chromosomes run 1 to 22, X, Y, MT (with or without ``chr``; M is MT), then other names by the alphabet;
    genes without a position come last. Lyu and Haque (2018, doi:10.1145/3233547.3233588) sort chromosomes as
    text, and leave their genes in the order of the file. A gene table without these columns is refused.
    """
    missing = [column for column in _NEEDED if column not in genes]
    if missing:
        raise CohortError(
            f"The gene table must have the columns {' and '.join(_NEEDED)} to order genes by chromosome, but "
            f"lacks {' and '.join(missing)}. Give a table of positions or choose another layout method."
        )
    start = pd.to_numeric(genes["start"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    rank = _rank_chromosomes(genes["chromosome"])
    placed = np.isfinite(rank) & np.isfinite(start)
    order = np.lexsort((np.where(placed, start, np.inf), np.where(placed, rank, np.inf)))
    return spread_along(np.arange(shape[0] * shape[1]), order)


def _rank_chromosomes(chromosomes: pd.Series) -> np.ndarray:
    """Return each gene's chromosome as a rank, NaN where there is none."""
    # A column of whole numbers with gaps is read as 1.0, 2.0, ...
    names = chromosomes.astype("string").str.strip().str.replace(r"\.0$", "", regex=True)
    names = names.str.replace(r"^chr(?=.)", "", case=False, regex=True).str.upper()
    names = names.replace("M", "MT").mask(names == "")
    others = sorted(set(names.dropna()) - set(_CHROMOSOMES))
    ranks = {name: rank for rank, name in enumerate((*_CHROMOSOMES, *others))}
    return names.map(ranks).to_numpy(np.float64, na_value=np.nan)
