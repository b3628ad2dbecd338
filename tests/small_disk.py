"""A disk of a few megabytes, in memory, for what happens when it runs full."""

import subprocess
from contextlib import contextmanager, suppress

import pytest


@contextmanager
def mount(folder, mebibytes):
    """Mount a small disk at a folder; skip the test where that is not allowed."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder, *, leave):
    """Fill a disk but for some bytes; return the file that does it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        with suppress(OSError):
            while True:
                stream.write(bytes(4096))
        stream.truncate(max(0, ballast.stat().st_size - leave))
    return ballast
