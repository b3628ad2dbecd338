"""What human genes are called: symbols of today and of former years, Entrez, Ensembl and miRBase ids."""

import re
from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import pandas as pd

from expressionist.data.resources import read_resource

UNKNOWN, AMBIGUOUS = -1, -2
# `ENSGR0000182378` is how GENCODE wrote `ENSG00000182378_PAR_Y` up to version 24.
_Y_COPY = re.compile(r"(ENSG)R(\d{10})(?:\.\d+)?|(ENSG\d{11})(?:\.\d+)?_PAR_Y")
_ENSEMBL = re.compile(r"(ENS[A-Z]*\d{11})(?:\.\d+)?")
_MICRO_RNA = re.compile(r"MIR(LET)?(\d+)([A-Z]*)-?(\d*)")


def cut_version(name: str) -> str:
    """Cut the version off an Ensembl id, and the mark of the copy on Y; any other name stays as it is.

    Examples
    --------
    >>> cut_version("ENSG00000141510.18"), cut_version("ENSG00000182378.15_PAR_Y"), cut_version("TP53")
    ('ENSG00000141510', 'ENSG00000182378', 'TP53')
    """
    if not name.startswith("ENS"):
        return name
    if on_y := _Y_COPY.fullmatch(name):
        return on_y[3] or f"{on_y[1]}0{on_y[2]}"
    match = _ENSEMBL.fullmatch(name)
    return match[1] if match else name


def is_y_copy(name: str) -> bool:
    """Tell whether an Ensembl id is that of a gene's copy on Y, in the part that X and Y share.

    Its reads are counted under the id on X; STAR gives it 0.
    """
    return _Y_COPY.fullmatch(name) is not None


class Nomenclature:
    """Finds human genes by any name that they have or had.

    Today's names come first: Entrez id, Ensembl id (any version), miRBase's name and accession, approved
    symbol. Then a gene's former symbols, then its aliases, in the case in which HGNC writes them. A former
    symbol, or an alias, that several genes share is ambiguous.

    Parameters
    ----------
    table : pandas.DataFrame
        A row for each gene, all text: ``symbol``, ``previous`` and ``alias`` (several split by ``|``),
        ``entrez``, ``ensembl``, ``mirbase`` (accession); empty where there is none.

    Examples
    --------
    >>> columns = ["symbol", "previous", "alias", "entrez", "ensembl", "mirbase"]
    >>> table = pd.DataFrame([["KMT2D", "MLL2|TNRC21", "ALR", "8085", "", ""]], columns=columns)
    >>> Nomenclature(table).find(["MLL2", "KMT2D|8085", "TP53"]).tolist()
    [0, 0, -1]
    """

    def __init__(self, table: pd.DataFrame) -> None:
        columns = {name: table[name].tolist() for name in table}
        micro_rnas = [
            _name_micro_rna(symbol) if accession else ""
            for symbol, accession in zip(columns["symbol"], columns["mirbase"], strict=True)
        ]
        ids = (micro_rnas, columns["mirbase"], columns["ensembl"], columns["entrez"])
        # What comes later counts for more.
        self._present: dict[str, int] = {}
        for names in (columns["symbol"], *ids):
            self._present |= _number(names)
        self._former = {**_number(columns["alias"]), **_number(columns["previous"])}
        # The last row, which is that of UNKNOWN, is empty.
        self._about = np.array(
            [(*columns[name], "") for name in ("entrez", "ensembl", "symbol")], dtype=object
        ).T

    def find(self, names: Iterable[str], *, former: bool = True) -> np.ndarray:
        """Find the gene of every name, as its row in the table.

        Parameters
        ----------
        names : iterable of str
            Of any kind, mixed too. Of ``SYMBOL|ENTREZ`` the id counts, or the symbol where HGNC does not know
            the id.
        former : bool
            Whether former symbols and aliases count.

        Returns
        -------
        numpy.ndarray of shape (n_names,)
            Row of the gene; `UNKNOWN` (-1) where there is none, `AMBIGUOUS` (-2) where there are several.
        """
        return np.array([self._find(name, former=former) for name in names], dtype=np.intp)

    def _find(self, name: str, *, former: bool) -> int:
        symbol, bar, entrez = name.partition("|")
        if bar:
            row = self._present.get(entrez, UNKNOWN)
            return self._find(symbol, former=True) if row == UNKNOWN and former else row
        name = cut_version(name)
        row = self._present.get(name, UNKNOWN)
        return self._former.get(name, UNKNOWN) if row == UNKNOWN and former else row

    def annotate(self, names: Sequence[str]) -> pd.DataFrame:
        """Give the present names of genes.

        Where two names are those of one gene, one that it only had formerly says nothing: at that time it was
        perhaps another gene's.

        Parameters
        ----------
        names : sequence of str
            As for `find`.

        Returns
        -------
        pandas.DataFrame of length n_names
            ``entrez``, ``ensembl`` and ``symbol``, empty where unknown. A name that is an id is given as
            such, known or not.
        """
        rows = self.find(names)
        twice = pd.Series(rows).duplicated(keep=False).to_numpy()
        rows[twice & (rows != self.find(names, former=False))] = UNKNOWN
        entrez, ensembl, symbols = self._about[np.maximum(rows, UNKNOWN)].T
        for place, name in enumerate(names):
            _, bar, own = name.rpartition("|")
            if own.isdecimal() and (bar or rows[place] < 0):
                # HGNC may know the symbol under a newer id.
                entrez[place] = own
            elif rows[place] < 0 and _ENSEMBL.fullmatch(cut_version(name)):
                ensembl[place] = cut_version(name)
        return pd.DataFrame({"entrez": entrez, "ensembl": ensembl, "symbol": symbols}, dtype=object)


def _number(cells: Sequence[str]) -> dict[str, int]:
    """Give the row of every name in a column, or `AMBIGUOUS` where rows differ."""
    found: dict[str, int] = {}
    for row, cell in enumerate(cells):
        for name in cell.split("|") if cell else ():
            if found.setdefault(name, row) != row:
                found[name] = AMBIGUOUS
    return found


def _name_micro_rna(symbol: str) -> str:
    """Turn HGNC's symbol of a miRNA into miRBase's name of its stem-loop.

    >>> [_name_micro_rna(symbol) for symbol in ("MIR21", "MIRLET7A1", "MIR29B1", "MIR1-1")]
    ['hsa-mir-21', 'hsa-let-7a-1', 'hsa-mir-29b-1', 'hsa-mir-1-1']
    """
    match = _MICRO_RNA.fullmatch(symbol)
    if match is None:
        return ""
    family = "let" if match[1] else "mir"
    return "-".join(part for part in ("hsa", family, match[2] + match[3].lower(), match[4]) if part)


@cache
def load_nomenclature() -> Nomenclature:
    """Load the package's own table of HGNC's genes, once in a process.

    Examples
    --------
    >>> load_nomenclature().annotate(["MLL2", "ENSG00000141510.18"]).to_numpy().tolist()
    [['8085', 'ENSG00000167548', 'KMT2D'], ['7157', 'ENSG00000141510', 'TP53']]
    """
    return Nomenclature(read_resource("hgnc.tsv.gz"))
