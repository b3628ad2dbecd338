"""Tables of every format behind one face: a header, columns of text and columns of numbers."""

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet

from expressionist.data.readers.damage import MISSING_WORDS, is_number, mend_number, refuse_damaged, shorten
from expressionist.data.readers.file_content import (
    DELIMITERS,
    LONGEST_LINE,
    need_content,
    open_bytes,
    refuse_bomb,
    refuse_unreadable,
    suffix_of,
)
from expressionist.data.readers.row_source import RowSource
from expressionist.data.readers.text_form import find_form
from expressionist.data.readers.text_tables import need_rows, read_numbers, refuse_repeated
from expressionist.errors import CohortError

# What pandas calls the index that it wrote without a name.
UNNAMED_INDEX = ("", "Unnamed: 0")
_ARROW_INDEX = "__index_level_0__"
TABLE_FORMATS = (*DELIMITERS, ".parquet", ".feather", ".xlsx")
_COLUMNS_AT_ONCE = 512


class TableFile:
    """A table on disk, with its column names, repeats included. If it is in memory, it has `n_rows` too."""

    path: Path
    header: list[str]
    n_rows: int
    decimal = "."

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        """Read columns by position, as `expressionist.data.readers.text_tables.read_numbers` does."""
        need_rows(self.path, self.n_rows)
        text = pd.DataFrame(
            {place: self.read_text(i) for place, i in enumerate(texts)},
            index=range(self.n_rows),
            dtype=object,
        )
        # Only now, because names may stand twice.
        text.columns = pd.Index([self.header[i] for i in texts], dtype=object)
        shape = (self.n_rows, len(numbers))
        values = np.empty(shape[::-1] if transposed else shape, np.float32)
        # What float32 cannot hold becomes infinite, and is refused as that.
        with np.errstate(over="ignore"):
            for column, i in zip(values if transposed else values.T, numbers, strict=True):
                column[:] = self.read_column(i)
        return text, values

    def open(self, *, texts: Sequence[int], numbers: Sequence[int]) -> tuple[pd.DataFrame, RowSource]:
        """Read columns of text, and make columns of numbers readable, some rows at a time if need be."""
        text, values = self.read(texts=texts, numbers=numbers, transposed=False)
        return text, RowSource.hold(values)

    def peek(self, n_rows: int) -> list[list[str]]:
        """Read the first rows as text, without checks."""
        columns = [self.read_text(i, n_rows) for i in range(len(self.header))]
        return [list(row) for row in zip(*columns, strict=True)]

    def describe(self) -> str:
        """Say how the file is written, where there is more than one way."""
        return ""

    # What `read` and `peek` ask of files that come column by column; a text table has its own of both.
    def read_text(self, position: int, n_rows: int | None = None) -> list[str]:
        """Read a column, or the first rows of it, as text."""
        raise NotImplementedError

    def read_column(self, position: int) -> np.ndarray | list[float]:
        """Read a column as numbers."""
        raise NotImplementedError


def open_table(path: Path) -> TableFile:
    """Open a table of one of `TABLE_FORMATS`, text also packed; of a workbook the first sheet."""
    suffix = suffix_of(path)
    if suffix in DELIMITERS:
        return _TextFile(path)
    if suffix in (".parquet", ".feather"):
        return (_ParquetFile if suffix == ".parquet" else _ArrowFile)(path)
    if suffix == ".xlsx":
        return _SheetFile(path)
    raise CohortError(
        f"A table must be a file {', '.join(TABLE_FORMATS)} (text also packed: .gz, .zst), but got "
        f"{path.name}. Convert it."
    )


def read_label_table(path: Path, sample_column: str = "sample") -> pd.DataFrame:
    """Read a whole table of any format as text; the empty string where a cell is missing.

    Where there is no such column, a first one without a name is called so.
    """
    file = open_table(path)
    refuse_repeated(path, file.header)
    table = file.read(texts=range(len(file.header)), numbers=(), transposed=False)[0]
    if sample_column in table or table.columns[0] not in UNNAMED_INDEX:
        return table
    return table.rename(columns={table.columns[0]: sample_column})


class _TextFile(TableFile):
    """A text table, which is read as a stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.form = find_form(path)
        self.header, self.decimal = self.form.header, self.form.decimal

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        return read_numbers(self.path, self.form, texts=texts, numbers=numbers, transposed=transposed)

    def describe(self) -> str:
        return self.form.describe()

    def peek(self, n_rows: int) -> list[list[str]]:
        with refuse_unreadable(self.path), open_bytes(self.path) as stream:
            text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
            n_before = self.form.n_above + 1
            lines = islice(iter(lambda: text.readline(LONGEST_LINE), ""), n_before, n_before + n_rows)
            try:
                return list(csv.reader(lines, delimiter=self.form.delimiter))
            except csv.Error:
                return []


class _ArrowFile(TableFile):
    """A Feather file, pandas's index first."""

    what = "a Feather file"

    def __init__(self, path: Path) -> None:
        self.path = path
        need_content(path, self.what)
        with refuse_damaged(path, self.what):
            schema, self.n_rows = self._open()
            index = (schema.pandas_metadata or {}).get("index_columns", [])
        names = schema.names
        index = [name for name in index if isinstance(name, str) and names.count(name) == 1]
        first = [names.index(name) for name in index]
        self.order = [*first, *(i for i in range(len(names)) if i not in first)]
        self.names = [names[i] for i in self.order]
        self.header = ["" if name == _ARROW_INDEX else name for name in self.names]

    def _open(self) -> tuple[pa.Schema, int]:
        self.table = _validate(feather.read_table(self.path))
        return self.table.schema, self.table.num_rows

    def column(self, position: int) -> pa.ChunkedArray:
        """Give a column of the file."""
        return self.table.column(self.order[position])

    def read_text(self, position: int, n_rows: int | None = None) -> list[str]:
        return _to_text(self.column(position).slice(0, n_rows).to_pylist())

    def read_column(self, position: int) -> np.ndarray:
        column = self.column(position)
        if not _is_numeric(column.type):
            shown = next((value for value in column.to_pylist() if value is not None), None)
            raise CohortError(
                f"{self.path}: column {shorten(self.header[position])!r} must hold numbers, but got "
                f"{column.type}, such as {shorten(str(shown))!r}. Convert it, or move columns that are no "
                "genes to another table."
            )
        return _to_numbers(column)


class _ParquetFile(_ArrowFile):
    """A Parquet file, whose columns, or groups of rows, are read when they are asked for."""

    what = "a Parquet file"
    table: pa.Table | None = None

    def _open(self) -> tuple[pa.Schema, int]:
        self.file = parquet.ParquetFile(self.path)
        about = self.file.metadata
        refuse_bomb(self.path, about.num_rows * about.num_columns * np.dtype(np.float32).itemsize)
        return self.file.schema_arrow, about.num_rows

    @property
    def is_sliced(self) -> bool:
        """Whether columns can be read by their names."""
        return len({*self.names}) == len(self.names)

    def column(self, position: int) -> pa.ChunkedArray:
        if self.table is None and self.is_sliced:
            with refuse_damaged(self.path, self.what):
                return _validate(self.file.read([self.names[position]])).column(0)
        self._load()
        return super().column(position)

    def _load(self) -> None:
        """Read all columns at once, which takes less time than one after the other."""
        if self.table is None:
            with refuse_damaged(self.path, self.what):
                self.table = _validate(self.file.read())

    def peek(self, n_rows: int) -> list[list[str]]:
        self._load()
        return super().peek(n_rows)

    def read(
        self, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
    ) -> tuple[pd.DataFrame, np.ndarray]:
        if len(numbers):
            self._load()
        return super().read(texts=texts, numbers=numbers, transposed=transposed)

    def open(self, *, texts: Sequence[int], numbers: Sequence[int]) -> tuple[pd.DataFrame, RowSource]:
        if not self.is_sliced:
            return super().open(texts=texts, numbers=numbers)
        text, _ = self.read(texts=texts, numbers=(), transposed=False)
        kinds = self.file.schema_arrow.types
        for i in numbers:
            if not _is_numeric(kinds[self.order[i]]):
                self.read_column(i)  # refuses it
        groups = _RowGroups(self.file, self.path, [self.names[i] for i in numbers])
        return text, RowSource((self.n_rows, len(numbers)), groups.read)


class _RowGroups:
    """Columns of numbers of a Parquet file, of which one group of rows is kept in memory."""

    def __init__(self, file: parquet.ParquetFile, path: Path, names: list[str]) -> None:
        self.file, self.path, self.names = file, path, names
        about = file.metadata
        self.starts = np.cumsum([0, *(about.row_group(i).num_rows for i in range(about.num_row_groups))])
        self.kept = -1, np.empty((0, 0), np.float32)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read rows at ascending positions."""
        groups = np.searchsorted(self.starts, rows, side="right") - 1
        return np.concatenate(
            [self._take(group, rows[groups == group]) for group in np.unique(groups).tolist()]
        )

    def _take(self, group: int, rows: np.ndarray) -> np.ndarray:
        if self.kept[0] != group:
            self.kept = -1, self.kept[1][:0].copy()  # two are not held at once
            self.kept = group, self._decode(group)
        return self.kept[1][rows - self.starts[group]]

    def _decode(self, group: int) -> np.ndarray:
        n_rows = int(self.starts[group + 1] - self.starts[group])
        values = np.empty((n_rows, len(self.names)), np.float32)
        # A few columns at a time, so that hardly more than their numbers is in memory.
        for start in range(0, len(self.names), _COLUMNS_AT_ONCE):
            block = self.names[start : start + _COLUMNS_AT_ONCE]
            with refuse_damaged(self.path, _ParquetFile.what):
                table = _validate(self.file.read_row_group(group, block))
            with np.errstate(over="ignore"):
                for place, name in enumerate(block, start):
                    values[:, place] = _to_numbers(table.column(name))
        return values


def _validate(table: pa.Table) -> pa.Table:
    """Check a table fully: a damaged file can hold offsets that lead out of it."""
    table.validate(full=True)
    return table


def _is_numeric(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_floating, pa.types.is_integer, pa.types.is_null))


def _to_numbers(column: pa.ChunkedArray) -> np.ndarray:
    numbers: np.ndarray = column.cast(pa.float64()).to_numpy() if column.null_count else column.to_numpy()
    return numbers


class _SheetFile(TableFile):
    """The first sheet of an Excel workbook."""

    def __init__(self, path: Path) -> None:
        self.path = path
        need_content(path, "an Excel workbook", "a zip archive or an Excel workbook")
        with refuse_damaged(path, "an Excel workbook"):
            with zipfile.ZipFile(path) as archive:
                refuse_bomb(path, sum(part.file_size for part in archive.infolist()))
            sheet = pd.read_excel(path, header=None, dtype=object, engine="openpyxl", na_filter=False)
        if not len(sheet):
            raise CohortError(
                f"{path} must hold a table in its first sheet, but got an empty one. Put it there."
            )
        self.header = _to_text(sheet.iloc[0])
        self.cells = sheet.iloc[1:]
        self.n_rows = len(self.cells)

    def read_text(self, position: int, n_rows: int | None = None) -> list[str]:
        return _to_text(self.cells.iloc[:n_rows, position])

    def read_column(self, position: int) -> list[float]:
        cells = self.cells.iloc[:, position].tolist()
        for row, cell in enumerate(cells):
            if isinstance(cell, bool) or not (isinstance(cell, int | float) or is_number(str(cell))):
                raise CohortError(
                    f"{self.path}, row {row + 2}: column {shorten(self.header[position])!r} must be a "
                    f"number, but got {shorten(str(cell))!r}. {mend_number(str(cell))}"
                )
        return [float("nan") if str(cell) in MISSING_WORDS else float(cell) for cell in cells]


def _to_text(cells: Iterable[object]) -> list[str]:
    return ["" if cell is None or cell != cell else str(cell) for cell in cells]
