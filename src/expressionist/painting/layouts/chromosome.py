"""Genes by chromosome and position, row by row: the order of the reference images."""

import numpy as np
import pandas as pd

from expressionist.errors import CohortError
from expressionist.painting.layouts._spread import spread_along

_CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "MT")
_NEEDED = ("chromosome", "start")


def place(
    expression: np.ndarray, genes: pd.DataFrame, shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Place genes row by row, ordered by chromosome and start.

    Chromosomes run 1 to 22, X, Y, MT (with or without ``chr``; M is MT), then any other name in alphabetical
    order; genes without a position come last. The images of Lyu and Haque (2018, doi:10.1145/3233547.3233588)
    are laid out by chromosome too, though theirs sort its name as text (1, 10, 11, ...) and leave a
    chromosome's genes in the order of the file.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        Not looked at.
    genes : pandas.DataFrame of length n_genes
        With the columns ``chromosome`` and ``start`` (base pairs), empty where the position is not known.
    shape : tuple of int
        (height, width) in pixels.
    rng : numpy.random.Generator
        Not used.

    Returns
    -------
    numpy.ndarray of shape (n_genes,)
        Flat pixel index of every gene; genes of equal position keep their order.

    Raises
    ------
    CohortError
        If the gene table has no ``chromosome`` or no ``start``.

    Examples
    --------
    >>> genes = pd.DataFrame({"chromosome": ["X", "2", None, "10", "2"], "start": [5, 90, None, 1, 7]})
    >>> place(np.zeros((1, 5), "float32"), genes, (2, 3), np.random.default_rng()).tolist()
    [3, 1, 4, 2, 0]
    """
    rank, start = _locate(genes)
    return spread_along(np.arange(shape[0] * shape[1]), np.lexsort((start, rank)))


def count_without_position(genes: pd.DataFrame) -> int:
    """Count the genes that `place` puts last because their position is not known.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        With the columns ``chromosome`` and ``start``.

    Returns
    -------
    int
        Number of genes that lack either.

    Raises
    ------
    CohortError
        If the gene table has no ``chromosome`` or no ``start``.

    Examples
    --------
    >>> count_without_position(pd.DataFrame({"chromosome": ["X", None], "start": [5, 7]}))
    1
    """
    return int(np.isinf(_locate(genes)[0]).sum())


def _locate(genes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return each gene's chromosome as a rank, infinite without a position, and its start."""
    missing = [column for column in _NEEDED if column not in genes]
    if missing:
        raise CohortError(
            f"The gene table must have the columns {' and '.join(_NEEDED)} to order genes by chromosome, but "
            f"lacks {' and '.join(missing)}. Give a table of positions or choose another layout method."
        )
    start = pd.to_numeric(genes["start"], errors="coerce").to_numpy(np.float64, na_value=np.nan)
    # A column of whole numbers with gaps is read as 1.0, 2.0, ...
    names = genes["chromosome"].astype("string").str.strip().str.replace(r"\.0$", "", regex=True)
    names = names.str.replace(r"^chr(?=.)", "", case=False, regex=True).str.upper()
    names = names.replace("M", "MT").mask(names == "")
    others = sorted(set(names.dropna()) - set(_CHROMOSOMES))
    ranks = {name: rank for rank, name in enumerate((*_CHROMOSOMES, *others))}
    rank = names.map(ranks).to_numpy(np.float64, na_value=np.nan)
    placed = np.isfinite(rank) & np.isfinite(start)
    return np.where(placed, rank, np.inf), np.where(placed, start, np.inf)
