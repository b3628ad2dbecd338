"""Positions of genes: read from a table, a GTF, NCBI's gene_info or a TCGA GAF, and matched to genes.

Which of them a file is shows in its content:

- a GTF of GENCODE or Ensembl has nine columns, of which the third says ``gene``;
- NCBI's gene_info begins with ``#tax_id`` and ``GeneID``. It knows no base pairs, only cytogenetic bands, so
  genes are ordered by band, and those of one band keep the order of the cohort;
- a TCGA GAF has the columns ``Gene`` (``SYMBOL|ENTREZ``) and ``GeneLocus`` (``chr:start-end:strand``);
- any other file is a table with ``chromosome``, ``start`` and ``entrez`` or ``symbol``.
"""

import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.readers.file_content import open_bytes, refuse_unreadable
from expressionist.data.readers.gene_ids import UNNAMED
from expressionist.data.readers.text_tables import need_columns, read_tabbed, read_texts
from expressionist.errors import CohortError
from expressionist.files import md5

# What genes are looked up by, in this order.
KEYS = ("entrez", "ensembl", "symbol")
_BUILD = re.compile(r"GRC[hm]\d+|\bhg\d+|\bNCBI\d+")
_ENSEMBL = re.compile(r"(ENS[A-Z]*G\d+)\.\S+")
_ATTRIBUTE = re.compile(r'(gene_id|gene_name) "([^"]*)"')
_LOCUS = r"^(?:chr)?([^:]+):(\d+)-"
_BAND = r"([pq])(\d+(?:\.\d+)?|ter)|(cen)"
_N_LINES_LOOKED_AT = 100


def place_genes(genes: pd.DataFrame, path: Path | None) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Give genes their places by a file, if there is one, and return what is known of it beside them."""
    if path is None:
        return genes, None
    table, about = read_positions(path)
    return attach_positions(genes, table), about


def read_positions(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read gene positions in any of the formats that are known, plain or packed.

    The table has ``chromosome`` (str), ``start`` (float: base pairs, or the rank of a band) and those of
    `KEYS` (str) that are known, without rows that have no place. Beside it stand ``format``, ``build`` (None
    where the file says none), ``unit`` of start, ``file`` and ``md5``. A file without a place is refused.
    """
    lines = list(islice(_read_lines(path), _N_LINES_LOOKED_AT))
    comments = [line for line in lines if line.startswith("#") and line.count("\t") < 2]
    first = next((line for line in lines if line not in comments), "").split("\t")
    build = _find_build(comments)
    if first[:2] in (["#tax_id", "GeneID"], ["tax_id", "GeneID"]):
        kind, table = "NCBI gene_info", _read_gene_info(path, lines[0].split("\t"))
    elif {"Gene", "GeneLocus"} <= set(first):
        kind, table, build = "TCGA GAF", _read_gaf(path), _find_build(lines)
    elif len(first) == 9 and first[3].isdecimal() and "gene_id" in first[8]:
        kind, table = "GTF", _read_gtf(path)
    else:
        kind, table = "table", _read_table(path)
    if table.empty:
        raise CohortError(f"{path} must place some genes, but got a {kind} with none. Name another file.")
    unit = "cytogenetic band" if kind == "NCBI gene_info" else "base pairs"
    return table, {"format": kind, "build": build, "unit": unit, "file": path.name, "md5": md5(path)}


def _find_build(lines: Iterable[str]) -> str | None:
    return next((found[0] for line in lines if (found := _BUILD.search(line))), None)


def attach_positions(genes: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Give genes their chromosome and start, by Entrez id, else by Ensembl id, else by symbol.

    Where a key stands several times in the table its first row counts. A version of an Ensembl id
    (``ENSG00000141510.16``) is not looked at. Both ids are those of the columns ``entrez`` and ``ensembl``
    where genes have them. A gene known by nothing but its id takes its symbol from the table too. What is
    unknown is NaN.
    """
    ids = genes.index.to_series()
    sought = {
        "entrez": genes.get("entrez", ids),
        "ensembl": genes.get("ensembl", _drop_versions(ids)),
        "symbol": genes["symbol"].where(genes["symbol"] != UNNAMED),
    }
    found = genes.assign(chromosome=pd.Series(np.nan, index=genes.index, dtype=object), start=np.nan)
    for key in KEYS:
        if key in table:
            rows = table[~table[key].isin(["", "NA"])].drop_duplicates(key).set_index(key)
            _fill(found, sought[key], rows)
            if "symbol" in rows:
                _name(found, sought[key], rows["symbol"])
    return found


def _fill(genes: pd.DataFrame, sought: pd.Series, rows: pd.DataFrame) -> None:
    known = (genes["chromosome"].isna() & sought.isin(rows.index)).to_numpy()
    for name in ("chromosome", "start"):
        genes.loc[known, name] = rows.loc[sought[known], name].to_numpy()


def _name(genes: pd.DataFrame, sought: pd.Series, symbol_of: pd.Series) -> None:
    symbols = sought.map(symbol_of)
    named = (genes["symbol"] == genes.index).to_numpy() & (symbols.fillna("") != "").to_numpy()
    genes.loc[named, "symbol"] = symbols[named]


def _drop_versions(ids: pd.Series) -> pd.Series:
    return ids.astype(str).str.replace(_ENSEMBL, r"\1", regex=True)


def _read_lines(path: Path) -> Iterator[str]:
    # A gene's name is ASCII; what stands in descriptions beside it must not stop the reading.
    with refuse_unreadable(path), open_bytes(path) as stream:
        for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline=None):
            yield line.rstrip("\n")


def _read_table(path: Path) -> pd.DataFrame:
    table = read_texts(path)
    mend = "Name the columns so, or give a GTF, NCBI's gene_info or a TCGA GAF."
    need_columns(path, table.columns, ["chromosome", "start"], mend)
    keys = [key for key in KEYS if key in table]
    if not keys:
        need_columns(path, table.columns, ["entrez"], mend)
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


def _read_gene_info(path: Path, header: list[str]) -> pd.DataFrame:
    columns = ["GeneID", "Symbol", "chromosome", "map_location"]
    need_columns(path, header, columns, "Fetch it anew from NCBI.")
    info = read_tabbed(path, columns)
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


def _read_gaf(path: Path) -> pd.DataFrame:
    rows = read_tabbed(path, ["Gene", "GeneLocus"]).drop_duplicates()
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
    return table.dropna()
