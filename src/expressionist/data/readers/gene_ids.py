"""Gene ids: their kinds told apart, mixed ones translated, and refused where Excel has mangled them.

What Excel makes of gene names is described by Ziemann et al. 2016, Genome Biology 17:177.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.names import refuse_names
from expressionist.data.nomenclature import (
    AMBIGUOUS,
    Nomenclature,
    cut_version,
    is_y_copy,
    load_nomenclature,
)
from expressionist.data.quality import count_dropped, count_kept
from expressionist.data.readers.row_source import RowSource, cut_rows, keep_genes
from expressionist.errors import CohortError, name_some

UNNAMED = "?"
_SYMBOL_AND_ENTREZ = re.compile(r"(.+)\|(\d+)")
# Rows that count reads without a gene, as STAR and HTSeq write them.
_NO_GENE = re.compile(
    "N_(unmapped|multimapping|noFeature|ambiguous)"
    "|__(no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique)"
)
# What rows of totals are called, and no human gene is or was; that a row is one, its values must say. The
# sum of numbers rounded to four digits, and rounded so itself, is off by a thousandth at most.
_TOTAL = re.compile(r"_*(total|sum)s?(_counts?|_reads?)?_*", re.IGNORECASE)
_ROUNDED = 1e-3
# Real files have strays: 92 ERCC spike-ins stand among 60,000 Ensembl ids. Files joined from two annotations
# have far more than one in a hundred.
_TOLERATED_STRAYS = 0.01
_PATTERNS = {
    "SYMBOL|ENTREZ": _SYMBOL_AND_ENTREZ,
    "ensembl": re.compile(r"ENS[A-Z]{0,6}[GTP]\d{11}(\.\d+)?(_PAR_Y)?|ENSGR\d{10}(\.\d+)?"),
    "mirna": re.compile(r"[a-z]{3}-(mir|let|lin|lsy|bantam|iab)-?.*|MI(MAT)?\d{7}", re.IGNORECASE),
    "entrez": re.compile(r"\d+"),
    # HGNC's symbols are capitals, digits and hyphens, but for C1orf112; other species write Trp53.
    "symbol": re.compile(r"[A-Z][A-Z0-9]*(orf\d+)?[A-Z0-9.@-]*|[A-Z][a-z0-9]{2,9}"),
}
# A table of antibodies has ATM beside 4E-BP1_pS65: both are names, and no other kind says anything against
# that.
_NAMES = ("symbol", "other")
# What a stated kind lets through.
_STATED = {
    "symbol": _NAMES,
    "entrez": ("entrez", "SYMBOL|ENTREZ"),
    "ensembl": ("ensembl",),
    "mirna": ("mirna",),
}
KINDS = ("auto", *_STATED, "other")
# English month names, and the German ones that differ.
_MONTHS = "jan feb mar|mrz|mär apr may|mai jun jul aug sep oct|okt nov dec|dez".split()
_MONTH_NUMBERS = {name: n for n, names in enumerate(_MONTHS, start=1) for name in names.split("|")}
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_DATES = (
    re.compile(rf"(?P<day>\d{{1,2}})[-. ]{{1,2}}{_MONTH}", re.IGNORECASE),
    # Two digits: an antibody may be called Oct-4, but Excel writes Oct-04.
    re.compile(rf"{_MONTH}[-. ](?P<day>\d{{2}})", re.IGNORECASE),
    re.compile(r"(19|20)\d\d-(?P<month>\d\d)-(?P<day>\d\d)( 00:00:00)?"),
    re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(\d\d){1,2}"),
)
_FLOAT = re.compile(r"\d(\.\d+)?E\+\d+", re.IGNORECASE)
_ORIGINALS = {
    2: "FEB{0}",
    3: "MARCH{0} (now MARCHF{0}) or MARC{0} (MTARC{0})",
    4: "APR{0}",
    9: "SEPT{0} (now SEPTIN{0})",
    10: "OCT{0}",
    11: "NOV{0}",
    12: "DEC{0} (DELEC{0})",
}


@dataclass(frozen=True)
class GeneIds:
    """What gene ids turned out to be.

    `genes` is indexed by gene id, with ``symbol``, ``entrez`` and ``ensembl`` (empty where unknown), and with
    ``id_with_version`` where Ensembl's versions were cut off. `kind` is that of most of them. `rules` say
    what was done to the ids, for quality.json; `left_out` are the places of names that were left out.
    """

    genes: pd.DataFrame
    kind: str
    rules: list[dict[str, Any]]
    left_out: Sequence[int] = ()

    @property
    def n_read(self) -> int:
        """Number of names in the file."""
        return len(self.genes) + len(self.left_out)

    @property
    def kept(self) -> np.ndarray:
        """Places of the genes among the names of the file."""
        return np.delete(np.arange(self.n_read), list(self.left_out))

    def take(self, expression: np.ndarray) -> np.ndarray:
        """Take the genes of expression of shape (n_samples, n_read), as `keep_genes` does."""
        return keep_genes(expression, self.kept) if len(self.left_out) else expression


def kind_of(name: str) -> str:
    """Return the kind of one gene id.

    Examples
    --------
    >>> [kind_of(name) for name in ("TP53", "7157", "ENSG00000141510.18", "hsa-let-7a-1", "TP53|7157")]
    ['symbol', 'entrez', 'ensembl', 'mirna', 'SYMBOL|ENTREZ']
    >>> kind_of("4E-BP1_pS65")
    'other'
    """
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(name)), "other")


def guess_kind(names: Sequence[str]) -> tuple[str, list[int]]:
    """Return the commonest kind of some ids, and the positions of those that contradict it.

    Symbols and other names do not contradict each other.
    """
    kinds = np.array([kind_of(name) for name in names], dtype=object)
    is_name = np.isin(kinds, _NAMES)
    found, counts = np.unique(kinds[~is_name], return_counts=True)
    if len(found) and counts.max() > is_name.sum():
        commonest = str(found[counts.argmax()])
        return commonest, np.flatnonzero(kinds != commonest).tolist()
    commonest = "symbol" if 2 * (kinds == "symbol").sum() >= max(1, is_name.sum()) else "other"
    return commonest, np.flatnonzero(~is_name).tolist()


def identify_genes(
    names: Sequence[str],
    path: Path,
    stated: str,
    name_place: Callable[[int], str],
    symbols: Sequence[str] | None = None,
    *,
    values: np.ndarray | RowSource | None = None,
    nomenclature: Nomenclature | None = None,
) -> GeneIds:
    """Check the gene ids of a file and make its gene table.

    `stated` is one of `KINDS`: ``auto`` takes the commonest kind, and translates ids of several kinds to
    Entrez ids; ``other`` takes any name as it is. `name_place` says where in the file the n-th gene stands,
    such as ``row 3``; `symbols` may stand beside the ids. Rows that are no genes, and copies on Y, are left
    out; `values` of shape (n_samples, n_names) tell a row of totals. Ids that are empty, repeated, mangled by
    Excel or of another kind than stated are refused. `nomenclature` is the package's own if not given.
    """
    names = [name.strip() for name in names]
    refuse_names(names, "gene id", path)
    if stated == "other":
        return GeneIds(_make_genes(names, names, path).assign(entrez="", ensembl=""), "other", [])
    nomenclature = nomenclature or load_nomenclature()
    refuse_mangled(names, path, name_place)
    check_ids(pd.Index(names, dtype=object), "gene", path)
    kept, rules = leave_out(names, path, values)
    left = [names[place] for place in kept]
    kind, strays = guess_kind(left)
    if stated != "auto":
        strays = _need_stated(left, path, stated)
    elif len(strays) > _TOLERATED_STRAYS * len(left):
        genes, chosen, more = _translate(left, path, kind, strays, nomenclature)
        return GeneIds(genes, "entrez", rules + more, list_others(kept[chosen], names))
    genes = split_gene_names(_cut_versions(left, path), path)
    rules.append(count_dropped("gene id of another kind than the rest (kept)", [left[i] for i in strays]))
    if list(genes.index) != left and kind == "ensembl":
        genes["id_with_version"] = left
        cut = [name for name in left if cut_version(name) != name]
        rules.append(count_dropped("version cut off an Ensembl id (kept in id_with_version)", cut))
    told = None if symbols is None or kind != "entrez" else [symbols[place] for place in kept]
    return GeneIds(_annotate(genes, left, kind, told, nomenclature), kind, rules, list_others(kept, names))


def list_others(places: np.ndarray, names: Sequence[str]) -> list[int]:
    """List the places of all names but those at some places."""
    return np.setdiff1d(np.arange(len(names)), places).tolist()


def leave_out(
    names: Sequence[str], path: Path, values: np.ndarray | RowSource | None = None
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Give the positions of genes, and count what else stands among them; no gene at all is refused.

    What is called a total is one if `values`, of shape (n_samples, n_names), say so.
    """
    is_none = np.array([_NO_GENE.fullmatch(name) is not None for name in names], bool)
    is_copy = np.array([is_y_copy(name) for name in names], bool)
    is_total = np.array([_TOTAL.fullmatch(name) is not None for name in names], bool)
    is_total[is_total] = False if values is None else _are_totals(values, is_total, is_none)
    kept = np.flatnonzero(~is_none & ~is_copy & ~is_total)
    if len(kept) == 0:
        raise CohortError(f"{path} must have genes, but got only {name_some(names)}. Add them.")
    rules = [
        count_dropped("row of reads without a gene, as STAR and HTSeq count them", np.array(names)[is_none]),
        count_dropped("copy on Y of a gene that is counted on X (_PAR_Y)", np.array(names)[is_copy]),
        count_dropped("row that is the total of the others", np.array(names)[is_total]),
    ]
    return kept, rules


def _are_totals(values: np.ndarray | RowSource, called: np.ndarray, is_none: np.ndarray) -> np.ndarray:
    """Say which of those `called` totals are the sum of the others in all samples, with `is_none` or not."""
    found = np.full((2, int(called.sum())), called.any())
    for _, rows in cut_rows(values) if called.any() else ():
        for place, summed in enumerate((~called, ~called & ~is_none)):
            sums = np.nansum(rows[:, summed], axis=1, dtype=np.float64, keepdims=True)
            found[place] &= np.isclose(rows[:, called], sums, rtol=_ROUNDED).all(axis=0)
    return np.asarray(found.any(axis=0))


def _translate(
    names: Sequence[str], path: Path, kind: str, strays: Sequence[int], nomenclature: Nomenclature
) -> tuple[pd.DataFrame, np.ndarray, list[dict[str, Any]]]:
    """Translate ids of several kinds to Entrez ids; give the places that stay, and count the others.

    Of several names of one gene the first stays, but no former one where a present one is there.
    """
    rows = nomenclature.find(names)
    if not (rows >= 0).any():
        _refuse_mixed(names, path, kind, strays)
    order = np.argsort(nomenclature.find(names, former=False) < 0, kind="stable")
    further = np.zeros(len(names), bool)
    further[order] = (rows[order] >= 0) & pd.Series(rows[order]).duplicated().to_numpy()
    places = np.flatnonzero((rows != AMBIGUOUS) & ~further)
    chosen = [names[place] for place in places.tolist()]
    found = nomenclature.annotate(chosen).assign(name=chosen)
    found["gene"] = found["entrez"].where(found["entrez"] != "", found["name"].map(cut_version))
    beside = found["name"].str.extract(_SYMBOL_AND_ENTREZ)[0]
    found["symbol"] = beside.fillna(found["symbol"].where(found["symbol"] != "", found["gene"]))
    again = found["gene"].duplicated().to_numpy()
    further[places[again]] = True
    kept = found[~again]
    is_known = kept["entrez"] != ""
    rules = [
        count_kept("gene id of several kinds, translated to an Entrez id", kept["name"][is_known]),
        count_kept("gene id without an Entrez id at HGNC, kept as it is", kept["name"][~is_known]),
        count_dropped("gene id that is a name of several genes", np.array(names)[rows == AMBIGUOUS]),
        count_dropped("further id of a gene that stands under another", np.array(names)[further]),
    ]
    return kept.set_index("gene")[["symbol", "entrez", "ensembl"]], places[~again], rules


def _annotate(
    genes: pd.DataFrame,
    names: Sequence[str],
    kind: str,
    symbols: Sequence[str] | None,
    nomenclature: Nomenclature,
) -> pd.DataFrame:
    """Add Entrez and Ensembl ids, and symbols where the table has only ids."""
    if symbols is not None and are_row_numbers(names, symbols, nomenclature):
        names = symbols
    about = nomenclature.annotate(names)
    genes = genes.assign(entrez=about["entrez"].to_numpy(), ensembl=about["ensembl"].to_numpy())
    if kind in ("entrez", "ensembl"):
        unnamed = (genes["symbol"] == genes.index).to_numpy() & (about["symbol"] != "").to_numpy()
        genes.loc[unnamed, "symbol"] = about["symbol"].to_numpy()[unnamed]
    return genes


def are_row_numbers(names: Sequence[str], symbols: Sequence[str], nomenclature: Nomenclature) -> bool:
    """Tell row numbers, which look like Entrez ids, from those by the symbols beside them."""
    by_id, by_symbol = (nomenclature.find(each) for each in (names, symbols))
    known = (by_id >= 0) & (by_symbol >= 0)
    return bool((by_id != by_symbol)[known].sum() > known.sum() / 2)


def split_gene_names(names: Sequence[str], path: Path) -> pd.DataFrame:
    """Make a gene table, ids in its index and ``symbol``; refuse empty and repeated ids.

    ``SYMBOL|ENTREZ``, as TCGA writes it, gives the Entrez id as id, because symbols repeat (SLC35E2) or are
    unknown (``?``); any other name, such as that of a miRNA, is id and symbol at once.

    Examples
    --------
    >>> split_gene_names(["TP53|7157", "?|10357", "hsa-let-7a-1"], Path("x.tsv"))["symbol"].to_dict()
    {'7157': 'TP53', '10357': '?', 'hsa-let-7a-1': 'hsa-let-7a-1'}
    """
    matches = [_SYMBOL_AND_ENTREZ.fullmatch(name) for name in names]
    ids = [match[2] if match else name for match, name in zip(matches, names, strict=True)]
    symbols = [match[1] if match else name for match, name in zip(matches, names, strict=True)]
    return _make_genes(ids, symbols, path)


def _make_genes(ids: list[str], symbols: list[str], path: Path) -> pd.DataFrame:
    genes = pd.DataFrame({"symbol": symbols}, index=pd.Index(ids, name="gene", dtype=object), dtype=object)
    check_ids(genes.index, "gene", path)
    return genes


def check_ids(ids: pd.Index, kind: str, path: Path) -> None:
    """Refuse empty and repeated ids of genes or samples."""
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


def _need_stated(names: Sequence[str], path: Path, stated: str) -> list[int]:
    strays = [i for i, name in enumerate(names) if name and kind_of(name) not in _STATED[stated]]
    if len(strays) > _TOLERATED_STRAYS * len(names):
        raise CohortError(
            f"Gene ids in {path} must be of the stated kind, {stated}, but got {len(strays)} of "
            f"{len(names)} that are not: {name_some(names[i] for i in strays)}. State the kind that they "
            "are, or ids: auto."
        )
    return strays


def _refuse_mixed(names: Sequence[str], path: Path, kind: str, strays: Sequence[int]) -> None:
    stray, n = names[strays[0]], len(names) - len(strays)
    odd = frozenset(strays)
    first = next(name for i, name in enumerate(names) if i not in odd)
    raise CohortError(
        f"Gene ids in {path} must be of one kind, or known to HGNC, but got {n} of kind {kind} (such as "
        f"{first}) and {len(strays)} of others (such as {stray}, {kind_of(stray)}). Translate them to one "
        "kind, or take them as they are with ids: other."
    )


def _cut_versions(names: Sequence[str], path: Path) -> list[str]:
    first: dict[str, str] = {}
    for name in names:
        bare = cut_version(name)
        if bare in first:
            raise CohortError(
                f"Every Ensembl gene in {path} must stand in one version, but got {first[bare]} and {name}. "
                "Keep one of them."
            )
        first[bare] = name
    return list(first)


def name_original(name: str) -> str | None:
    """Say what a mangled gene name probably was; None for a name that Excel has not touched.

    Examples
    --------
    >>> name_original("2-Sep")
    'SEPT2 (now SEPTIN2)'
    >>> name_original("2.31E+19")
    'a RIKEN clone such as 2310009E13'
    >>> name_original("SEPT2"), name_original("Oct-4")
    (None, None)
    """
    if _FLOAT.fullmatch(name):
        return "a RIKEN clone such as 2310009E13"
    match = next((found for pattern in _DATES if (found := pattern.fullmatch(name))), None)
    if match is None:
        return None
    said = match["month"].lower()
    number = int(said) if said.isdigit() else _MONTH_NUMBERS[said]
    return _ORIGINALS.get(number, "a name like a month").format(int(match["day"]))


def refuse_mangled(names: Sequence[str], path: Path, name_place: Callable[[int], str]) -> None:
    """Refuse gene names that look like dates, or like numbers in powers of ten.

    One is enough: which genes were lost cannot be told from the file, and two genes can become one date.
    """
    mangled = [i for i, name in enumerate(names) if name_original(name)]
    if mangled:
        first = mangled[0]
        raise CohortError(
            f"{path}: gene ids must be names, but got {names[first]!r} in {name_place(first)}, which Excel "
            f"makes of {name_original(names[first])} (such names: {name_some(names[i] for i in mangled)}). "
            "Export the table again without Excel, or with that column as text."
        )
