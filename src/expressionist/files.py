"""Files that other processes may work on: a digest of their bytes, and a lock."""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
