"""What a file holds: told by its suffix and first bytes, unpacked while read, refused where it cannot be."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from expressionist.errors import CohortError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t", ".gct": "\t"}
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PACKED_SUFFIXES = (".gz", ".bgz", ".zst")
# What files of other formats begin with, so that one under a wrong name is told what it is.
_SIGNATURES = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old kind (.xls)",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"PAR1": "a Parquet file",
    b"ARROW1": "a Feather file",
    b"FEA1": "a Feather file of the old kind",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7-zip archive",
    **{magic: f"a {name} archive" for magic, name in _PACKED.items()},
    **dict.fromkeys((b"<!doctype", b"<html", b"<?xml"), "a web page or XML"),
}
_CHUNK = 1 << 20
# 60,000 sample ids of 100 characters are 6 MB: what is longer is not the line of a table.
LONGEST_LINE = 32 << 20
# Text of expression shrinks to a third or a tenth; of single cells, nearly all zeros, to a fiftieth. deflate
# can reach 1:1032 on a file made for nothing else. Below a gigabyte no harm is done, whatever the ratio.
_MOST_UNPACKED_TIMES = 250
_LEAST_UNPACKED = 1 << 30


def suffix_of(path: Path) -> str:
    """Return the suffix that tells a file's format, without what it is packed with."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED_SUFFIXES]
    return suffixes[-1] if suffixes else ""


def name_content(start: bytes) -> str | None:
    """Say what a file is by its first bytes; None for what may be a table."""
    starts = start, start.lstrip()[:16].lower()
    known = (magic for magic in _SIGNATURES if any(each.startswith(magic) for each in starts))
    return _SIGNATURES.get(next(known, b""))


def need_content(path: Path, expected: str, content: str | None = None) -> None:
    """Refuse a file that is empty or does not begin like `expected` (with an article).

    `content` is what `name_content` says of such files, if it is not the same.
    """
    with refuse_unreadable(path), path.open("rb") as stream:
        start = stream.read(64)
    if not start:
        raise CohortError(f"{path} must be {expected}, but got an empty file. Fetch or export it again.")
    if name_content(start) != (content or expected):
        found = name_content(start) or f"something that begins with {start[:8]!r}"
        raise CohortError(
            f"{path} must be {expected}, as its name says, but got {found}. Give it the suffix that fits, or "
            "export it again."
        )


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


@contextmanager
def refuse_changed(*paths: Path) -> Iterator[None]:
    """Refuse files whose size or time of change is another at the end than it was at the start.

    What was read of such a file is part old and part new, so this refusal comes before any other.
    """
    refuse = watch(*paths)
    try:
        yield
    finally:
        refuse()


def watch(*paths: Path) -> Callable[[], None]:
    """Make what refuses files that are others, when it is called, than they are now."""
    before = [_stamp(path) for path in paths]

    def refuse() -> None:
        changed = [path for path, stamp in zip(paths, before, strict=True) if _stamp(path) != stamp]
        if changed:
            raise CohortError(
                f"{changed[0]} must stay as it is while it is read, but got changed meanwhile. Wait until "
                "it is written, then start again."
            )

    return refuse


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def refuse_bomb(path: Path, n_bytes: int) -> None:
    """Refuse a file that becomes far more bytes in memory (or has so far) than any expression does."""
    size = path.stat().st_size
    if n_bytes > max(_LEAST_UNPACKED, _MOST_UNPACKED_TIMES * size):
        raise CohortError(
            f"{path} must unpack to at most {_MOST_UNPACKED_TIMES} times its size, but got {n_bytes:,} bytes "
            f"out of {size:,}. Look at what it holds, and unpack it yourself if it is meant so."
        )


def find_packing(path: Path) -> str | None:
    """Return ``gzip`` or ``zstd``, or None for a file that is not packed."""
    with path.open("rb") as stream:
        start = stream.read(4)
    return next((name for magic, name in _PACKED.items() if start.startswith(magic)), None)


def open_bytes(path: Path) -> pa.NativeFile:
    """Open a plain, gzip or zstd file, told apart by its first bytes and not by its name, for reading.

    Reading on where a packed file unpacks without end is refused.
    """
    packing = find_packing(path)
    if packing is None:
        return pa.input_stream(str(path), compression=None)
    return pa.PythonFile(_Unpacked(path, packing), mode="r")


class _Unpacked:
    """A stream of unpacked bytes that counts them."""

    closed = False

    def __init__(self, path: Path, packing: str) -> None:
        self._path = path
        self._stream = pa.input_stream(str(path), compression=packing)
        self._n_bytes = 0

    def read(self, n_bytes: int) -> pa.Buffer:
        block = self._stream.read_buffer(n_bytes)
        self._n_bytes += block.size
        refuse_bomb(self._path, self._n_bytes)
        return block

    def close(self) -> None:
        self.closed = True
        self._stream.close()
