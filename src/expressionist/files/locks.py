"""A lock on a file that other processes may work on."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock_file(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a file's lock while the block runs; the kernel frees it at the latest when the process ends.

    The file is made if it is not there; one that only others may write is locked as it is. Yields whether the
    lock is held: always if it was waited for, and else unless another process holds it.
    """
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_held = True
    except BlockingIOError:
        is_held = False
    try:
        yield is_held
    finally:
        os.close(file)


def _open(path: Path) -> int:
    try:
        # For writing, as a network file system asks it of who locks.
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES) or not path.exists():
            raise
        return os.open(path, os.O_RDONLY)
