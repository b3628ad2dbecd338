"""Errors of libraries that read a damaged file, turned into one refusal."""

import multiprocessing
import platform
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from expressionist.data.readers.faults import shorten
from expressionist.errors import CohortError

# openpyxl, h5py and Arrow have no error of their own for a damaged file: what they raise is what
# broke first inside them. A file that lies about its size makes them run out of memory.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
)
_LONGEST_REASON = 120
# Seconds that reading may take: some, and one for every so many bytes, which is slow for any disk.
_PATIENCE = 60.0
_BYTES_PER_SECOND = 5e6


@contextmanager
def refuse_damaged(path: Path, expected: str) -> Iterator[None]:
    """Refuse a file that the library for its format cannot read.

    An error of our own inside it would pass for damage, so that nothing but reading belongs there.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    expected : str
        What it must be, with an article.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = shorten(str(error), _LONGEST_REASON).rstrip(".") or type(error).__name__
        raise CohortError(
            f"{path} must be {expected} that can be read to its end, but got: {reason}. Fetch or export it "
            "again."
        ) from error


def refuse_deadly(path: Path, expected: str, read: Callable[[], object]) -> None:
    """Refuse a damaged file that would hang or crash this process, which no exception tells of.

    Of AnnData files with a few bytes changed at random, one in two hundred sends HDF5's C library into an
    endless loop. So the file is read by a child process first, where there is a way to make one that knows
    what this one knows.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    expected : str
        What it must be, with an article.
    read : callable
        Reads it; what it refuses is not refused here.

    Raises
    ------
    CohortError
        If the child crashed or was not ready in a minute and the time that a slow disk takes.
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
        reason = (
            "a damage that makes its library run for ever" if is_endless else "one that crashes its library"
        )
        raise CohortError(f"{path} must be {expected}, but got {reason}. Fetch or export it again.")


def _attempt(read: Callable[[], object]) -> None:
    with suppress(CohortError):
        read()
