"""Damaged files: the line of a text table that is at fault, and one refusal for what libraries raise."""

import csv
import io
import multiprocessing
import platform
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from expressionist.data.readers.file_content import LONGEST_LINE, open_bytes, refuse_unreadable
from expressionist.data.readers.text_form import TextForm
from expressionist.errors import CohortError

MISSING_WORDS = frozenset(arrow_csv.ConvertOptions().null_values)
_GROUPED = re.compile(r"[-+]?[\d.,' ]*\d[.,' ][\d.,' ]*\d")
# openpyxl, h5py and Arrow have no error of their own for a damaged file: what they raise is what
# broke first inside them. A file that lies about its size makes them run out of memory.
_DAMAGE = (
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, SyntaxError, TypeError, ValueError),
    *(EOFError, MemoryError, OSError, pa.ArrowException, zipfile.BadZipFile, zlib.error),
)
# Seconds that reading may take: some, and one for every so many bytes, which is slow for any disk.
_PATIENCE = 60.0
_BYTES_PER_SECOND = 5e6


def find_fault(path: Path, form: TextForm, numbers: Sequence[int], reason: str) -> CohortError:
    """Read a text table that the fast reader refused again, cell by cell, and say where its first fault is.

    `numbers` are the positions of the columns that must hold numbers; `reason` is what the fast reader said,
    for the case that nothing more exact is found. Returns the refusal to raise.
    """
    with refuse_unreadable(path), open_bytes(path) as stream:
        # Bytes that are no UTF-8 become U+FFFD, so that the line they stand in can be named.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        for _ in range(form.n_above):
            text.readline(LONGEST_LINE)
        rows = csv.reader(_read_lines(text), delimiter=form.delimiter, strict=True)
        first = line = form.n_above + 1
        try:
            for row in rows:
                fault = _describe(row, form, numbers) if line > first and row else None
                if fault:
                    return CohortError(f"{path}, line {line}: {fault}")
                line = first + rows.line_num
        except csv.Error as error:
            return CohortError(f"{path}, line {line}: {_describe_error(error)}")
    return CohortError(
        f"{path} must be a table of {len(form.header)} columns, but got: {shorten(reason, 120)}. Correct it."
    )


def _read_lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Read lines, but never more of one than fits into memory."""
    for line in iter(lambda: text.readline(LONGEST_LINE), ""):
        if len(line) == LONGEST_LINE:
            raise csv.Error(f"more than {LONGEST_LINE >> 20} MB")
        yield line


def _describe_error(error: csv.Error) -> str:
    said = str(error)
    if "unexpected end of data" in said or "field limit" in said:
        return "every quote must be closed, but got one that is not. Close it, or export the table again."
    if "expected after" in said:
        return "a quote must end its cell, but got text behind it. Double the quotes within cells."
    return f"the line must be a row of the table, but got {shorten(said, 60)}. Correct it."


def _describe(row: Sequence[str], form: TextForm, numbers: Sequence[int]) -> str | None:
    header = form.header
    if len(row) != len(header):
        return (
            f"every row must have {len(header)} cells, like the header, but got {len(row)} "
            f"in row {shorten(row[0])!r}. Check the delimiter and the end of the file."
        )
    undecoded = next((cell for cell in row if "\ufffd" in cell), None)
    if undecoded is not None:
        return f"the text must be UTF-8, but got {shorten(undecoded)!r}. Export the table as UTF-8."
    wrong = next((position for position in numbers if not is_number(row[position], form.decimal)), None)
    if wrong is not None:
        return (
            f"column {shorten(header[wrong])!r} of row {shorten(row[0])!r} must be a number, "
            f"but got {shorten(row[wrong])!r}. {mend_number(row[wrong])}"
        )
    return None


def is_number(cell: str, decimal: str = ".") -> bool:
    """Return whether the cell of a text table is a number, or says that there is none."""
    if cell in MISSING_WORDS:
        return True
    try:
        float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return "_" not in cell


def mend_number(cell: str) -> str:
    """Say what to do about a cell that should be a number."""
    if _GROUPED.fullmatch(cell.strip()):
        return "Write numbers with a decimal point and without thousands separators."
    return "Correct the cell, or move columns that are no genes to another table."


def shorten(text: str, longest: int = 30) -> str:
    """Return text on one line, cut where it is too long for a message."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[:longest] + "..."


@contextmanager
def refuse_damaged(path: Path, expected: str) -> Iterator[None]:
    """Refuse a file that the library for its format cannot read as `expected` (with an article).

    An error of our own inside it would pass for damage, so that nothing but reading belongs there.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = shorten(str(error), 120).rstrip(".") or type(error).__name__
        raise CohortError(
            f"{path} must be {expected} that can be read to its end, but got: {reason}. Fetch or export it "
            "again."
        ) from error


def refuse_deadly(path: Path, expected: str, read: Callable[[], object]) -> None:
    """Refuse a damaged file that would hang or crash this process, which no exception tells of.

    Of AnnData files with a few bytes changed at random, one in two hundred sends HDF5's C library into an
    endless loop. So `read` is tried by a child process first, where there is a way to make one that knows
    what this one knows; what it refuses is not refused here.
    """
    # On macOS a forked child may crash over the system's own libraries, and a whole file would be refused.
    if platform.system() == "Darwin" or "fork" not in multiprocessing.get_all_start_methods():
        return
    child = multiprocessing.get_context("fork").Process(target=_attempt, args=(read,), daemon=True)
    child.start()
    child.join(_PATIENCE + path.stat().st_size / _BYTES_PER_SECOND)
    is_endless = child.is_alive()
    child.kill()
    child.join()
    if is_endless or (child.exitcode or 0) < 0:
        does = "one that crashes its library"
        if is_endless:
            does = "a damage that makes its library run for ever"
        raise CohortError(f"{path} must be {expected}, but got {does}. Fetch or export it again.")


def _attempt(read: Callable[[], object]) -> None:
    with suppress(CohortError):
        read()
