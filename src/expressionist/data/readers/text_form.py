"""How a text table is written: the lines above its header, what parts its cells, and its decimal mark."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from expressionist.data.readers.file_content import (
    DELIMITERS,
    LONGEST_LINE,
    name_content,
    open_bytes,
    refuse_unreadable,
    suffix_of,
)
from expressionist.errors import CohortError

# Tried in this order where a file is not written as its name promises; R's write.table writes blanks.
_OTHER_DELIMITERS = ("\t", ";", ",", " ")
_WORDS = {",": "commas", "\t": "tabs", ";": "semicolons", " ": "blanks"}
_CHUNK = 1 << 20
# Rows that are looked at below the header, at most.
_N_ROWS = 20
# Lines of a GCT file above its header: its version, and how many genes and samples it has.
_GCT_VERSION = b"#1.2"
_POINT = re.compile(r"[-+]?\d*\.\d+(e[-+]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE)
# `1,234` may be a thousand and more; `0,234`, `1,23` and `1234,567` are not.
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True)
class TextForm:
    """How a text table is written.

    `header` has a name for every cell of a row, repeats included; the first is empty where the file names all
    columns but that of the row names, as R does. `n_above` lines stand above it.
    """

    header: list[str]
    delimiter: str
    decimal: str
    n_above: int

    def describe(self) -> str:
        """Say how cells are parted, and what else is not as in most files."""
        said = [f"separated by {_WORDS[self.delimiter]}"]
        said += ["decimal commas"] * (self.decimal == ",")
        said += [f"header below {self.n_above} other lines"] * (self.n_above > 0)
        return ", ".join(said)


def find_form(path: Path) -> TextForm:
    """Find how a text table, plain or packed with gzip or zstd, is written, by its first lines.

    Its suffix promises a delimiter; where that does not part the first lines alike, one that does is taken.
    A file that is empty, no UTF-8 text, cut off, or not parted at all is refused.
    """
    promised = delimiter_of(path)
    n_above, first, rows = _read_start(path)
    header = _decode(path, first)
    delimiter = _find_delimiter(path, promised, header, rows)
    try:
        names = next(csv.reader([header], delimiter=delimiter))
    except csv.Error as error:
        raise CohortError(
            f"{path} must begin with a header, but got: {error}. Correct its first line."
        ) from error
    cells = [_split(row, delimiter) for row in rows]
    # An empty cell behind the last delimiter is no sample whose name is missing.
    if cells and all(len(row) == len(names) + 1 and row[-1] for row in cells):
        names = ["", *names]
    return TextForm(names, delimiter, "." if delimiter == "," else _find_decimal(cells), n_above)


def delimiter_of(path: Path) -> str:
    """Return the delimiter that a text table's name promises; refuse a name that is none of a text table."""
    if suffix_of(path) not in DELIMITERS:
        raise CohortError(
            f"The name of a text table must end in {', '.join(DELIMITERS)} (or one of these and .gz), "
            f"but got {path.name}. Rename or convert it."
        )
    return DELIMITERS[suffix_of(path)]


def _read_start(path: Path) -> tuple[int, bytes, list[str]]:
    """Read the number of lines above the header, the header, and some whole rows below it."""
    start = b""
    with refuse_unreadable(path), open_bytes(path) as stream:
        while (at := _find_header(start)) is None or len(start.splitlines()) < at + 3:
            chunk = stream.read(_CHUNK)
            if not chunk or len(start) >= LONGEST_LINE:
                break
            start += chunk
        is_whole = not chunk
    if not start.strip():
        raise CohortError(f"{path} must hold a table, but got an empty file. Fetch or export it again.")
    what = name_content(start)
    if what is not None:
        raise CohortError(
            f"{path} must be a text table in UTF-8, as its name says, but got {what}. Give it the suffix "
            "that fits, or export it as such a table."
        )
    lines = start.splitlines()
    n_above = at if at is not None else len(lines) - 1
    if len(lines[n_above]) >= LONGEST_LINE - _CHUNK or (len(lines) == n_above + 1 and not is_whole):
        raise CohortError(
            f"The first line of {path} must be a header, but got more than {LONGEST_LINE >> 20} MB without "
            "a line end. Check the file."
        )
    # The last line may go on.
    below = lines[n_above + 1 :] if is_whole else lines[n_above + 1 : -1]
    return n_above, lines[n_above], [line.decode(errors="replace") for line in below[:_N_ROWS] if line]


def _find_header(start: bytes) -> int | None:
    """Find the line of the header: the first that is neither empty nor a comment; None if it is not there.

    A comment that has as many cells as the line below it is a header that begins with `#`.
    """
    lines = start.removeprefix(b"\xef\xbb\xbf").splitlines()
    if lines and lines[0].strip() == _GCT_VERSION:
        return 2 if len(lines) > 2 else None
    at = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith(b"#")), None)
    if at and lines[at - 1].startswith(b"#"):
        above, below = ((line.count(b"\t"), line.count(b",")) for line in lines[at - 1 : at + 1])
        return at - 1 if above == below and any(above) else at
    return at


def _decode(path: Path, line: bytes) -> str:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    if "\0" in text:
        raise _not_text(path)
    return text.removeprefix("#")


def _not_text(path: Path) -> CohortError:
    return CohortError(
        f"{path} must be UTF-8 text, but got other bytes in its first line. Export it as UTF-8 text."
    )


def _find_delimiter(path: Path, promised: str, header: str, rows: Sequence[str]) -> str:
    others = [delimiter for delimiter in _OTHER_DELIMITERS if delimiter != promised]
    for delimiter in (promised, *others):
        n = len(_split(header, delimiter))
        if n > 1 and all(len(_split(row, delimiter)) - n in (0, 1) for row in rows[:1]):
            return delimiter
    # Rows do not fit the header, and the reader will say which.
    if promised in header:
        return promised
    raise CohortError(
        f"The columns of {path} must be separated by {_WORDS[promised]}, as its name says, "
        f"but got {header[:30]!r} as its first line. Give it the suffix that fits, or convert it."
    )


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _find_decimal(rows: Sequence[Sequence[str]]) -> str:
    """Return a comma if numbers are written with it, and not merely thousands."""
    cells = [cell for row in rows for cell in row]
    written = [cell for cell in cells if _COMMA.fullmatch(cell)]
    is_decimal = any(not _THOUSANDS.fullmatch(cell) for cell in written)
    return "," if is_decimal and not any(_POINT.fullmatch(cell) for cell in cells) else "."
