"""Guesses at a user's files: the side of the genes, the columns of samples, tumour types and patients."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from expressionist.data.readers.faults import is_number
from expressionist.data.readers.files import suffix_of
from expressionist.data.readers.formats import open_table
from expressionist.data.readers.ids import guess_kind
from expressionist.errors import name_some

if TYPE_CHECKING:
    from expressionist.data.readers.hdf5 import NamedMatrix

# Columns of text are told by the first rows, so that a file is not read as text from end to end.
_N_PEEKED = 50
# Names of columns of tumour types, the surer ones first: a `sample_type` tells tumours from normals.
_LABELS = (
    re.compile(r"tumou?r.?type|cancer|disease|diagnos|histolog|^type$|label|class", re.IGNORECASE),
    re.compile(r"tumou?r|type|cohort|study", re.IGNORECASE),
    re.compile(r""),
)
_PATIENT = re.compile(r"patient|donor|participant|individual|subject|^case", re.IGNORECASE)
# What stands in place of an option that must be stated.
UNKNOWN = "?"


@dataclass(frozen=True)
class SidesView:
    """The two sides of a matrix, before anything is known about them.

    `above` are ids over the columns, `beside` is the text beside the rows, of a table the first rows only.
    """

    above: list[str]
    beside: pd.DataFrame


@dataclass(frozen=True)
class SidesGuess:
    """Where genes, samples and labels seem to be, as the options of the source ``table`` call it.

    `problems` say what could not be guessed, where the options hold `UNKNOWN`.
    """

    genes_in: str
    sample_column: str
    label_column: str
    patient_column: str | None
    problems: tuple[str, ...]


def view_sides(path: Path) -> SidesView:
    """Look at the ids and text on the two sides of a matrix, without reading its values where that can be."""
    suffix = suffix_of(path)
    if suffix in (".h5ad", ".h5"):
        from expressionist.data.readers.hdf5 import read_10x, read_h5ad

        return _view_named(read_h5ad(path) if suffix == ".h5ad" else read_10x(path))
    file = open_table(path)
    rows = [row for row in file.peek(_N_PEEKED) if len(row) == len(file.header)]
    texts = [i for i in range(len(file.header)) if i == 0 or not all(is_number(row[i]) for row in rows)]
    beside = pd.DataFrame([[row[i] for i in texts] for row in rows], columns=[file.header[i] for i in texts])
    return SidesView([name for i, name in enumerate(file.header) if i], beside)


def _view_named(matrix: "NamedMatrix") -> SidesView:
    beside = matrix.rows.astype(str)
    beside.insert(0, "sample", list(matrix.rows.index), allow_duplicates=True)
    return SidesView([str(name) for name in matrix.columns.index], beside)


def guess_sides(view: SidesView, table: pd.DataFrame | None) -> SidesGuess:
    """Guess where genes, samples and labels are; `table` holds labels that are in a file of their own."""
    if table is not None:
        return _guess_from_table(view, table)
    own = view.beside.loc[:, ~view.beside.columns.duplicated()].rename(columns=str)
    if len(own.columns) > 1:
        sample_column = str(next((name for name in own if own[name].is_unique), own.columns[0]))
        label, patient = _choose_columns(own.drop(columns=sample_column))
        problems = () if label else (_ask_for("label_column", list(own.columns)),)
        return SidesGuess("columns", sample_column, label or UNKNOWN, patient, problems)
    first = list(own.iloc[:, 0]) if len(own.columns) else []
    above_like, beside_like = (_look_like_genes(names) for names in (view.above, first))
    genes_in = "rows" if beside_like > above_like else "columns"
    problem = (
        "The labels must stand beside the samples or in a second table, but got no text but one column of "
        f"ids ({name_some(first[:3])}). Name the table with --labels; the genes seem to be in {genes_in}."
    )
    return SidesGuess(genes_in, own.columns[0] if len(own.columns) else UNKNOWN, UNKNOWN, None, (problem,))


def _guess_from_table(view: SidesView, table: pd.DataFrame) -> SidesGuess:
    """Find the column of the labels, and the side of the matrix, whose ids meet."""
    found: list[tuple[float, str, str, str]] = []
    for column in map(str, table.columns):
        known = set(table[column])
        found.append((_share(view.above, known), "rows", column, column))
        for own in dict.fromkeys(map(str, view.beside.columns)):
            found.append((_share(_first_of(view.beside, own), known), "columns", column, own))
    _, genes_in, sample_column, own = max(found, key=lambda each: each[0])
    label, patient = _choose_columns(table.drop(columns=sample_column))
    problems = [] if label else [_ask_for("label_column", list(table.columns))]
    if own not in (sample_column, "", "sample"):
        problems.append(
            f"The samples must be called the same in both files, but got {own!r} and {sample_column!r}. "
            "Rename one of the columns."
        )
    return SidesGuess(genes_in, sample_column, label or UNKNOWN, patient, tuple(problems))


def _first_of(table: pd.DataFrame, name: str) -> list[str]:
    return [str(cell) for cell in table.iloc[:, list(table.columns).index(name)]]


def _share(names: Sequence[str], known: Collection[str]) -> float:
    return sum(name in known for name in names) / max(1, len(names))


def _choose_columns(table: pd.DataFrame) -> tuple[str | None, str | None]:
    """Choose the columns of tumour types and patients: by name, then by how many values they have."""
    counts = {str(name): table[name].nunique() for name in table}
    ranks = {name: next(k for k, names in enumerate(_LABELS) if names.search(name)) for name in counts}
    patients = [name for name in counts if _PATIENT.search(name) and ranks[name]]
    # The first rows of a sorted file hold one type only, so that a sure name counts for more than the values.
    several = [name for name, n in counts.items() if 1 < n <= max(2, len(table) // 2)]
    labels = [name for name in counts if name not in patients and (name in several or not ranks[name])]
    labels.sort(key=lambda name: (ranks[name], name not in several, -counts[name]))
    return next(iter(labels), None), next(iter(patients), None)


def _look_like_genes(names: Sequence[str]) -> float:
    kind, strays = guess_kind(names) if names else ("other", [])
    return 0.0 if kind == "other" else 1 - len(strays) / len(names)


def _ask_for(option: str, columns: Sequence[str]) -> str:
    return (
        f"A column must have the tumour types, but got none that looks so ({name_some(columns)}). "
        f"State {option}."
    )
