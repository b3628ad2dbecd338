"""Gene ids, symbols and positions, as the file sources share them."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.errors import CohortError, name_some
from expressionist.sources._tables import need_columns, read_texts

UNNAMED = "?"
_SYMBOL_AND_ENTREZ = re.compile(r"(.+)\|(\d+)")


def split_gene_names(names: Sequence[str], path: Path) -> pd.DataFrame:
    """Tell ids and symbols of genes apart.

    ``SYMBOL|ENTREZ``, as TCGA writes it, gives the Entrez id as id, because symbols repeat (SLC35E2) or are
    unknown (``?``); any other name, such as that of a miRNA, is id and symbol at once.

    Parameters
    ----------
    names : sequence of str
        Genes as the file names them.
    path : pathlib.Path
        The file, for messages.

    Returns
    -------
    pandas.DataFrame of length n_genes
        Indexed by gene id, with the column ``symbol``.

    Raises
    ------
    CohortError
        If a name is empty or an id stands twice.

    Examples
    --------
    >>> split_gene_names(["TP53|7157", "?|10357", "hsa-let-7a-1"], Path("x.tsv"))["symbol"].to_dict()
    {'7157': 'TP53', '10357': '?', 'hsa-let-7a-1': 'hsa-let-7a-1'}
    """
    matches = [_SYMBOL_AND_ENTREZ.fullmatch(name) for name in names]
    ids = [match[2] if match else name for match, name in zip(matches, names, strict=True)]
    symbols = [match[1] if match else name for match, name in zip(matches, names, strict=True)]
    genes = pd.DataFrame({"symbol": symbols}, index=pd.Index(ids, name="gene", dtype=object), dtype=object)
    check_ids(genes.index, "gene", path)
    return genes


def check_ids(ids: pd.Index, kind: str, path: Path) -> None:
    """Refuse empty and repeated ids of genes or samples.

    Raises
    ------
    CohortError
        If an id is empty or stands twice.
    """
    empty = np.flatnonzero(ids == "")
    if len(empty):
        raise CohortError(
            f"Every {kind} in {path} must have an id, but got none for {len(empty)}: "
            f"number {name_some(empty + 1)}. Name or remove them."
        )
    twice = list(dict.fromkeys(ids[ids.duplicated()]))
    if twice:
        raise CohortError(
            f"Every {kind} in {path} must stand once, but got more often: {name_some(twice)}. "
            "Drop or rename the repeats."
        )


def read_positions(path: Path) -> pd.DataFrame:
    """Read a table of gene positions.

    Parameters
    ----------
    path : pathlib.Path
        A text table with the columns ``chromosome``, ``start`` and at least one of ``entrez`` and ``symbol``.

    Returns
    -------
    pandas.DataFrame
        ``chromosome`` (str), ``start`` (float, base pairs), and those of ``entrez`` and ``symbol`` (str)
        that are there. Rows without a place are left out.

    Raises
    ------
    CohortError
        If a column is missing or a start is no number.
    """
    table = read_texts(path)
    mend = "Name the columns so."
    need_columns(path, table.columns.tolist(), ["chromosome", "start"], mend)
    keys = [key for key in ("entrez", "symbol") if key in table]
    if not keys:
        need_columns(path, table.columns.tolist(), ["entrez"], mend)
    start = pd.to_numeric(table["start"].where(table["start"] != ""), errors="coerce")
    bad = start.isna().to_numpy() & ~table["start"].isin(["", "NA"]).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise CohortError(
            f"{path}, line {row + 2}: start must be a number, but got {table['start'].iloc[row]!r}. "
            "Correct the cell."
        )
    known = start.notna() & (table["chromosome"] != "")
    return table[[*keys, "chromosome"]].assign(start=start.astype(np.float64))[known]


def attach_positions(genes: pd.DataFrame, positions: pd.DataFrame) -> pd.DataFrame:
    """Give genes their chromosome and start, by Entrez id and, where that fails, by symbol.

    Where a key stands several times in the table its first row counts. A gene known by nothing but its Entrez
    id takes its symbol from the table too.

    Parameters
    ----------
    genes : pandas.DataFrame
        Indexed by gene id, with the column ``symbol``.
    positions : pandas.DataFrame
        As `read_positions` gives it.

    Returns
    -------
    pandas.DataFrame
        The genes, with ``chromosome`` (str, NaN where unknown) and ``start`` (float, NaN where unknown).

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["TP53", "?"]}, index=["7157", "1"])
    >>> table = pd.DataFrame({"symbol": ["TP53"], "chromosome": ["17"], "start": [7565097.0]})
    >>> attach_positions(genes, table)["chromosome"].tolist()
    ['17', nan]
    """
    found = genes.assign(chromosome=pd.Series(np.nan, index=genes.index, dtype=object), start=np.nan)
    if "entrez" in positions:
        _fill(found, pd.Series(found.index, index=found.index), positions, "entrez")
    if "symbol" in positions:
        _fill(found, found["symbol"].where(found["symbol"] != UNNAMED), positions, "symbol")
    if {"entrez", "symbol"} <= set(positions):
        nameless = found["symbol"].to_numpy() == found.index.to_numpy()
        symbols = found.index.to_series().map(_first(positions, "entrez")["symbol"])
        named = nameless & (symbols.fillna("") != "").to_numpy()
        found.loc[named, "symbol"] = symbols[named]
    return found


def _fill(genes: pd.DataFrame, keys: pd.Series, positions: pd.DataFrame, column: str) -> None:
    rows = _first(positions, column)
    known = (genes["chromosome"].isna() & keys.isin(rows.index)).to_numpy()
    for name in ("chromosome", "start"):
        genes.loc[known, name] = rows.loc[keys[known], name].to_numpy()


def _first(positions: pd.DataFrame, column: str) -> pd.DataFrame:
    rows = positions[~positions[column].isin(["", "NA"])]
    return rows[~rows[column].duplicated()].set_index(column)
