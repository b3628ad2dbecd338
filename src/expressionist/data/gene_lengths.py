"""Lengths of genes from a table, by which counts become TPM."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.data.gene_match import match_genes
from expressionist.data.nomenclature import Nomenclature
from expressionist.data.readers.damage import MISSING_WORDS, is_number
from expressionist.data.readers.formats import read_label_table
from expressionist.data.readers.gene_ids import identify_genes
from expressionist.errors import CohortError, name_some

# What featureCounts, and others, call the column.
_LENGTH = "length"


def find_lengths(names: Sequence[str], path: Path, nomenclature: Nomenclature | None = None) -> np.ndarray:
    """Find the lengths of genes, whatever they are called, float64 and NaN where the table has none above 0.

    The table has gene ids in its first column, and lengths in its second of two, or in one called Length, as
    that of featureCounts has. What cannot be read, and lengths of none of the genes, are refused.
    """
    ids, words = _read_columns(path)
    lengths = _parse(ids, words, path)
    found = identify_genes(ids, path, "auto", lambda n: f"row {n + 2}", nomenclature=nomenclature)
    rows = match_genes(names, found.genes, nomenclature).rows
    # What is no gene, or several, has the last one.
    told: np.ndarray = np.append(lengths[found.kept], np.nan)[np.maximum(rows, -1)]
    if np.isnan(told).all():
        raise CohortError(
            f"{path} must have lengths of the table's genes, such as {name_some(names[:2])}, but got them of "
            f"none: {name_some(ids[:2])}. Give those of the annotation by which reads were counted."
        )
    return told


def _read_columns(path: Path) -> tuple[list[str], list[str]]:
    """Read ids and lengths as text; a first row that is no heading, since it has a length, counts as well."""
    table = read_label_table(path)
    header = [str(name) for name in table.columns]
    place = next((n for n, name in enumerate(header) if name.lower() == _LENGTH), None)
    if place is None and len(header) != 2:
        raise CohortError(
            f"{path} must have two columns, gene id and length, or one called Length, but got "
            f"{name_some(header)}. Leave out the others."
        )
    ids, words = (list(table.iloc[:, n]) for n in (0, place or 1))
    if is_number(header[place or 1], "."):
        return [header[0], *ids], [header[1], *words]
    return ids, words


def _parse(ids: Sequence[str], words: Sequence[str], path: Path) -> np.ndarray:
    lengths = pd.to_numeric(pd.Series(words), errors="coerce").to_numpy(np.float64)
    odd = [n for n in np.flatnonzero(np.isnan(lengths)).tolist() if words[n].strip() not in MISSING_WORDS]
    if odd:
        raise CohortError(
            f"{path}: the length of {ids[odd[0]]} must be a number, but got {words[odd[0]]!r}. Correct it."
        )
    return np.where((lengths > 0) & np.isfinite(lengths), lengths, np.nan)
