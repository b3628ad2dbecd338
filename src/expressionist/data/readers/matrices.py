"""A user's matrix as samples x genes, whatever its format and orientation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from expressionist.data.readers.files import suffix_of
from expressionist.data.readers.formats import TABLE_FORMATS, TableFile, open_table
from expressionist.data.readers.gene_names import check_ids
from expressionist.data.readers.ids import GeneIds, identify_genes, refuse_unprintable
from expressionist.data.readers.orientation import (
    Orientation,
    decide_by_labels,
    decide_by_names,
    refuse_transposed,
)
from expressionist.data.readers.tables import need_columns
from expressionist.errors import CohortError, name_some

if TYPE_CHECKING:
    from expressionist.data.readers.hdf5 import NamedMatrix

# What pandas calls the index that it wrote without a name.
_UNNAMED = ("", "Unnamed: 0")
_STATED = "stated"
_ABOUT_GENES = {"symbol": object, "chromosome": object, "start": np.float64}


@dataclass(frozen=True)
class Sides:
    """What was stated about the two sides of a matrix.

    Parameters
    ----------
    genes_in : str
        ``columns``, ``rows`` or ``auto``.
    ids : str
        Kind of gene ids, one of `expressionist.data.readers.ids.KINDS`.
    sample_column : str
        With genes in columns: the column of sample ids.
    text_columns : sequence of str
        Columns beside the expression that are no genes, the labels first. All others must be numbers.
    labelled : collection of str, optional
        Samples that have a label in a second table; None if the labels stand beside the expression.
    """

    genes_in: str
    ids: str
    sample_column: str
    text_columns: Sequence[str]
    labelled: Collection[str] | None


@dataclass(frozen=True)
class Matrix:
    """What an expression file holds, before labels are looked at.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, NaN where a value is missing.
    columns : pandas.DataFrame of length n_samples
        Indexed by sample id; the text that stood beside the expression.
    ids : GeneIds
        The genes, and what their ids are.
    orientation : Orientation
        Where the genes stood.
    """

    expression: np.ndarray
    columns: pd.DataFrame
    ids: GeneIds
    orientation: Orientation


def read_matrix(path: Path, stated: Sides) -> Matrix:
    """Read a matrix of expression.

    Parameters
    ----------
    path : pathlib.Path
        A text table (.csv, .tsv, .tab, .txt, plain or packed), .parquet, .feather, .xlsx, .h5ad, or .h5 as
        10x Genomics writes it.
    stated : Sides
        Where the genes and samples are. An .h5ad file has its genes in columns if they are its ``var``, and
        without the sample column its ``obs_names`` count. An .h5 file says itself which side has the genes.

    Returns
    -------
    Matrix
        Samples and genes in the order of the file.

    Raises
    ------
    CohortError
        If the file cannot be read, its orientation cannot be told or is not as stated, or ids are missing,
        repeated or mixed, or a gene is not numeric.
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
    orientation = _orient_table(file, stated)
    return (_read_columns if orientation.genes_in == "columns" else _read_rows)(file, stated, orientation)


def _orient_table(file: TableFile, stated: Sides) -> Orientation:
    if stated.genes_in == "rows" and stated.labelled is None:
        raise CohortError(
            f"With genes in rows the labels must stand in a second table, but got only {file.path}. "
            "Name the table in cohort.table.labels."
        )
    if stated.genes_in != "auto":
        return Orientation(stated.genes_in, _STATED)
    if stated.labelled is None:
        return decide_by_names(file.path, stated.text_columns[0], file.header, ())
    place = _place_samples(file.header, stated)
    return decide_by_labels(file.path, file.header[1:], lambda: _read_ids(file, place or 0), stated.labelled)


def _read_ids(file: TableFile, position: int) -> list[str]:
    text, _ = file.read(texts=[position], numbers=(), transposed=False)
    return [str(name) for name in text.iloc[:, 0]]


def _place_samples(header: Sequence[str], stated: Sides) -> int | None:
    """Find the column of sample ids: by its name, or as the first one where that has none."""
    if stated.sample_column in header:
        return list(header).index(stated.sample_column)
    return 0 if stated.labelled is not None and header[0] in _UNNAMED else None


def _read_columns(file: TableFile, stated: Sides, orientation: Orientation) -> Matrix:
    path, header = file.path, file.header
    place = _place_samples(header, stated)
    if stated.labelled is not None:
        refuse_transposed(path, "columns", header[1:], lambda: _read_ids(file, place or 0), stated.labelled)
    mend = "Name them so, state other names, or give a table of labels (`labels`)."
    if place is None:
        need_columns(path, header, [stated.sample_column, *stated.text_columns], mend)
    need_columns(path, header, stated.text_columns, mend)
    names = [file.header[place or 0], *stated.text_columns]
    texts = [header.index(name) for name in dict.fromkeys(names)]
    numbers = [i for i in range(len(header)) if i not in texts]
    if not numbers:
        raise CohortError(f"{path} must have columns of genes, but got only {name_some(header)}. Add them.")
    text, values = file.read(texts=texts, numbers=numbers, transposed=False)
    genes = identify_genes(
        [header[i] for i in numbers], path, stated.ids, lambda n: f"column {numbers[n] + 1}"
    )
    return Matrix(values, index_samples(text, names[0], path), genes, orientation)


def _read_rows(file: TableFile, stated: Sides, orientation: Orientation) -> Matrix:
    path, header = file.path, file.header
    if len(header) < 2:
        raise CohortError(f"{path} must have columns of samples, but got only {name_some(header)}. Add them.")
    text, values = file.read(texts=[0], numbers=range(1, len(header)), transposed=True)
    names = [str(name) for name in text.iloc[:, 0]]
    if stated.labelled is not None:
        refuse_transposed(path, "rows", names, lambda: header[1:], stated.labelled)
    samples = pd.DataFrame({stated.sample_column: header[1:]}, dtype=object)
    columns = index_samples(samples, stated.sample_column, path)
    return Matrix(values, columns, identify_genes(names, path, stated.ids, _name_row), orientation)


def _name_row(n: int) -> str:
    return f"row {n + 2}"


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

    matrix = read_10x(path)
    return _as_matrix(
        path, matrix, stated, Orientation("columns", "a 10x matrix says which side has the features")
    )


def _read_named(path: Path, matrix: "NamedMatrix", stated: Sides) -> Matrix:
    orientation = Orientation(stated.genes_in, _STATED)
    above, beside = list(matrix.columns.index), _name_samples(matrix, stated.sample_column)
    if stated.genes_in == "auto" and stated.labelled is None:
        about = ([str(name) for name in table.columns] for table in (matrix.rows, matrix.columns))
        orientation = decide_by_names(path, stated.text_columns[0], *about)
    elif stated.genes_in == "auto":
        orientation = decide_by_labels(path, above, lambda: beside, stated.labelled or ())
    if orientation.genes_in == "rows":
        matrix = matrix.transpose()
        above, beside = list(matrix.columns.index), _name_samples(matrix, stated.sample_column)
    if stated.labelled is not None:
        refuse_transposed(path, orientation.genes_in, above, lambda: beside, stated.labelled)
    return _as_matrix(path, matrix, stated, orientation)


def _name_samples(matrix: "NamedMatrix", sample_column: str) -> list[str]:
    return [str(name) for name in matrix.rows.get(sample_column, matrix.rows.index)]


def _as_matrix(path: Path, matrix: "NamedMatrix", stated: Sides, orientation: Orientation) -> Matrix:
    samples = matrix.rows.astype(object)
    samples = samples.where(samples.notna(), "").astype(str)
    if stated.sample_column not in samples:
        samples.insert(0, stated.sample_column, list(matrix.rows.index))
    columns = index_samples(samples, stated.sample_column, path)
    ids = identify_genes(list(matrix.columns.index), path, stated.ids, lambda n: f"place {n + 1} of var")
    for name, kind in _ABOUT_GENES.items():
        if name in matrix.columns and matrix.columns[name].notna().all():
            ids.genes[name] = matrix.columns[name].astype(kind).to_numpy()
    return Matrix(matrix.values, columns, ids, orientation)
