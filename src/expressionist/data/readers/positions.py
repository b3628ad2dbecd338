"""Positions of genes: read from a table, a GTF, NCBI's gene_info or a TCGA GAF, and matched to genes.

Which of them a file is shows in its content:

- a GTF of GENCODE or Ensembl has nine columns, of which the third says ``gene``;
- NCBI's gene_info begins with ``#tax_id`` and ``GeneID``. It knows no base pairs, only cytogenetic bands, so
  genes are ordered by band, and those of one band keep the order of the cohort;
- a TCGA GAF has the columns ``Gene`` (``SYMBOL|ENTREZ``) and ``GeneLocus`` (``chr:start-end:strand``);
- any other file is a table with ``chromosome``, ``start`` and ``entrez`` or ``symbol``.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.readers.files import open_bytes, refuse_unreadable
from expressionist.data.readers.gene_names import UNNAMED
from expressionist.data.readers.raw_files import digest_file
from expressionist.data.readers.tables import need_columns, read_texts
from expressionist.errors import CohortError

# What genes are looked up by, in this order.
KEYS = ("entrez", "ensembl", "symbol")
_BUILD = re.compile(r"GRC[hm]\d+|\bhg\d+|\bNCBI\d+")
_ENSEMBL = re.compile(r"(ENS[A-Z]*G\d+)\.\S+")
_ATTRIBUTE = re.compile(r'(gene_id|gene_name) "([^"]*)"')
_LOCUS = r"^(?:chr)?([^:]+):(\d+)-"
_BAND = r"([pq])(\d+(?:\.\d+)?|ter)|(cen)"
_N_LINES_LOOKED_AT = 100


@dataclass(frozen=True, eq=False)
class Positions:
    """Where genes lie.

    Parameters
    ----------
    table : pandas.DataFrame
        ``chromosome`` (str), ``start`` (float: base pairs, or the rank of a band) and those of `KEYS` (str)
        that are known. Rows without a place are left out.
    about : dict
        ``format``, ``build`` (None where the file says none), ``unit`` of start, ``file`` and ``md5``.
    """

    table: pd.DataFrame
    about: dict[str, Any]


def read_positions(path: Path) -> Positions:
    """Read gene positions in any of the formats that are known.

    Parameters
    ----------
    path : pathlib.Path
        The file, plain or packed.

    Returns
    -------
    Positions
        Where its genes lie.

    Raises
    ------
    CohortError
        If a column is missing, a start is no number, or no gene has a place.
    """
    lines = _read_start(path)
    comments = [line for line in lines if line.startswith("#") and line.count("\t") < 2]
    first = next((line for line in lines if line not in comments), "").split("\t")
    build = next((found[0] for line in comments if (found := _BUILD.search(line))), None)
    if first[:2] in (["#tax_id", "GeneID"], ["tax_id", "GeneID"]):
        kind, table = "NCBI gene_info", _read_gene_info(path)
    elif {"Gene", "GeneLocus"} <= set(first):
        kind, table, build = "TCGA GAF", *_read_gaf(path)
    elif len(first) == 9 and first[3].isdecimal() and "gene_id" in first[8]:
        kind, table = "GTF", _read_gtf(path)
    else:
        kind, table = "table", _read_table(path)
    if table.empty:
        raise CohortError(f"{path} must place some genes, but got a {kind} with none. Name another file.")
    unit = "cytogenetic band" if kind == "NCBI gene_info" else "base pairs"
    about = {"format": kind, "build": build, "unit": unit, "file": path.name, "md5": digest_file(path)}
    return Positions(table, about)


def attach_positions(genes: pd.DataFrame, positions: Positions) -> pd.DataFrame:
    """Give genes their chromosome and start, by Entrez id, else by Ensembl id, else by symbol.

    Where a key stands several times in the table its first row counts. A version of an Ensembl id
    (``ENSG00000141510.16``) is not looked at. A gene known by nothing but its id takes its symbol from the
    table too.

    Parameters
    ----------
    genes : pandas.DataFrame
        Indexed by gene id, with the column ``symbol``.
    positions : Positions
        As `read_positions` gives them.

    Returns
    -------
    pandas.DataFrame
        The genes, with ``chromosome`` (str, NaN where unknown) and ``start`` (float, NaN where unknown).

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["TP53", "?"]}, index=["7157", "1"])
    >>> table = pd.DataFrame({"symbol": ["TP53"], "chromosome": ["17"], "start": [7565097.0]})
    >>> attach_positions(genes, Positions(table, {}))["chromosome"].tolist()
    ['17', nan]
    """
    table = positions.table
    ids = genes.index.to_series()
    sought = {
        "entrez": ids,
        "ensembl": _drop_versions(ids),
        "symbol": genes["symbol"].where(genes["symbol"] != UNNAMED),
    }
    found = genes.assign(chromosome=pd.Series(np.nan, index=genes.index, dtype=object), start=np.nan)
    for key in KEYS:
        if key in table:
            _fill(found, sought[key], table, key)
    for key in ("entrez", "ensembl"):
        if {key, "symbol"} <= set(table):
            _name(found, sought[key], table, key)
    return found


def _fill(genes: pd.DataFrame, sought: pd.Series, table: pd.DataFrame, key: str) -> None:
    rows = _first(table, key)
    known = (genes["chromosome"].isna() & sought.isin(rows.index)).to_numpy()
    for name in ("chromosome", "start"):
        genes.loc[known, name] = rows.loc[sought[known], name].to_numpy()


def _name(genes: pd.DataFrame, sought: pd.Series, table: pd.DataFrame, key: str) -> None:
    nameless = genes["symbol"].to_numpy() == genes.index.to_numpy()
    symbols = sought.map(_first(table, key)["symbol"])
    named = nameless & (symbols.fillna("") != "").to_numpy()
    genes.loc[named, "symbol"] = symbols[named]


def _first(table: pd.DataFrame, key: str) -> pd.DataFrame:
    rows = table[~table[key].isin(["", "NA"])]
    return rows[~rows[key].duplicated()].set_index(key)


def _drop_versions(ids: pd.Series) -> pd.Series:
    return ids.astype(str).str.replace(_ENSEMBL, r"\1", regex=True)


def _read_lines(path: Path) -> Iterator[str]:
    # A gene's name is ASCII; what stands in descriptions beside it must not stop the reading.
    with refuse_unreadable(path), open_bytes(path) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline=None):
            yield line.rstrip("\n")


def _read_start(path: Path) -> list[str]:
    return list(islice(_read_lines(path), _N_LINES_LOOKED_AT))


def _read_columns(path: Path, columns: list[str]) -> pd.DataFrame:
    """Read some columns of a tab-separated table as text."""
    with refuse_unreadable(path), open_bytes(path) as stream:
        return pd.read_csv(
            stream,
            sep="\t",
            usecols=columns,
            dtype=str,
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
            encoding_errors="replace",
        )


def _read_table(path: Path) -> pd.DataFrame:
    table = read_texts(path)
    mend = "Name the columns so, or give a GTF, NCBI's gene_info or a TCGA GAF."
    need_columns(path, table.columns.tolist(), ["chromosome", "start"], mend)
    keys = [key for key in KEYS if key in table]
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
    if "ensembl" in table:
        table["ensembl"] = _drop_versions(table["ensembl"])
    return table[[*keys, "chromosome"]].assign(start=start.astype(np.float64))[known]


def _read_gtf(path: Path) -> pd.DataFrame:
    rows = []
    for line in _read_lines(path):
        if "\tgene\t" not in line:
            continue
        chromosome, _, _, start, *_, attributes = line.split("\t", 8)
        said = dict(_ATTRIBUTE.findall(attributes))
        name = _name_chromosome(chromosome)
        rows.append((said.get("gene_id", ""), said.get("gene_name", ""), name, float(start)))
    table = pd.DataFrame(rows, columns=["ensembl", "symbol", "chromosome", "start"])
    return table.assign(ensembl=_drop_versions(table["ensembl"]))


def _name_chromosome(name: str) -> str:
    name = name.removeprefix("chr")
    return "MT" if name == "M" else name


def _read_gene_info(path: Path) -> pd.DataFrame:
    header = _read_start(path)[0].split("\t")
    need_columns(path, header, ["GeneID", "Symbol", "chromosome", "map_location"], "Fetch it anew from NCBI.")
    info = _read_columns(path, ["GeneID", "Symbol", "chromosome", "map_location"])
    table = pd.DataFrame(
        {
            "entrez": info["GeneID"],
            "symbol": info["Symbol"],
            # A gene of X and Y, and one of several copies, is placed by the first.
            "chromosome": info["chromosome"].str.split("|").str[0],
            "start": _rank_bands(info["map_location"]),
        }
    )
    return table[table["start"].notna() & ~table["chromosome"].isin(["-", "Un", ""])]


def _rank_bands(bands: pd.Series) -> pd.Series:
    """Put cytogenetic bands into order along a chromosome: 0 is pter, 100 the centromere, 200 qter.

    Bands are counted from the centromere, and their digits are read as decimals: q21.3 lies before q21.31.

    Examples
    --------
    >>> _rank_bands(pd.Series(["17p13.1", "9q34.3", "1q21-q22", "Xpter", "2cen", "-"])).tolist()
    [86.9, 134.3, 121.0, 0.0, 100.0, nan]
    """
    parts = bands.str.extract(_BAND)
    away = parts[1].replace("ter", "100").astype(float)
    rank = (100 + away).where(parts[0] == "q", 100 - away)
    return rank.mask(parts[2] == "cen", 100.0)


def _read_gaf(path: Path) -> tuple[pd.DataFrame, str | None]:
    rows = _read_columns(path, ["Gene", "GeneLocus"]).drop_duplicates()
    names = rows["Gene"].str.extract(r"^([^|;]+)\|(\d+)")
    # A gene of several places stands at the first.
    places = rows["GeneLocus"].str.extract(_LOCUS)
    table = pd.DataFrame(
        {
            "entrez": names[1],
            "symbol": names[0].replace(UNNAMED, ""),
            "chromosome": places[0].map(_name_chromosome, na_action="ignore"),
            "start": places[1].astype(float),
        }
    )
    build = next((found[0] for line in _read_start(path) if (found := _BUILD.search(line))), None)
    return table.dropna(), build
