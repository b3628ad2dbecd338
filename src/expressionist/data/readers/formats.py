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
from expressionist.data.readers.text_form import find_form
from expressionist.data.readers.text_tables import need_rows, read_numbers, refuse_repeated
from expressionist.errors import CohortError

# What pandas calls the index that it wrote without a name.
UNNAMED_INDEX = ("", "Unnamed: 0")
_ARROW_INDEX = "__index_level_0__"
TABLE_FORMATS = (*DELIMITERS, ".parquet", ".feather", ".xlsx")


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
        return _ArrowFile(path)
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
    """A Parquet or Feather file, pandas's index first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        what = "a Parquet file" if suffix_of(path) == ".parquet" else "a Feather file"
        need_content(path, what)
        with refuse_damaged(path, what):
            table = _read_arrow(path)
            # A damaged file can hold offsets that lead out of it.
            table.validate(full=True)
            index = (table.schema.pandas_metadata or {}).get("index_columns", [])
            names = table.column_names
        index = [name for name in index if isinstance(name, str) and names.count(name) == 1]
        first = [names.index(name) for name in index]
        order = [*first, *(i for i in range(len(names)) if i not in first)]
        self.table = table.select(order)
        self.header = ["" if names[i] == _ARROW_INDEX else names[i] for i in order]
        self.n_rows = table.num_rows

    def read_text(self, position: int, n_rows: int | None = None) -> list[str]:
        return _to_text(self.table.column(position).slice(0, n_rows).to_pylist())

    def read_column(self, position: int) -> np.ndarray:
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
        return values


def _read_arrow(path: Path) -> pa.Table:
    if suffix_of(path) == ".feather":
        return feather.read_table(path)
    about = parquet.read_metadata(path)
    refuse_bomb(path, about.num_rows * about.num_columns * np.dtype(np.float32).itemsize)
    return parquet.read_table(path)


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
