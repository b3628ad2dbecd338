"""Plain tables of numbers, streamed: all cells of many rows parsed as one long column.

Arrow spends time and memory on every column of every block, and an expression file of the Pan-Cancer Atlas
has 11,069 columns. Its rows are therefore cut from their ids, their delimiters turned into line ends, and
what is left is handed to Arrow as a table of one column.
"""

import mmap
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from expressionist.data.readers.file_content import LONGEST_LINE
from expressionist.data.readers.text_form import TextForm

_CHUNK_BYTES = 1 << 19
# Chunks that wait for every thread, so that none idles while parsed rows are copied.
_N_AHEAD = 8
# What one thread parses at once stays in its cache.
_PARSED_BYTES = 1 << 18
_SMALLEST_BYTES = 1 << 20
_LINE_END = ord("\n")

Rows = tuple[list[list[str]], np.ndarray]


class NotPlainError(ValueError):
    """A table needs a reader that knows quotes and can say what is wrong."""


@dataclass(frozen=True)
class Plain:
    """What a row holds: cells of text, then numbers, then some more cells of text, parted by a `mark`."""

    mark: bytes
    n_left: int
    n_numbers: int
    n_right: int
    decimal: str = "."
    n_above: int = 0

    @classmethod
    def find(cls, form: TextForm, texts: Sequence[int]) -> "Plain":
        """Find the parts of a row from the form of its table and the positions of text, ascending.

        Text among the numbers, or no numbers at all, raise NotPlainError.
        """
        n_columns = len(form.header)
        n_left = next((k for k, place in enumerate(texts) if place != k), len(texts))
        n_right = len(texts) - n_left
        if len(texts) == n_columns or list(texts[n_left:]) != list(range(n_columns - n_right, n_columns)):
            raise NotPlainError("text among the numbers, or nothing else")
        return cls(
            form.delimiter.encode(), n_left, n_columns - len(texts), n_right, form.decimal, form.n_above
        )


def read_plain(
    stream: pa.NativeFile, plain: Plain, wanted: Sequence[int]
) -> tuple[list[list[str]], np.ndarray]:
    """Read the rows below a header; of a row's numbers those whose positions are `wanted`.

    Takes the unpacked bytes from the start of the file, and returns the cells of text of every row, and
    float32 of shape (n_rows, n_wanted), NaN where a cell is empty or says NA. Raises NotPlainError if a row
    has another number of cells, a number is none, or quotes hold more than a word together.
    """
    texts: list[list[str]] = []
    rows = GrowingRows(len(wanted))
    columns = np.asarray(wanted, np.intp)
    all_in_order = np.array_equal(columns, np.arange(plain.n_numbers))
    for cells, values in _parse_side_by_side(_skip_lines(_chunks(stream), plain.n_above + 1), plain):
        texts.extend(cells)
        rows.add(values if all_in_order else values[:, columns])
    return texts, rows.finish()


def _parse_side_by_side(chunks: Iterator[bytes], plain: Plain) -> Iterator[Rows]:
    """Parse some chunks at once, and yield them in their order."""
    n_threads = pa.cpu_count()
    with ThreadPoolExecutor(n_threads) as threads:
        running: deque[Future[Rows]] = deque()
        for chunk in chunks:
            running.append(threads.submit(_parse, chunk, plain))
            if len(running) == _N_AHEAD * n_threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _chunks(stream: pa.NativeFile) -> Iterator[bytes]:
    """Yield whole lines, each ended by a line feed, many at once."""
    rest = b""
    while chunk := stream.read(_CHUNK_BYTES):
        rest += chunk
        if b"\r" in rest:
            # A line feed that belongs to a carriage return may still be to come.
            held = rest[-1:] if rest.endswith(b"\r") else b""
            rest = rest[: len(rest) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        end = rest.rfind(b"\n") + 1
        if not end and len(rest) > LONGEST_LINE:
            raise NotPlainError("a line that is too long")
        yield rest[:end]
        rest = rest[end:]
    yield rest.rstrip(b"\r") + b"\n"


def _skip_lines(chunks: Iterator[bytes], n_lines: int) -> Iterator[bytes]:
    for chunk in chunks:
        start = 0
        while n_lines and start < len(chunk):
            start = chunk.index(b"\n", start) + 1
            n_lines -= 1
        yield chunk[start:]


def _parse(chunk: bytes, plain: Plain) -> Rows:
    """Turn lines into cells of text and an array of numbers."""
    codes = np.frombuffer(chunk, np.uint8)
    view = memoryview(chunk)
    texts, numbers, start = [], [], 0
    for end in np.flatnonzero(codes == _LINE_END).tolist():
        if end > start:
            cells, first, last = _cut(chunk, start, end, plain)
            if np.count_nonzero(codes[first:last] == plain.mark[0]) != plain.n_numbers - 1:
                raise NotPlainError("a row of another length")
            texts.append(cells)
            numbers.append(view[first : last + 1])
        start = end + 1
    values = _to_float32(b"".join(numbers), plain) if numbers else np.empty(0, np.float32)
    if len(values) != len(texts) * plain.n_numbers:
        raise NotPlainError("cells that hold line ends")
    return texts, values.reshape(-1, plain.n_numbers)


def _cut(chunk: bytes, start: int, end: int, plain: Plain) -> tuple[list[str], int, int]:
    """Return a line's cells of text, and where its numbers begin and end."""
    left, right = [], []
    for _ in range(plain.n_left):
        stop = chunk.find(plain.mark, start, end)
        if stop < 0:
            raise NotPlainError("a row of another length")
        left.append(_to_text(chunk[start:stop]))
        start = stop + 1
    for _ in range(plain.n_right):
        stop = chunk.rfind(plain.mark, start, end)
        if stop < 0:
            raise NotPlainError("a row of another length")
        right.append(_to_text(chunk[stop + 1 : end]))
        end = stop
    return [*left, *reversed(right)], start, end


def _to_text(cell: bytes) -> str:
    if b'"' in cell:
        cell = cell[1:-1] if len(cell) > 1 and cell[:1] == cell[-1:] == b'"' else cell
        if b'"' in cell:
            raise NotPlainError("quotes within a cell")
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise NotPlainError("text that is not UTF-8") from error


def _to_float32(cells: bytes, plain: Plain) -> np.ndarray:
    """Parse numbers as Arrow parses a column of float32."""
    mark = plain.mark[0]
    codes = np.frombuffer(cells, np.uint8)
    column = (codes == mark).view(np.uint8)
    # In place, because fresh memory costs more than the arithmetic: a delimiter becomes a line end.
    np.multiply(column, np.uint8(mark ^ _LINE_END), out=column)
    np.bitwise_xor(column, codes, out=column)
    column[-1] = _LINE_END
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(column),
            read_options=arrow_csv.ReadOptions(
                column_names=["value"], block_size=_PARSED_BYTES, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=chr(mark), quote_char=False, ignore_empty_lines=False
            ),
            # Every word that may stand for a missing value costs time in every cell; `nan` is a number.
            convert_options=arrow_csv.ConvertOptions(
                column_types={"value": pa.float32()},
                null_values=["", "NA"],
                decimal_point=plain.decimal,
            ),
        )
    except pa.ArrowInvalid as error:
        raise NotPlainError(str(error)) from error
    values: np.ndarray = table.column(0).to_numpy()
    return values


class GrowingRows:
    """Rows of `n_columns` float32 that end up side by side in memory without having been there twice.

    Memory that grows is moved by the kernel, page table by page table, and what lies behind the last row
    takes none.
    """

    def __init__(self, n_columns: int) -> None:
        self.n_rows, self.n_columns = 0, n_columns
        self._memory = _reserve(_SMALLEST_BYTES)

    def add(self, rows: np.ndarray) -> None:
        """Append rows, an array of shape (n_added, n_columns)."""
        start, self.n_rows = self.n_rows, self.n_rows + len(rows)
        needed = 4 * self.n_rows * self.n_columns
        if needed > len(self._memory):
            self._resize(max(needed, 2 * len(self._memory)))
        self._view()[start:] = rows

    def finish(self) -> np.ndarray:
        """Return all rows, of shape (n_rows, n_columns). No more can be added."""
        self._resize(max(4 * self.n_rows * self.n_columns, 1))
        return self._view()

    def _view(self) -> np.ndarray:
        values = np.frombuffer(self._memory, np.float32, self.n_rows * self.n_columns)
        return values.reshape(self.n_rows, self.n_columns)

    def _resize(self, n_bytes: int) -> None:
        try:
            self._memory.resize(n_bytes)
        except SystemError:  # Only Linux can.
            fresh = _reserve(n_bytes)
            kept = min(n_bytes, len(self._memory))
            fresh[:kept] = self._memory[:kept]
            self._memory = fresh
        if hasattr(mmap, "MADV_HUGEPAGE"):  # Again only Linux.
            self._memory.madvise(mmap.MADV_HUGEPAGE)


def _reserve(n_bytes: int) -> mmap.mmap:
    return mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
