"""A user's matrix as samples x genes, whatever its format, and whichever of its sides has the genes.

That side is decided by the labels' samples, and by nothing else. How ids look decides nothing: samples may be
called like genes (1, 2, 3 beside Entrez ids), and a wrong guess would train on genes as if they were tumours.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from expressionist.data.readers.file_content import suffix_of
from expressionist.data.readers.formats import TABLE_FORMATS, TableFile, open_table
from expressionist.data.readers.gene_ids import GeneIds, check_ids, identify_genes, refuse_unprintable
from expressionist.data.readers.text_tables import need_columns
from expressionist.errors import CohortError, name_some

if TYPE_CHECKING:
    from expressionist.data.readers.hdf5 import NamedMatrix

GENES_IN = ("columns", "rows", "auto")
# Of the ids on a side, the share that must be labelled where ids of the other side are labelled too; and the
# share of those that may be.
_NEARLY_ALL = 0.9
# What pandas calls the index that it wrote without a name.
_UNNAMED = ("", "Unnamed: 0")
_STATED = "stated"
_ABOUT_GENES = {"symbol": object, "chromosome": object, "start": np.float64}
_Side = tuple[str, str]  # `columns` or `rows`: where the genes stand, and why that is believed


@dataclass(frozen=True)
class Sides:
    """What was stated about the two sides of a matrix.

    `sample_column` has the sample ids where genes are in columns. `text_columns` stand beside the expression
    and are no genes, the labels first; all others must be numbers. `labelled` are the samples that have a
    label in a second table; None if the labels stand beside the expression.
    """

    genes_in: str
    ids: str
    sample_column: str
    text_columns: Sequence[str]
    labelled: Collection[str] | None


@dataclass(frozen=True)
class Matrix:
    """What an expression file holds, before labels are looked at.

    `expression` is float32 of shape (n_samples, n_genes), NaN where a value is missing. `columns`, indexed by
    sample id, have the text that stood beside it. The genes stood in `genes_in`, for a `reason`.
    """

    expression: np.ndarray
    columns: pd.DataFrame
    ids: GeneIds
    genes_in: str
    reason: str


def read_matrix(path: Path, stated: Sides) -> Matrix:
    """Read a matrix of expression; samples and genes keep the order of the file.

    It may be a text table, plain or packed, .parquet, .feather, .xlsx, .h5ad, or .h5 as 10x Genomics writes
    it. An .h5ad has its genes in columns if they are its ``var``, and without the sample column its
    ``obs_names`` count; an .h5 says itself which side has the genes. Refused is a file whose orientation
    cannot be told or is not as stated, whose ids are missing, repeated or mixed, or whose genes are no
    numbers.
    """
    suffix = suffix_of(path)
    if suffix == ".h5ad":
        # Here, as in `_read_10x`: who loads this module to check params must not wait for HDF5.
        from expressionist.data.readers.hdf5 import read_h5ad

        return _read_named(path, read_h5ad(path), stated)
    if suffix == ".h5":
        return _read_10x(path, stated)
    if suffix not in TABLE_FORMATS:
        raise CohortError(
            f"The expression must be a file {', '.join(TABLE_FORMATS)} (text also packed: .gz, .zst), .h5ad "
            f"or .h5, but got {path.name}. Convert it."
        )
    file = open_table(path)
    side = _orient_table(file, stated)
    return (_read_columns if side[0] == "columns" else _read_rows)(file, stated, side)


def _orient_table(file: TableFile, stated: Sides) -> _Side:
    if stated.genes_in == "rows" and stated.labelled is None:
        raise CohortError(
            f"With genes in rows the labels must stand in a second table, but got only {file.path}. "
            "Name the table in cohort.table.labels."
        )
    if stated.genes_in != "auto":
        return stated.genes_in, _STATED
    if stated.labelled is None:
        return _decide_by_names(file.path, stated.text_columns[0], file.header, ())
    place = _place_samples(file.header, stated)
    return _decide_by_labels(file.path, file.header[1:], lambda: _read_ids(file, place or 0), stated.labelled)


def _decide_by_labels(
    path: Path, above: Sequence[str], read_beside: Callable[[], Sequence[str]], labelled: Collection[str]
) -> _Side:
    """Decide by which side's ids have labels; those beside the rows are not read if the header settles it."""
    n_above = _count_labelled(above, labelled)
    in_rows = "rows", f"{n_above} of {len(above)} ids in the header have labels"
    if n_above >= _NEARLY_ALL * len(above):
        return in_rows
    beside = read_beside()
    n_beside = _count_labelled(beside, labelled)
    share_above, share_beside = n_above / max(1, len(above)), n_beside / max(1, len(beside))
    if n_beside and (not n_above or (share_beside >= _NEARLY_ALL and share_above <= 1 - _NEARLY_ALL)):
        return "columns", f"{n_beside} of {len(beside)} ids beside the rows have labels"
    if n_above and not n_beside:
        return in_rows
    raise CohortError(
        f"The samples of {path} must be told by their labels, but got labels for {n_above} of {len(above)} "
        f"ids in the header ({name_some(above[:2])}) and {n_beside} of {len(beside)} beside the rows "
        f"({name_some(beside[:2])}). Correct the ids, or state genes_in."
    )


def _decide_by_names(path: Path, label_column: str, rows: Sequence[str], columns: Sequence[str]) -> _Side:
    """Decide by where the labels stand: among what the file says of its rows, or of its columns."""
    if (label_column in rows) == (label_column in columns):
        many = "on both sides" if label_column in rows else "on no side"
        raise CohortError(
            f"{path} must have the labels, {label_column!r}, beside its samples, but got them {many}. State "
            "genes_in and label_column, or name a table of labels (`labels`)."
        )
    return "columns" if label_column in rows else "rows", f"{label_column} stands beside the other side"


def _refuse_transposed(
    path: Path,
    genes_in: str,
    genes: Sequence[str],
    read_samples: Callable[[], Sequence[str]],
    labelled: Collection[str] | None,
) -> None:
    """Refuse a stated side whose ids have labels while those of the other side have none."""
    if labelled is None:
        return
    n = _count_labelled(genes, labelled)
    if n and not _count_labelled(read_samples(), labelled):
        other = "rows" if genes_in == "columns" else "columns"
        raise CohortError(
            f"{path} must have its genes in {genes_in}, as stated, but got labelled samples there "
            f"({n} of {len(genes)}: {name_some(name for name in genes if name in labelled)}). The matrix is "
            f"transposed: state genes_in: {other}."
        )


def _count_labelled(names: Sequence[str], labelled: Collection[str]) -> int:
    return sum(name.strip() in labelled for name in names)


def _read_ids(file: TableFile, position: int) -> list[str]:
    text, _ = file.read(texts=[position], numbers=(), transposed=False)
    return [str(name) for name in text.iloc[:, 0]]


def _place_samples(header: Sequence[str], stated: Sides) -> int | None:
    """Find the column of sample ids: by its name, or as the first one where that has none."""
    if stated.sample_column in header:
        return list(header).index(stated.sample_column)
    return 0 if stated.labelled is not None and header[0] in _UNNAMED else None


def _read_columns(file: TableFile, stated: Sides, side: _Side) -> Matrix:
    path, header = file.path, file.header
    place = _place_samples(header, stated)
    _refuse_transposed(path, "columns", header[1:], lambda: _read_ids(file, place or 0), stated.labelled)
    mend = "Name them so, state other names, or give a table of labels (`labels`)."
    if place is None:
        need_columns(path, header, [stated.sample_column, *stated.text_columns], mend)
    need_columns(path, header, stated.text_columns, mend)
    names = [header[place or 0], *stated.text_columns]
    texts = [header.index(name) for name in dict.fromkeys(names)]
    numbers = [i for i in range(len(header)) if i not in texts]
    if not numbers:
        raise CohortError(f"{path} must have columns of genes, but got only {name_some(header)}. Add them.")
    text, values = file.read(texts=texts, numbers=numbers, transposed=False)
    genes = [header[i] for i in numbers]
    ids = identify_genes(genes, path, stated.ids, lambda n: f"column {numbers[n] + 1}")
    return Matrix(values, index_samples(text, names[0], path), ids, *side)


def _read_rows(file: TableFile, stated: Sides, side: _Side) -> Matrix:
    path, header = file.path, file.header
    if len(header) < 2:
        raise CohortError(f"{path} must have columns of samples, but got only {name_some(header)}. Add them.")
    text, values = file.read(texts=[0], numbers=range(1, len(header)), transposed=True)
    names = [str(name) for name in text.iloc[:, 0]]
    _refuse_transposed(path, "rows", names, lambda: header[1:], stated.labelled)
    samples = pd.DataFrame({stated.sample_column: header[1:]}, dtype=object)
    columns = index_samples(samples, stated.sample_column, path)
    return Matrix(values, columns, identify_genes(names, path, stated.ids, lambda n: f"row {n + 2}"), *side)


def index_samples(text: pd.DataFrame, sample_column: str, path: Path) -> pd.DataFrame:
    """Make sample ids the index of a table, refusing those that are empty, repeated or unprintable.

    Space around an id is no part of it.
    """
    ids = pd.Index([str(name).strip() for name in text[sample_column]], name="sample_id", dtype=object)
    refuse_unprintable(list(ids), "sample", path)
    check_ids(ids, "sample", path)
    return text.drop(columns=sample_column).set_axis(ids)


def _read_10x(path: Path, stated: Sides) -> Matrix:
    if stated.labelled is None:
        raise CohortError(
            f"Beside a 10x matrix the labels must stand in a second table, but got only {path}. "
            "Name the table in cohort.table.labels."
        )
    from expressionist.data.readers.hdf5 import read_10x

    side = "columns", "a 10x matrix says which side has the features"
    return _as_matrix(path, read_10x(path), stated, side)


def _read_named(path: Path, matrix: "NamedMatrix", stated: Sides) -> Matrix:
    side = stated.genes_in, _STATED
    if stated.genes_in == "auto" and stated.labelled is None:
        about = ([str(name) for name in table.columns] for table in (matrix.rows, matrix.columns))
        side = _decide_by_names(path, stated.text_columns[0], *about)
    elif stated.genes_in == "auto":
        beside = _name_samples(matrix, stated)
        side = _decide_by_labels(path, list(matrix.columns.index), lambda: beside, stated.labelled or ())
    if side[0] == "rows":
        matrix = matrix.transpose()
    samples = _name_samples(matrix, stated)
    _refuse_transposed(path, side[0], list(matrix.columns.index), lambda: samples, stated.labelled)
    return _as_matrix(path, matrix, stated, side)


def _name_samples(matrix: "NamedMatrix", stated: Sides) -> list[str]:
    return [str(name) for name in matrix.rows.get(stated.sample_column, matrix.rows.index)]


def _as_matrix(path: Path, matrix: "NamedMatrix", stated: Sides, side: _Side) -> Matrix:
    samples = matrix.rows.astype(object)
    samples = samples.where(samples.notna(), "").astype(str)
    if stated.sample_column not in samples:
        samples.insert(0, stated.sample_column, list(matrix.rows.index))
    columns = index_samples(samples, stated.sample_column, path)
    ids = identify_genes(list(matrix.columns.index), path, stated.ids, lambda n: f"place {n + 1} of var")
    for name, kind in _ABOUT_GENES.items():
        if name in matrix.columns and matrix.columns[name].notna().all():
            ids.genes[name] = matrix.columns[name].astype(kind).to_numpy()
    return Matrix(matrix.values, columns, ids, *side)
