"""Which gene of a table a name means: by id, else by symbol, else by any name that it has or had."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from expressionist.data.nomenclature import (
    AMBIGUOUS,
    UNKNOWN,
    Nomenclature,
    cut_version,
    is_y_copy,
    load_nomenclature,
)

# How a name was found, the surer way first.
BY_ID, BY_SYMBOL, BY_PRESENT_NAME, BY_FORMER_NAME = range(4)
# Aliases of genes (MID1, PLXNA3, AMACR, TBXT) that stand for something else above clinical columns.
_NO_GENES = frozenset({"OS", "SEX", "RACE", "T"})


@dataclass(frozen=True)
class GeneMatch:
    """The gene of every name.

    Parameters
    ----------
    rows : numpy.ndarray of shape (n_names,)
        Row in the table; -1 where there is none, -2 where the name is that of several genes.
    ways : numpy.ndarray of shape (n_names,)
        How it was found; a smaller number is surer.
    """

    rows: np.ndarray
    ways: np.ndarray


def match_genes(
    names: Sequence[str], genes: pd.DataFrame, nomenclature: Nomenclature | None = None
) -> GeneMatch:
    """Find the genes of a table that names mean, one name by one.

    A name is the gene whose id it is, the version of an Ensembl id aside; for ``SYMBOL|ENTREZ``, the gene
    whose id stands behind the bar (or before it, where ids are symbols); else the gene with this symbol. What
    is left goes by HGNC's names.

    Parameters
    ----------
    names : sequence of str
        Of any kinds.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, with ``symbol``. Where it has ``entrez`` and ``ensembl``, genes are known to HGNC
        by them only, else by id or symbol.
    nomenclature : Nomenclature, optional
        HGNC's names; the package's own copy of them if not given.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["TP53", "KMT2D"]}, index=["7157", "8085"])
    >>> match_genes(["MLL2", "TP53", "ENSG00000141510.18", "MYC"], genes).rows.tolist()
    [1, 0, 0, -1]
    """
    by_id = {str(gene): row for row, gene in enumerate(genes.index)}
    symbols = genes["symbol"].astype(str)
    shared = set(symbols[symbols.duplicated()]) | {"?"}
    by_symbol = {symbol: row for row, symbol in enumerate(symbols) if symbol not in shared}
    found = [_find_row(name, by_id, by_symbol) for name in names]
    rows, ways = np.array(found, np.intp).reshape(-1, 2).T
    # What a table calls several genes is no name of one.
    none = shared | _NO_GENES
    left = [place for place in np.flatnonzero(rows < 0).tolist() if names[place] not in none]
    if left and len(set(rows[rows >= 0])) < len(genes):
        rows[left], ways[left] = _translate(
            [names[place] for place in left], genes, nomenclature or load_nomenclature()
        )
    return GeneMatch(rows, ways)


def _find_row(name: str, by_id: dict[str, int], by_symbol: dict[str, int]) -> tuple[int, int]:
    symbol, bar, identity = name.partition("|")
    for each in (name, identity, "" if is_y_copy(name) else cut_version(name)):
        if each in by_id:
            return by_id[each], BY_ID
    # A name with an id never goes by its unique symbol: another id under the same symbol is another gene.
    return (by_id if bar else by_symbol).get(symbol, UNKNOWN), BY_SYMBOL


def _translate(
    names: Sequence[str], genes: pd.DataFrame, nomenclature: Nomenclature
) -> tuple[np.ndarray, np.ndarray]:
    """Find genes by HGNC's names; a gene that the table has twice, and the copy of one on Y, is none."""
    own = pd.Series(_find_known(genes, nomenclature))
    own = own[(own >= 0) & ~own.duplicated(keep=False)]
    rows_of = pd.Series(own.index, index=own.to_numpy())
    found = nomenclature.find(names)
    rows = rows_of.reindex(found, fill_value=UNKNOWN).to_numpy(np.intp)
    rows[found == AMBIGUOUS] = AMBIGUOUS
    rows[[is_y_copy(name) for name in names]] = UNKNOWN
    is_present = nomenclature.find(names, former=False) == found
    return rows, np.where(is_present, BY_PRESENT_NAME, BY_FORMER_NAME)


def _find_known(genes: pd.DataFrame, nomenclature: Nomenclature) -> np.ndarray:
    """Give every gene of a table its row in the nomenclature."""
    keys = ("entrez", "ensembl") if "entrez" in genes and "ensembl" in genes else (None, "symbol")
    first, second = ((genes.index if key is None else genes[key].fillna("")).astype(str) for key in keys)
    rows = nomenclature.find(first)
    return np.where(rows >= 0, rows, nomenclature.find(second))
