"""A lock on a file that other processes may work on."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lock_file(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold a file's lock while the block runs; the kernel frees it at the latest when the process ends.

    Parameters
    ----------
    path : pathlib.Path
        Made if it is not there; what it holds is lost.
    wait : bool
        Whether to wait for as long as another process holds it.

    Yields
    ------
    bool
        Whether the lock is held: always, if it was waited for.
    """
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
