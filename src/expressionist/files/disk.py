"""A disk that is full, closed to writing or locked by another: one message, whoever met it.

Room is taken before it is used.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expressionist.errors import DiskError, Refusal

# Seconds to wait for another process's write to a database: longer than any of ours takes.
DATABASE_PATIENCE = 120
_BLOCK = 2**20
# As SQLite, HDF5 and TensorFlow (through the C library), and NumPy say it; none of them gives the number.
_FULL = (
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG},
    re.compile(r"No space left on device|disk is full|File too large|requested and \d+ written"),
)
_CLOSED = (
    {errno.EROFS, errno.EACCES, errno.EPERM},
    re.compile(r"readonly database|Read-only file system|(?<!Response body: ')Permission denied"),
)
_LOCKED = set[int](), re.compile(r"database (table )?is locked")


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
def explain_disk(*paths: Path) -> Iterator[None]:
    """Turn whatever a library raises on a disk that is full, closed or locked into a `DiskError`.

    `paths` are what may be written in the block, for errors that name no file: of several, a full disk is
    that with the least room. Other errors pass as they are.
    """
    try:
        yield
    except Refusal:
        raise
    except Exception as error:
        if is_full(error):
            raise _make_refusal(min(paths, key=_measure_room)) from error
        told = " or ".join(map(str, paths))
        if (cause := _find_cause(error, *_CLOSED)) is not None:
            raise DiskError(
                f"{getattr(cause, 'filename', None) or told} must be open to this user's reading and "
                f"writing, but got: {_say(cause)}. Change its permissions or mount its disk for writing, and "
                "run the same command again."
            ) from error
        if (cause := _find_cause(error, *_LOCKED)) is not None:
            raise DiskError(
                f"The database in {told} must be free within {DATABASE_PATIENCE} seconds, but got: "
                f"{_say(cause)}. End the process that locks it, and run the same command again."
            ) from error
        raise


def is_full(error: BaseException) -> bool:
    """Tell whether an error, or one that led to it, says that a disk is full."""
    return _find_cause(error, *_FULL) is not None


def _find_cause(error: BaseException, numbers: set[int], words: re.Pattern[str]) -> BaseException | None:
    """Find what says so of an error and those that led to it: by its number if one has it, else in words."""
    causes = [error]
    while (led := causes[-1].__cause__ or causes[-1].__context__) is not None:
        causes.append(led)
    by_number = (each for each in causes if isinstance(each, OSError) and each.errno in numbers)
    return next(by_number, next((each for each in causes if words.search(str(each))), None))


def _say(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0]


def _measure_room(path: Path) -> int:
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def _make_refusal(path: Path, n_bytes: int | None = None) -> DiskError:
    free = _in_mebibytes(_measure_room(path))
    needed = "more than its disk has" if n_bytes is None else _in_mebibytes(n_bytes)
    return DiskError(
        f"{path} must fit on its disk, but got {free} of room where it needs {needed}. Free some (what is in "
        "data/cache can be made again) or link the folder to a larger disk, and run the same command again: "
        "it goes on from what is there."
    )


def _in_mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.1f} MiB"
