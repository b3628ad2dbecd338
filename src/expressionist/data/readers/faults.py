"""Where a text table is malformed: a slow second reading that names line and column of the first fault."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow.csv as arrow_csv

from expressionist.data.readers.files import LONGEST_LINE, delimiter_of, open_bytes, refuse_unreadable
from expressionist.errors import CohortError

MISSING_WORDS = frozenset(arrow_csv.ConvertOptions().null_values)
_LONGEST_SHOWN = 30
_GROUPED = re.compile(r"[-+]?[\d.,' ]*\d[.,' ][\d.,' ]*\d")


def find_fault(path: Path, header: Sequence[str], numbers: Sequence[int], reason: str) -> CohortError:
    """Read a malformed table again, cell by cell, and say where its first fault is.

    Parameters
    ----------
    path : pathlib.Path
        A text table that the fast reader refused.
    header : sequence of str
        Its column names.
    numbers : sequence of int
        Positions of the columns that must hold numbers.
    reason : str
        What the fast reader said, for the case that nothing more exact is found.

    Returns
    -------
    CohortError
        The refusal to raise.
    """
    with refuse_unreadable(path), open_bytes(path) as stream:
        # Bytes that are no UTF-8 become U+FFFD, so that the line they stand in can be named.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        rows = csv.reader(_read_lines(text), delimiter=delimiter_of(path), strict=True)
        line = 1
        try:
            for row in rows:
                fault = _describe(row, header, numbers) if line > 1 and row else None
                if fault:
                    return CohortError(f"{path}, line {line}: {fault}")
                line = rows.line_num + 1
        except csv.Error as error:
            return CohortError(f"{path}, line {line}: {_describe_error(error)}")
    return CohortError(
        f"{path} must be a table of {len(header)} columns, but got: {shorten(reason, 120)}. Correct it."
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


def _describe(row: Sequence[str], header: Sequence[str], numbers: Sequence[int]) -> str | None:
    if len(row) != len(header):
        return (
            f"every row must have {len(header)} cells, like the header, but got {len(row)} "
            f"in row {shorten(row[0])!r}. Check the delimiter and the end of the file."
        )
    undecoded = next((cell for cell in row if "\ufffd" in cell), None)
    if undecoded is not None:
        return f"the text must be UTF-8, but got {shorten(undecoded)!r}. Export the table as UTF-8."
    for position in numbers:
        if not is_number(row[position]):
            return (
                f"column {shorten(header[position])!r} of row {shorten(row[0])!r} must be a number, "
                f"but got {shorten(row[position])!r}. {mend_number(row[position])}"
            )
    return None


def is_number(cell: str) -> bool:
    """Return whether the cell of a text table is a number or says that there is none.

    Examples
    --------
    >>> [is_number(cell) for cell in ("1e-3", "", "NA", "5,1", "1_000")]
    [True, True, True, False, False]
    """
    if cell in MISSING_WORDS:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def mend_number(cell: str) -> str:
    """Say what to do about a cell that should be a number.

    Examples
    --------
    >>> mend_number("1,234.5")
    'Write numbers with a decimal point and without thousands separators.'
    """
    if _GROUPED.fullmatch(cell.strip()):
        return "Write numbers with a decimal point and without thousands separators."
    return "Correct the cell, or move columns that are no genes to another table."


def shorten(text: str, longest: int = _LONGEST_SHOWN) -> str:
    """Return text on one line, cut where it is too long for a message."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[:longest] + "..."
