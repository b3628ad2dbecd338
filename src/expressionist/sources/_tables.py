"""Delimited text tables: the header, columns of text and a float32 block of numbers, in one streamed pass."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv

from expressionist.errors import CohortError, name_some
from expressionist.sources._faults import find_fault
from expressionist.sources._files import delimiter_of, open_bytes, read_first_line, refuse_unreadable

# Rows of the Pan-Cancer file are 92 KB long: large blocks amortise what Arrow spends on each column.
_BLOCK_BYTES = 32 << 20
# What stands in a cell of text when there is nothing to say.
NO_TEXT = ("", "NA", "NaN", "nan")


def read_header(path: Path) -> list[str]:
    """Read the column names of a text table.

    Parameters
    ----------
    path : pathlib.Path
        A table whose name ends in .csv, .tsv, .tab or .txt, plain or packed with gzip or zstd.

    Returns
    -------
    list of str
        Column names, repeats included.

    Raises
    ------
    CohortError
        If the file is empty, no text, cut off, or not delimited as its name promises.
    """
    delimiter = delimiter_of(path)
    line = read_first_line(path)
    if delimiter not in line:
        word = {",": "commas", "\t": "tabs"}[delimiter]
        raise CohortError(
            f"The columns of {path} must be separated by {word}, as its name says, "
            f"but got {line[:30]!r} as its first line. Give it the suffix that fits, or convert it."
        )
    try:
        return next(csv.reader([line], delimiter=delimiter))
    except csv.Error as error:
        raise CohortError(
            f"{path} must begin with a header, but got: {error}. Correct its first line."
        ) from error


def read_numbers(
    path: Path,
    header: Sequence[str],
    *,
    texts: Sequence[int],
    numbers: Sequence[int],
    transposed: bool,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Read some columns of a text table as text and some as numbers; the others are not parsed.

    Parameters
    ----------
    path : pathlib.Path
        The table.
    header : sequence of str
        Its column names, as `read_header` gives them.
    texts, numbers : sequence of int
        Positions of the columns to read, by kind. By position, because names may stand twice.
    transposed : bool
        Whether the columns of the file become the rows of the array.

    Returns
    -------
    text : pandas.DataFrame of length n_rows
        The columns of text, by name; an empty cell is the empty string.
    values : numpy.ndarray of shape (n_rows, n_numbers), or (n_numbers, n_rows) when transposed
        float32, parsed without a detour over float64; NaN where a cell is empty or says NA.

    Raises
    ------
    CohortError
        If the file is cut off, its rows differ in length, it has no rows, or a number is none.
    """
    names = [str(position) for position in range(len(header))]
    text_names, number_names = [names[i] for i in texts], [names[i] for i in numbers]
    blocks: list[np.ndarray] = []
    columns: list[pa.RecordBatch] = []
    try:
        with refuse_unreadable(path), open_bytes(path) as stream:
            for batch in _open_batches(stream, delimiter_of(path), names, text_names, number_names):
                columns.append(batch.select(text_names))
                blocks.append(_to_array(batch.select(number_names), transposed=transposed))
    except pa.ArrowInvalid as error:
        raise find_fault(path, header, numbers, str(error)) from error
    if not sum(batch.num_rows for batch in columns):
        raise CohortError(f"{path} must have rows below its header, but got none. Export it again.")
    text = pa.Table.from_batches(columns).to_pandas().astype(object)
    text.columns = pd.Index([header[i] for i in texts])
    return text, _join(blocks, axis=1 if transposed else 0)


def read_texts(path: Path) -> pd.DataFrame:
    """Read a whole text table as text.

    Returns
    -------
    pandas.DataFrame
        str in every cell; the empty string where a cell is empty.

    Raises
    ------
    CohortError
        As `read_header` and `read_numbers`, and if a column name stands twice.
    """
    header = read_header(path)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise CohortError(
            f"Columns of {path} must have different names, but got twice: {name_some(twice)}. Rename them."
        )
    return read_numbers(path, header, texts=range(len(header)), numbers=(), transposed=False)[0]


def need_columns(path: Path, columns: Sequence[str], needed: Sequence[str], mend: str) -> None:
    """Refuse a table that lacks columns, naming both what it lacks and what it has."""
    missing = [name for name in needed if name not in columns]
    if missing:
        raise CohortError(
            f"{path} must have the columns {', '.join(needed)}, but lacks {', '.join(missing)} "
            f"(its columns are {name_some(columns)}). {mend}"
        )


def _open_batches(
    stream: pa.NativeFile, delimiter: str, names: list[str], texts: list[str], numbers: list[str]
) -> arrow_csv.CSVStreamingReader:
    types = {**dict.fromkeys(texts, pa.string()), **dict.fromkeys(numbers, pa.float32())}
    return arrow_csv.open_csv(
        stream,
        read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=1, block_size=_BLOCK_BYTES),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
        convert_options=arrow_csv.ConvertOptions(
            column_types=types, include_columns=[*texts, *numbers], strings_can_be_null=False
        ),
    )


def _to_array(batch: pa.RecordBatch, *, transposed: bool) -> np.ndarray:
    if not batch.num_columns:
        return np.empty((0, batch.num_rows) if transposed else (batch.num_rows, 0), np.float32)
    values: np.ndarray = batch.to_tensor(null_to_nan=True, row_major=not transposed).to_numpy()
    return values.T if transposed else values


def _join(blocks: list[np.ndarray], axis: int) -> np.ndarray:
    """Concatenate blocks, letting go of each once it is copied, so that the peak stays near one matrix."""
    n = sum(block.shape[axis] for block in blocks)
    shape = (blocks[0].shape[0], n) if axis else (n, blocks[0].shape[1])
    joined = np.empty(shape, np.float32)
    start = 0
    for k in range(len(blocks)):
        block, blocks[k] = blocks[k], np.empty(0, np.float32)
        stop = start + block.shape[axis]
        joined[(slice(None), slice(start, stop)) if axis else slice(start, stop)] = block
        start = stop
    return joined
