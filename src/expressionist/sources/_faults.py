"""Where a text table is malformed: a slow second reading that names line and column of the first fault."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow.csv as arrow_csv

from expressionist.errors import CohortError
from expressionist.sources._files import delimiter_of, open_bytes, refuse_unreadable

MISSING_WORDS = frozenset(arrow_csv.ConvertOptions().null_values)
_LONGEST_SHOWN = 30


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
        rows = csv.reader(text, delimiter=delimiter_of(path))
        try:
            for row in rows:
                fault = _describe(row, header, numbers) if rows.line_num > 1 and row else None
                if fault:
                    return CohortError(f"{path}, line {rows.line_num}: {fault}")
        except csv.Error as error:
            reason = str(error)
    return CohortError(
        f"{path} must be a table of {len(header)} columns, but got: {_shorten(reason, 120)}. Correct it."
    )


def _describe(row: Sequence[str], header: Sequence[str], numbers: Sequence[int]) -> str | None:
    if len(row) != len(header):
        return (
            f"every row must have {len(header)} cells, like the header, but got {len(row)} "
            f"in row {_shorten(row[0])!r}. Check the delimiter and the end of the file."
        )
    undecoded = next((cell for cell in row if "\ufffd" in cell), None)
    if undecoded is not None:
        return f"the text must be UTF-8, but got {_shorten(undecoded)!r}. Export the table as UTF-8."
    for position in numbers:
        if not _is_number(row[position]):
            return (
                f"column {header[position]!r} of row {_shorten(row[0])!r} must be a number, "
                f"but got {_shorten(row[position])!r}. Correct the cell, or move columns that are no genes "
                "to another table."
            )
    return None


def _is_number(cell: str) -> bool:
    if cell in MISSING_WORDS:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _shorten(text: str, longest: int = _LONGEST_SHOWN) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else text[:longest] + "..."
