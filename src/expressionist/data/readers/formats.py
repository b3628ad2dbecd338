"""Tables of every format behind one face: a header, columns of text and columns of numbers."""

import csv
import io
import zipfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet

from expressionist.data.readers.damage import refuse_damaged
from expressionist.data.readers.faults import MISSING_WORDS, is_number, mend_number, shorten
from expressionist.data.readers.files import (
    DELIMITERS,
    LONGEST_LINE,
    delimiter_of,
    need_content,
    open_bytes,
    refuse_bomb,
    refuse_unreadable,
    suffix_of,
)
from expressionist.data.readers.tables import read_header, read_numbers
from expressionist.errors import CohortError, name_some

_UNNAMED_INDEX = "__index_level_0__"
TABLE_FORMATS = (*DELIMITERS, ".parquet", ".feather", ".xlsx")


class TableFile(Protocol):
    """A table on disk.

    Parameters
    ----------
    path : pathlib.Path
        Where it lies.
    header : list of str
        Its column names, repeats included.
    """

    path: Path
    header: list[str]

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Read columns by position, as `expressionist.data.readers.tables.read_numbers` does."""

    def peek(self, n_rows: int) -> list[list[str]]:
        """Read the first rows as text, without checks."""


def open_table(path: Path) -> TableFile:
    """Open a table: text, Parquet, Feather or an Excel workbook.

    Parameters
    ----------
    path : pathlib.Path
        A file whose suffix is one of `TABLE_FORMATS`, text also packed.

    Returns
    -------
    TableFile
        The table; of a workbook the first sheet.

    Raises
    ------
    CohortError
        If the file has another suffix or is not what its suffix says.
    """
    suffix = suffix_of(path)
    if suffix in DELIMITERS:
        return _TextFile(path)
    if suffix in (".parquet", ".feather"):
        return _ArrowFile(path)
    if suffix == ".xlsx":
        return _SheetFile(path)
    raise CohortError(
        f"A table must be a file {', '.join(TABLE_FORMATS)} (text also packed: .gz, .zst), but got "
        f"{path.name}. Convert it."
    )


def read_label_table(path: Path) -> pd.DataFrame:
    """Read a whole table as text.

    Returns
    -------
    pandas.DataFrame
        str in every cell; the empty string where one is missing.

    Raises
    ------
    CohortError
        If the file cannot be read, or a column name stands twice.
    """
    file = open_table(path)
    twice = sorted({name for name in file.header if file.header.count(name) > 1})
    if twice:
        raise CohortError(
            f"Columns of {path} must have different names, but got twice: {name_some(twice)}. Rename them."
        )
    return file.read(texts=range(len(file.header)), numbers=(), transposed=False)[0]


def _need_rows(path: Path, n_rows: int) -> None:
    if not n_rows:
        raise CohortError(f"{path} must have rows below its header, but got none. Export it again.")


class _TextFile:
    """Columns of a text table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = read_header(path)

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        return read_numbers(self.path, self.header, texts=texts, numbers=numbers, transposed=transposed)

    def peek(self, n_rows: int) -> list[list[str]]:
        with refuse_unreadable(self.path), open_bytes(self.path) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
            lines = islice(iter(lambda: text.readline(LONGEST_LINE), ""), n_rows + 1)
            try:
                return list(csv.reader(lines, delimiter=delimiter_of(self.path)))[1:]
            except csv.Error:
                return []


class _ArrowFile:
    """Columns of a Parquet or Feather file, pandas's index first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        what = "a Parquet file" if suffix_of(path) == ".parquet" else "a Feather file"
        need_content(path, what)
        with refuse_unreadable(path), refuse_damaged(path, what):
            table = _read_arrow(path)
            # A damaged file can hold offsets that lead out of it.
            table.validate(full=True)
            index = (table.schema.pandas_metadata or {}).get("index_columns", [])
            names = table.column_names
        index = [name for name in index if isinstance(name, str) and names.count(name) == 1]
        order = [
            *(names.index(name) for name in index),
            *(i for i, name in enumerate(names) if name not in index),
        ]
        self.table = table.select(order)
        self.header = ["" if names[i] == _UNNAMED_INDEX else names[i] for i in order]

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        _need_rows(self.path, self.table.num_rows)
        columns = [_to_text(self.table.column(i).to_pylist()) for i in texts]
        shape = (len(numbers), self.table.num_rows)
        values = np.empty(shape if transposed else shape[::-1], np.float32)
        for row, i in enumerate(numbers):
            values[row if transposed else (slice(None), row)] = self._to_float32(i)
        return _join_columns(columns, [self.header[i] for i in texts], self.table.num_rows), values

    def peek(self, n_rows: int) -> list[list[str]]:
        first = self.table.slice(0, n_rows)
        columns = [_to_text(column.to_pylist()) for column in first.columns]
        return [list(row) for row in zip(*columns, strict=True)]

    def _to_float32(self, position: int) -> np.ndarray:
        column = self.table.column(position)
        kinds = (pa.types.is_floating, pa.types.is_integer, pa.types.is_null)
        if not any(is_kind(column.type) for is_kind in kinds):
            shown = next((value for value in column.to_pylist() if value is not None), None)
            raise CohortError(
                f"{self.path}: column {shorten(self.header[position])!r} must hold numbers, but got "
                f"{column.type}, such as {shorten(str(shown))!r}. Convert it, or move columns that are no "
                "genes to another table."
            )
        values: np.ndarray = column.cast(pa.float64()).to_numpy() if column.null_count else column.to_numpy()
        # What float32 cannot hold becomes infinite, and is refused as that.
        with np.errstate(over="ignore"):
            return values.astype(np.float32)


def _read_arrow(path: Path) -> pa.Table:
    if suffix_of(path) == ".feather":
        return feather.read_table(path)
    about = parquet.read_metadata(path)
    refuse_bomb(path, about.num_rows * about.num_columns * np.dtype(np.float32).itemsize)
    return parquet.read_table(path)


class _SheetFile:
    """Columns of the first sheet of an Excel workbook."""

    def __init__(self, path: Path) -> None:
        self.path = path
        need_content(path, "an Excel workbook", "a zip archive or an Excel workbook")
        with refuse_unreadable(path), refuse_damaged(path, "an Excel workbook"):
            with zipfile.ZipFile(path) as archive:
                refuse_bomb(path, sum(part.file_size for part in archive.infolist()))
            sheet = pd.read_excel(path, header=None, dtype=object, engine="openpyxl", na_filter=False)
        if not len(sheet):
            raise CohortError(
                f"{path} must hold a table in its first sheet, but got an empty one. Put it there."
            )
        self.header = _to_text(sheet.iloc[0].tolist())
        self.cells = sheet.iloc[1:]

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        _need_rows(self.path, len(self.cells))
        columns = [_to_text(self.cells.iloc[:, i].tolist()) for i in texts]
        values = np.empty((len(self.cells), len(numbers)), np.float32)
        with np.errstate(over="ignore"):
            for column, i in enumerate(numbers):
                values[:, column] = np.array(self._to_floats(i))
        text = _join_columns(columns, [self.header[i] for i in texts], len(self.cells))
        return text, values.T if transposed else values

    def peek(self, n_rows: int) -> list[list[str]]:
        return [_to_text(row) for row in self.cells.head(n_rows).itertuples(index=False)]

    def _to_floats(self, position: int) -> list[float]:
        cells = self.cells.iloc[:, position].tolist()
        for row, cell in enumerate(cells):
            if isinstance(cell, bool) or not (isinstance(cell, int | float) or is_number(str(cell))):
                raise CohortError(
                    f"{self.path}, row {row + 2}: column {shorten(self.header[position])!r} must be a "
                    f"number, but got {shorten(str(cell))!r}. {mend_number(str(cell))}"
                )
        return [float("nan") if str(cell) in MISSING_WORDS else float(cell) for cell in cells]


def _to_text(cells: Sequence[object]) -> list[str]:
    return ["" if cell is None or cell != cell else str(cell) for cell in cells]


def _join_columns(columns: Sequence[Sequence[str]], names: Sequence[str], n_rows: int) -> pd.DataFrame:
    """Make a table of text; by position, because names may stand twice."""
    table = pd.DataFrame(dict(enumerate(columns)), index=range(n_rows), dtype=object)
    table.columns = pd.Index(names, dtype=object)
    return table
