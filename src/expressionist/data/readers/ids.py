"""Kinds of gene ids: told apart, checked against each other, and cleaned of what is no part of them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.quality import count_dropped
from expressionist.data.readers.gene_names import check_ids, split_gene_names
from expressionist.data.readers.mangled import refuse_mangled
from expressionist.errors import CohortError, name_some

# Real files have strays: HTSeq's `__no_feature` rows and 92 ERCC spike-ins stand among 60,000 Ensembl ids.
# Files joined from two annotations have far more than one in a hundred.
TOLERATED_STRAYS = 0.01
_PATTERNS = {
    "SYMBOL|ENTREZ": re.compile(r".+\|\d+"),
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
    "symbol": ("symbol", "other"),
    "entrez": ("entrez", "SYMBOL|ENTREZ"),
    "ensembl": ("ensembl",),
    "mirna": ("mirna",),
}
KINDS = ("auto", *_STATED, "other")
_VERSION = re.compile(r"(ENS[A-Z]*\d{11})\.\d+(_PAR_Y)?")


@dataclass(frozen=True)
class GeneIds:
    """What gene ids turned out to be.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, with ``symbol``; with ``id_with_version`` where Ensembl's versions were cut off.
    kind : str
        ``symbol``, ``entrez``, ``ensembl``, ``mirna``, ``SYMBOL|ENTREZ`` or ``other``.
    rules : list of dict
        What was done to the ids, for quality.json.
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

    Parameters
    ----------
    names : sequence of str
        Ids as the file has them.
    path : pathlib.Path
        The file, for messages.
    stated : str
        One of `KINDS`. ``auto`` takes the commonest kind, ``other`` takes any name as it is.
    name_place : callable
        Says where in the file the n-th gene stands, such as ``row 3``.

    Returns
    -------
    GeneIds
        The gene table.

    Raises
    ------
    CohortError
        If ids are empty, repeated, mangled by Excel, of another kind than stated, or of several kinds.
    """
    names = [name.strip() for name in names]
    if stated == "other":
        genes = pd.DataFrame(
            {"symbol": names}, index=pd.Index(names, name="gene", dtype=object), dtype=object
        )
        check_ids(genes.index, "gene", path)
        return GeneIds(genes, "other", [])
    refuse_mangled(names, path, name_place)
    refuse_unprintable(names, "gene", path)
    check_ids(pd.Index(names, dtype=object), "gene", path)
    kind, strays = guess_kind(names)
    if stated != "auto":
        strays = _need_stated(names, path, stated)
    elif len(strays) > TOLERATED_STRAYS * len(names):
        _refuse_mixed(names, path, kind, strays)
    genes = split_gene_names(_cut_versions(names, path), path)
    rules = [count_dropped("gene id of another kind than the rest (kept)", [names[i] for i in strays])]
    if list(genes.index) != names and kind == "ensembl":
        genes["id_with_version"] = names
        cut = [name for name in names if _VERSION.fullmatch(name)]
        rules.append(count_dropped("version cut off an Ensembl id (kept in id_with_version)", cut))
    return GeneIds(genes, kind, rules)


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
    if len(strays) > TOLERATED_STRAYS * len(names):
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
    matches = [_VERSION.fullmatch(name) for name in names]
    cut = [match[1] + (match[2] or "") if match else name for match, name in zip(matches, names, strict=True)]
    first: dict[str, str] = {}
    for bare, name in zip(cut, names, strict=True):
        if first.setdefault(bare, name) != name:
            raise CohortError(
                f"Every Ensembl gene in {path} must stand in one version, but got {first[bare]} and {name}. "
                "Keep one of them."
            )
    return cut
