"""A lock on a file that other processes may work on."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock_file(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a file's lock while the block runs; the kernel frees it at the latest when the process ends.

    The file is made if it is not there, and what it holds is lost. Yields whether the lock is held: always if
    it was waited for, and else unless another process holds it.
    """
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
