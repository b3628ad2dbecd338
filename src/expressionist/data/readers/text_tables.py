"""Delimited text tables: the header, columns of text and a float32 block of numbers, in one streamed pass."""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from expressionist.data.readers.damage import find_fault
from expressionist.data.readers.file_content import open_bytes, refuse_unreadable
from expressionist.data.readers.stream import GrowingRows, NotPlainError, Plain, read_plain
from expressionist.data.readers.text_form import TextForm, find_form
from expressionist.errors import CohortError, name_some

# Rows of the Pan-Cancer file are 92 KB long: large blocks amortise what Arrow spends on each column.
_BLOCK_BYTES = 32 << 20
# What stands in a cell of text when there is nothing to say.
NO_TEXT = ("", "NA", "NaN", "nan")


def read_numbers(
    path: Path, form: TextForm, *, texts: Sequence[int], numbers: Sequence[int], transposed: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read some columns of a text table as text and some as numbers.

    Columns go by their positions in the header, because names may stand twice. The array is float32, parsed
    without a detour over float64, of shape (n_rows, n_numbers), or (n_numbers, n_rows) when transposed; NaN
    where a cell is empty or says NA. An empty cell of text is the empty string. A file that is cut off, has
    rows of different lengths or none, or text for a number is refused.
    """
    try:
        with refuse_unreadable(path), open_bytes(path) as stream:
            plain = Plain.find(form, texts)
            cells, values = read_plain(stream, plain, [place - plain.n_left for place in numbers])
    except NotPlainError:
        cells, values = _read_any(path, form, texts, numbers)
    need_rows(path, len(cells))
    text = pd.DataFrame(cells, columns=pd.Index([form.header[i] for i in texts]), dtype=object)
    return text, values.T if transposed else values


def read_texts(path: Path) -> pd.DataFrame:
    """Read a whole text table as text; an empty cell is the empty string."""
    form = find_form(path)
    refuse_repeated(path, form.header)
    return read_numbers(path, form, texts=range(len(form.header)), numbers=(), transposed=False)[0]


def read_tabbed(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a tab-separated table, or some columns of it, as text; quotes are letters, bytes may be odd."""
    with refuse_unreadable(path), open_bytes(path) as stream:
        return pd.read_csv(
            stream,
            sep="\t",
            usecols=columns,
            index_col=False,
            dtype=str,
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
            encoding_errors="replace",
        )


def refuse_repeated(path: Path, header: Sequence[str]) -> None:
    """Refuse a table in which a column name stands twice."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise CohortError(
            f"Columns of {path} must have different names, but got twice: {name_some(twice)}. Rename them."
        )


def need_rows(path: Path, n_rows: int) -> None:
    """Refuse a table that has nothing but a header."""
    if not n_rows:
        raise CohortError(f"{path} must have rows below its header, but got none. Export it again.")


def need_columns(path: Path, columns: Collection[str], needed: Sequence[str], mend: str) -> None:
    """Refuse a table that lacks columns, naming both what it lacks and what it has."""
    missing = [name for name in needed if name not in columns]
    if missing:
        raise CohortError(
            f"{path} must have the columns {', '.join(needed)}, but lacks {', '.join(missing)} "
            f"(its columns are {name_some(columns)}). {mend}"
        )


def _read_any(
    path: Path, form: TextForm, texts: Sequence[int], numbers: Sequence[int]
) -> tuple[list[list[str]], np.ndarray]:
    """Read a table with quotes, faults, or anything at all in columns that are not asked for."""
    names = [str(position) for position in range(len(form.header))]
    text_names, number_names = [names[i] for i in texts], [names[i] for i in numbers]
    types = {**dict.fromkeys(text_names, pa.string()), **dict.fromkeys(number_names, pa.float32())}
    cells: list[list[str]] = []
    rows = GrowingRows(len(numbers))
    try:
        with refuse_unreadable(path), open_bytes(path) as stream:
            for batch in arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(
                    column_names=names, skip_rows=form.n_above + 1, block_size=_BLOCK_BYTES
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=form.delimiter),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=types,
                    include_columns=list(types),
                    strings_can_be_null=False,
                    decimal_point=form.decimal,
                ),
            ):
                columns = [batch.column(name).to_pylist() for name in text_names]
                cells.extend([column[row] for column in columns] for row in range(batch.num_rows))
                if number_names:
                    block = batch.select(number_names)
                    rows.add(block.to_tensor(null_to_nan=True, row_major=True).to_numpy())
    except pa.ArrowInvalid as error:
        raise find_fault(path, form, numbers, str(error)) from error
    return cells, rows.finish() if number_names else np.empty((len(cells), 0), np.float32)
