"""Raw files of a cohort: found by the name of their option, told apart by suffix, unpacked while read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from expressionist.errors import CohortError, name_some

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PACKED_SUFFIXES = (".gz", ".bgz", ".zst")
_CHUNK = 1 << 20
# 60,000 sample ids of 100 characters are 6 MB: what is longer is not the header of a table.
_LONGEST_HEADER = 1 << 27


def find_file(raw: Path, field: str) -> Path:
    """Find the file that ``fetch`` has stored for an option.

    Parameters
    ----------
    raw : pathlib.Path
        Folder of fetched files.
    field : str
        Name of the option; the file is called so, with the suffixes of the original.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CohortError
        If there is none, or more than one, or it is not a file.
    """
    found = sorted(path for path in raw.glob(f"{field}*") if path.name.split(".")[0] == field)
    if len(found) != 1:
        held = name_some(path.name for path in found) if found else f"no {field}.*"
        raise CohortError(
            f"{raw} must hold one file {field}.*, but got {held}. Run `expressionist fetch` again."
        )
    if not found[0].is_file():
        raise CohortError(f"{found[0]} must be a file, but got a folder or a broken link. Name a file.")
    return found[0]


def suffix_of(path: Path) -> str:
    """Return the suffix that tells a file's format, without what it is packed with.

    Examples
    --------
    >>> suffix_of(Path("expression.v2.TSV.gz"))
    '.tsv'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED_SUFFIXES]
    return suffixes[-1] if suffixes else ""


def delimiter_of(path: Path) -> str:
    """Return the delimiter that a text table's name promises.

    Raises
    ------
    CohortError
        If the name does not end like that of a text table.
    """
    if suffix_of(path) not in DELIMITERS:
        raise CohortError(
            f"The name of a text table must end in {', '.join(DELIMITERS)} (or one of these and .gz), "
            f"but got {path.name}. Rename or convert it."
        )
    return DELIMITERS[suffix_of(path)]


@contextmanager
def refuse_unreadable(path: Path) -> Iterator[None]:
    """Turn the errors of a file that cannot be read to its end into a refusal that names it."""
    try:
        yield
    except (OSError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise CohortError(
            f"{path} must be readable from start to end, but got: {reason}. Fetch or copy the file again."
        ) from error


def open_bytes(path: Path) -> pa.NativeFile:
    """Open a plain, gzip or zstd file for reading, told apart by its first bytes and not by its name.

    Returns
    -------
    pyarrow.NativeFile
        The unpacked bytes.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    packed = [name for magic, name in _PACKED.items() if start.startswith(magic)]
    return pa.input_stream(str(path), compression=packed[0] if packed else None)


def read_first_line(path: Path) -> str:
    """Read the first line of a text file, without its line end and byte order mark.

    Raises
    ------
    CohortError
        If the file cannot be read, is empty, is not UTF-8 text, or has no line end for very long.
    """
    start = b""
    with refuse_unreadable(path), open_bytes(path) as stream:
        while b"\n" not in start and b"\r" not in start and len(start) < _LONGEST_HEADER:
            chunk = stream.read(_CHUNK)
            if not chunk:
                break
            start += chunk
    if not start.strip():
        raise CohortError(f"{path} must hold a table, but got an empty file. Fetch or export it again.")
    if len(start) >= _LONGEST_HEADER:
        raise CohortError(
            f"The first line of {path} must be a header, but got more than 128 MB. Check the file."
        )
    line = start.splitlines()[0]
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_text(path) from error
    if "\0" in text:
        raise _not_text(path)
    return text


def _not_text(path: Path) -> CohortError:
    return CohortError(
        f"{path} must be UTF-8 text, but got other bytes in its first line. Export it as UTF-8 text."
    )
