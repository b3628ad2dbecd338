"""A disk that runs full: room is taken before it is used, and its end is one message, whoever met it."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expressionist.errors import DiskError, Refusal

_BLOCK = 2**20
_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# As SQLite, HDF5 and TensorFlow (through the C library), and NumPy say it; none of them gives the number.
_WORDS = re.compile(r"No space left on device|disk is full|File too large|requested and \d+ written")


def reserve(path: Path, n_bytes: int) -> None:
    """Take all `n_bytes` of a file that will be mapped into memory; it exists, and keeps its content.

    A mapped file is all holes at first. Where the disk is full when a hole is written to, the system ends the
    process (SIGBUS), and nobody can say why. Where it has not so much room now, the file is removed, and a
    `DiskError` raised.
    """
    try:
        with path.open("r+b", buffering=0) as stream:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, n_bytes)
            else:
                # macOS has no such call: what is written is no hole.
                n_taken = stream.seek(0, os.SEEK_END)
                while n_taken < n_bytes:
                    n_taken += stream.write(bytes(min(_BLOCK, n_bytes - n_taken)))
    except OSError as error:
        if not is_full(error):
            raise
        path.unlink()
        raise _make_refusal(path, n_bytes) from error


@contextmanager
def explain_full_disk(path: Path) -> Iterator[None]:
    """Turn whatever a library raises on a full disk, while it writes `path`, into a `DiskError`.

    Other errors pass as they are.
    """
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        raise _make_refusal(path) from error


def is_full(error: BaseException) -> bool:
    """Tell whether an error, or one that led to it, says that a disk is full."""
    cause: BaseException | None = error
    while cause is not None:
        if (isinstance(cause, OSError) and cause.errno in _ERRORS) or _WORDS.search(str(cause)):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _make_refusal(path: Path, n_bytes: int | None = None) -> DiskError:
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    free = _in_mebibytes(shutil.disk_usage(there).free)
    needed = "more than its disk has" if n_bytes is None else _in_mebibytes(n_bytes)
    return DiskError(
        f"{path} must fit on its disk, but got {free} of room where it needs {needed}. Free some (what is in "
        "data/cache can be made again) or link the folder to a larger disk, and run the same command again: "
        "it goes on from what is there."
    )


def _in_mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.1f} MiB"
