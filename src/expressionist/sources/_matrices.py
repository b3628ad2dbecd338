"""A user's matrix as samples x genes, whatever its format and orientation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import scipy.sparse

from expressionist.errors import CohortError, name_some
from expressionist.sources._files import DELIMITERS, refuse_unreadable, suffix_of
from expressionist.sources._genes import check_ids, split_gene_names
from expressionist.sources._tables import need_columns, read_header, read_numbers, read_texts

_UNNAMED_INDEX = "__index_level_0__"


@dataclass(frozen=True)
class Matrix:
    """What an expression file holds, before labels are looked at.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, NaN where a value is missing.
    columns : pandas.DataFrame of length n_samples
        Indexed by sample id; the text that stood beside the expression.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, with the column ``symbol``.
    """

    expression: np.ndarray
    columns: pd.DataFrame
    genes: pd.DataFrame


def read_matrix(path: Path, *, genes_in: str, sample_column: str, text_columns: Sequence[str]) -> Matrix:
    """Read a matrix of expression.

    Parameters
    ----------
    path : pathlib.Path
        A text table (.csv, .tsv, .tab, .txt, plain or packed), .parquet or .h5ad.
    genes_in : str
        ``columns`` or ``rows``. In an .h5ad file the columns are its ``var``.
    sample_column : str
        With genes in columns: the column of sample ids. In an .h5ad file without such an ``obs`` column the
        index counts.
    text_columns : sequence of str
        With genes in columns: columns that are no genes. All others must be numbers.

    Returns
    -------
    Matrix
        Samples and genes in the order of the file.

    Raises
    ------
    CohortError
        If the file cannot be read, or ids are missing or repeated, or a gene is not numeric.
    """
    suffix = suffix_of(path)
    if suffix == ".h5ad":
        return _read_h5ad(path, genes_in, sample_column)
    if suffix == ".parquet":
        reader: type[_TextFile] | type[_ParquetFile] = _ParquetFile
    elif suffix in DELIMITERS:
        reader = _TextFile
    else:
        raise CohortError(
            "The expression must be a file .csv, .tsv, .tab, .txt (or packed: .gz, .zst), .parquet or .h5ad, "
            f"but got {path.name}. Convert it."
        )
    return (_read_columns if genes_in == "columns" else _read_rows)(
        reader(path), path, sample_column, text_columns
    )


def read_label_table(path: Path) -> pd.DataFrame:
    """Read a table of labels as text: any text table, or .parquet.

    Returns
    -------
    pandas.DataFrame
        str in every cell; the empty string where one is missing.
    """
    if suffix_of(path) != ".parquet":
        return read_texts(path)
    file = _ParquetFile(path)
    return file.read(texts=range(len(file.header)), numbers=(), transposed=False)[0]


class _TextFile:
    """Columns of a text table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = read_header(path)

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        return read_numbers(self.path, self.header, texts=texts, numbers=numbers, transposed=transposed)


class _ParquetFile:
    """Columns of a Parquet file, pandas's index first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with refuse_unreadable(path):
                table = parquet.read_table(path)
        except pa.ArrowInvalid as error:
            raise CohortError(
                f"{path} must be a Parquet file, but got: {' '.join(str(error).split())}. Export it again."
            ) from error
        index = (table.schema.pandas_metadata or {}).get("index_columns", [])
        index = [name for name in index if isinstance(name, str)]
        self.table = table.select([*index, *(name for name in table.column_names if name not in index)])
        self.header = ["" if name == _UNNAMED_INDEX else name for name in self.table.column_names]

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        if not self.table.num_rows:
            raise CohortError(f"{self.path} must have rows, but got none. Export it again.")
        text = pd.DataFrame({self.header[i]: _to_text(self.table.column(i)) for i in texts}, dtype=object)
        shape = (len(numbers), self.table.num_rows)
        values = np.empty(shape if transposed else shape[::-1], np.float32)
        for row, i in enumerate(numbers):
            values[row if transposed else (slice(None), row)] = self._to_float32(i)
        return text, values

    def _to_float32(self, position: int) -> np.ndarray:
        column = self.table.column(position)
        if not (
            pa.types.is_floating(column.type)
            or pa.types.is_integer(column.type)
            or pa.types.is_null(column.type)
        ):
            shown = next((value for value in column.to_pylist() if value is not None), None)
            raise CohortError(
                f"{self.path}: column {self.header[position]!r} must hold numbers, but got {column.type}, "
                f"such as {shown!r}. Convert it, or move columns that are no genes to another table."
            )
        values: np.ndarray = column.cast(pa.float64()).to_numpy() if column.null_count else column.to_numpy()
        return values.astype(np.float32)


def _to_text(column: pa.ChunkedArray) -> list[str]:
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _read_columns(
    file: _TextFile | _ParquetFile, path: Path, sample_column: str, text_columns: Sequence[str]
) -> Matrix:
    needed = [sample_column, *text_columns]
    need_columns(
        path, file.header, needed, "Name them so, state other names, or give a table of labels (`labels`)."
    )
    texts = [file.header.index(name) for name in dict.fromkeys(needed)]
    numbers = [i for i in range(len(file.header)) if i not in texts]
    if not numbers:
        raise CohortError(
            f"{path} must have columns of genes, but got only {name_some(file.header)}. Add them."
        )
    genes = split_gene_names([file.header[i] for i in numbers], path)
    text, values = file.read(texts=texts, numbers=numbers, transposed=False)
    return Matrix(values, _index_samples(text, sample_column, path), genes)


def _read_rows(
    file: _TextFile | _ParquetFile, path: Path, sample_column: str, text_columns: Sequence[str]
) -> Matrix:
    samples = pd.DataFrame({sample_column: file.header[1:]}, dtype=object)
    columns = _index_samples(samples, sample_column, path)
    text, values = file.read(texts=[0], numbers=range(1, len(file.header)), transposed=True)
    return Matrix(values, columns, split_gene_names(list(text.iloc[:, 0]), path))


def _index_samples(text: pd.DataFrame, sample_column: str, path: Path) -> pd.DataFrame:
    columns = text.set_index(sample_column).rename_axis(index="sample_id")
    check_ids(columns.index, "sample", path)
    return columns


def _read_h5ad(path: Path, genes_in: str, sample_column: str) -> Matrix:
    with refuse_unreadable(path):
        with h5py.File(path) as file:
            missing = [part for part in ("X", "obs", "var") if part not in file]
        if missing:
            raise CohortError(
                f"{path} must be an AnnData file with X, obs and var, but lacks {', '.join(missing)}. "
                "Write it with anndata."
            )
        data = anndata.read_h5ad(path)
    if data.X is None or 0 in data.shape:
        raise CohortError(f"{path} must hold expression in X, but got none. Store it there.")
    if genes_in == "rows":
        data = data.T
    values = data.X.toarray() if scipy.sparse.issparse(data.X) else np.asarray(data.X)
    if not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise CohortError(f"X of {path} must hold numbers, but got {values.dtype}. Convert it.")
    samples = data.obs.astype(object)
    samples = samples.where(samples.notna(), "").astype(str)
    samples.insert(0, "", data.obs_names.astype(str))
    columns = _index_samples(samples, sample_column if sample_column in data.obs else "", path)
    genes = split_gene_names([str(name) for name in data.var_names], path)
    for name in ("symbol", "chromosome", "start"):
        if name in data.var and data.var[name].notna().all():
            genes[name] = data.var[name].astype(np.float64 if name == "start" else object).to_numpy()
    return Matrix(
        np.ascontiguousarray(values, dtype=np.float32), columns.drop(columns="", errors="ignore"), genes
    )
