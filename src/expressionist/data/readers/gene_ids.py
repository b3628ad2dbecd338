"""Gene ids: their kinds told apart and checked against each other, and refused where Excel has mangled them.

What Excel makes of gene names is described by Ziemann et al. 2016, Genome Biology 17:177.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.quality import count_dropped
from expressionist.errors import CohortError, name_some

UNNAMED = "?"
_SYMBOL_AND_ENTREZ = re.compile(r"(.+)\|(\d+)")
# Real files have strays: HTSeq's `__no_feature` rows and 92 ERCC spike-ins stand among 60,000 Ensembl ids.
# Files joined from two annotations have far more than one in a hundred.
_TOLERATED_STRAYS = 0.01
_PATTERNS = {
    "SYMBOL|ENTREZ": _SYMBOL_AND_ENTREZ,
    "ensembl": re.compile(r"ENS[A-Z]{0,6}[GTP]\d{11}(\.\d+)?(_PAR_Y)?"),
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
_VERSION = re.compile(r"(ENS[A-Z]*\d{11})\.\d+(_PAR_Y)?")
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

    `genes` is indexed by gene id, with ``symbol``, and with ``id_with_version`` where Ensembl's versions were
    cut off. `kind` is that of most of them. `rules` say what was done to the ids, for quality.json.
    """

    genes: pd.DataFrame
    kind: str
    rules: list[dict[str, Any]]


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
    names: Sequence[str], path: Path, stated: str, name_place: Callable[[int], str]
) -> GeneIds:
    """Check the gene ids of a file and make its gene table.

    `stated` is one of `KINDS`: ``auto`` takes the commonest kind, ``other`` takes any name as it is.
    `name_place` says where in the file the n-th gene stands, such as ``row 3``. Ids that are empty, repeated,
    mangled by Excel, of another kind than stated, or of several kinds are refused.
    """
    names = [name.strip() for name in names]
    if stated == "other":
        return GeneIds(_make_genes(names, names, path), "other", [])
    refuse_mangled(names, path, name_place)
    refuse_unprintable(names, "gene", path)
    check_ids(pd.Index(names, dtype=object), "gene", path)
    kind, strays = guess_kind(names)
    if stated != "auto":
        strays = _need_stated(names, path, stated)
    elif len(strays) > _TOLERATED_STRAYS * len(names):
        _refuse_mixed(names, path, kind, strays)
    genes = split_gene_names(_cut_versions(names, path), path)
    rules = [count_dropped("gene id of another kind than the rest (kept)", [names[i] for i in strays])]
    if list(genes.index) != names and kind == "ensembl":
        genes["id_with_version"] = names
        cut = [name for name in names if _VERSION.fullmatch(name)]
        rules.append(count_dropped("version cut off an Ensembl id (kept in id_with_version)", cut))
    return GeneIds(genes, kind, rules)


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


def refuse_unprintable(names: Sequence[str], kind: str, path: Path) -> None:
    """Refuse ids with NUL, tabs or other characters that a damaged file has and a name has not."""
    odd = next((name for name in names if not name.isprintable()), None)
    if odd is not None:
        raise CohortError(
            f"Every {kind} id in {path} must be printable text, but got {odd!r}. Check how the file was "
            "written."
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
        f"Gene ids in {path} must be of one kind, but got {n} of kind {kind} (such as {first}) and "
        f"{len(strays)} of others (such as {stray}, {kind_of(stray)}). Translate them to one kind, or take "
        "them as they are with ids: other."
    )


def _cut_versions(names: Sequence[str], path: Path) -> list[str]:
    first: dict[str, str] = {}
    for name in names:
        match = _VERSION.fullmatch(name)
        bare = match[1] + (match[2] or "") if match else name
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
