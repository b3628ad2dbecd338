"""Shards of rows on the workers of a Dask cluster: the only place that knows Dask.

The files lie on a file system that all machines share. A worker opens by itself what it computes from, and
writes its rows straight into files that are there in full size; scheduler and client only say who does what,
and see neither models nor arrays.
"""

import hashlib
import importlib
import logging
import os
import pickle
import platform
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import numpy as np

from expressionist.errors import ClusterError
from expressionist.files.disk import explain_disk
from expressionist.files.row_record import Span

# First row and last row → blocks of rows in turn: where one begins, and its rows in every file.
Compute = Callable[[int, int], Iterator[tuple[int, Sequence[np.ndarray]]]]

_FOLDER = "shared-"
_CONNECT_PATIENCE = 10.0  # seconds for the scheduler to answer
_WORKER_PATIENCE = 60.0  # seconds without a shard done or a worker there
# Besides the source: what rows are computed by.
_PACKAGES = ("numpy", "keras", "tensorflow")
# A worker of many threads computes one shard at a time: TensorFlow uses all cores for it by itself.
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def share_folder(parent: Path) -> Iterator[Path]:
    """Make a folder, by its absolute path, that says by being there that its shards are wanted.

    A worker looks for it before it writes, so one that goes on after the client has been killed stops as
    soon as another client takes over; it is also what tells a worker that the file system is shared. What
    workers are to read, such as a model, is put into it. It is removed with the block; what a killed client
    has left in `parent`, before.
    """
    clear_shared(parent)
    folder = parent.absolute() / f"{_FOLDER}{uuid4().hex}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_shared(parent: Path) -> None:
    """Remove what a killed client has shared in a folder."""
    for folder in parent.glob(f"{_FOLDER}*"):
        shutil.rmtree(folder, ignore_errors=True)


def run_shards(
    open_work: Callable[[], Compute],
    paths: Sequence[Path],
    shards: Sequence[Span],
    *,
    scheduler: str,
    shared: Path,
) -> Iterator[Span]:
    """Have shards of rows computed and written by a cluster; each is yielded once its rows are on disk.

    Whichever is done first comes first. The shard of a worker that is lost is given to another one.

    Parameters
    ----------
    open_work : callable
        Called once in every worker process, for all its shards; gives the function that computes rows.
        Travels as a pickle, so it names files instead of holding arrays.
    paths : sequence of pathlib.Path
        An `.npy` of full size for every array of a block.
    shards : sequence of (int, int)
        First row, and the one after the last.
    scheduler : str
        Address, such as ``tcp://head:8786``.
    shared : pathlib.Path
        As `share_folder` gives it.

    Raises
    ------
    ClusterError
        If Dask is not installed, scheduler or workers are not there or lost, or a worker runs other code or
        sees other files. What a worker refuses, or fails with, is raised as it is.
    """
    # As bytes: the scheduler would otherwise import what the job names, TensorFlow with it.
    packed, code = pickle.dumps((open_work, [path.absolute() for path in paths], shared)), _digest_code()
    distributed = _import_distributed()
    with _connect(distributed, scheduler) as client:
        pending = {
            client.submit(_write_shard, code, packed, *shard, key=f"{shared.name}-{shard[0]}"): shard
            for shard in shards
        }
        try:
            while pending:
                for future in _wait(distributed, client, list(pending), scheduler):
                    # The result is nothing, which would be computed once more if it was lost with its worker.
                    if future.status != "finished":
                        future.result()
                    yield pending.pop(future)
        except distributed.KilledWorker as error:
            raise ClusterError(
                f"Workers must live through a shard, but {error.allowed_failures + 1} were lost over one. "
                "Give them more memory (dask worker --memory-limit), and run the same command again."
            ) from error
        except CancelledError as error:
            raise ClusterError(
                f"The scheduler at {scheduler} must stay until the work is done, but was lost. Start it "
                "again with its workers, and run the same command again."
            ) from error


def _import_distributed() -> ModuleType:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ClusterError(
            "Dask must be installed where a scheduler is given (--scheduler or EXPRESSIONIST_SCHEDULER), but "
            "got none. Install the extra: pip install 'expressionist[dask]', or give no scheduler."
        ) from error


@contextmanager
def _connect(distributed: ModuleType, scheduler: str) -> Iterator[Any]:
    # What it logs is about connections, and what of it matters ends in a refusal.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        # A client that never reached its scheduler prints tracebacks when it is given up.
        reached = distributed.comm.get_address_host_port(distributed.comm.normalize_address(scheduler))
        socket.create_connection(reached, _CONNECT_PATIENCE).close()
        client = distributed.Client(scheduler, timeout=_CONNECT_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ClusterError(
            f"A scheduler must answer at {scheduler}, but got: {reason}. Start it (dask scheduler), correct "
            "EXPRESSIONIST_SCHEDULER, or unset it: one machine needs none."
        ) from error
    with client:
        yield client


def _wait(distributed: ModuleType, client: Any, futures: list[Any], scheduler: str) -> set[Any]:  # noqa: ANN401  comes untyped
    """Wait until some shards are done; refuse where nobody is there to do them."""
    while True:
        try:
            with client.as_current():
                done: set[Any] = distributed.wait(futures, _WORKER_PATIENCE, "FIRST_COMPLETED").done
            return done
        except TimeoutError:
            if not client.nthreads():
                raise ClusterError(
                    f"The scheduler at {scheduler} must have workers, but got none for "
                    f"{_WORKER_PATIENCE:.0f} seconds. Start some (dask worker {scheduler} --nthreads 1) and "
                    "run the same command again."
                ) from None


# --- what workers do


def _write_shard(code: str, packed: bytes, first: int, last: int) -> None:
    """Compute the rows of a shard and write them: called by Dask, in a worker."""
    # First of all: the pickle of another version may not even open.
    if code != _digest_code():
        raise _other_code()
    with _ONE_AT_A_TIME, ExitStack() as stack:
        compute, paths, shared = _open_job(code, packed)
        stack.enter_context(explain_disk(paths[0]))
        files = [stack.enter_context(_open_rows(path)) for path in paths]
        for start, arrays in compute(first, last):
            if not shared.exists():
                return  # whoever asked for it is gone, and another may write here now
            for write, rows in zip(files, arrays, strict=True):
                write(start, rows)


@lru_cache(maxsize=1)
def _open_job(code: str, packed: bytes) -> tuple[Compute, list[Path], Path]:
    """Open a job once for all its shards; the folder that it names is never the same twice."""
    loaded = set(sys.modules)
    open_work, paths, shared = pickle.loads(packed)
    try:
        for path in (shared, *paths):
            path.stat()
        compute = open_work()
    except FileNotFoundError as error:
        raise ClusterError(
            "Workers must see the files of the command that they help under the same path, but one on "
            f"{platform.node()} has no {error.filename}. Keep data/ on a file system that all machines share."
        ) from error
    # What was imported only now may have been edited since the digest was taken.
    if set(sys.modules) - loaded and code != _read_code():
        raise _other_code()
    return compute, paths, shared


def _other_code() -> ClusterError:
    return ClusterError(
        f"Workers must run the code of the command that they help, but one on {platform.node()} runs other "
        "code, or other versions of its packages. Start the workers again, from the same checkout."
    )


@contextmanager
def _open_rows(path: Path) -> Iterator[Callable[[int, np.ndarray], None]]:
    """Open an `.npy` for writing rows, each of which is on disk when its writing returns."""
    # Not through a memory map: on a network file system, machines that write pages lose each other's rows.
    mapped = np.load(path, mmap_mode="r")
    shape, kind, offset = mapped.shape[1:], mapped.dtype, mapped.offset
    n_bytes = mapped[0].nbytes
    file = os.open(path, os.O_WRONLY | getattr(os, "O_DSYNC", os.O_SYNC))

    def write(first: int, rows: np.ndarray) -> None:
        if rows.shape[1:] != shape:
            raise ValueError(f"Rows of shape {shape} were announced, but got {rows.shape[1:]}.")
        left = np.ascontiguousarray(rows, kind).data.cast("B")
        position = offset + first * n_bytes
        while left:
            n_written = os.pwrite(file, left, position)
            left, position = left[n_written:], position + n_written

    try:
        yield write
    finally:
        os.close(file)


@cache
def _digest_code() -> str:
    """Digest the code as this process has first seen it: a worker outlives commands, and edits with them."""
    return _read_code()


def _read_code() -> str:
    """Digest the package's source and the versions of what it computes by."""
    found = hashlib.sha256()
    folder = Path(__file__).parents[1]
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    found.update(" ".join([platform.python_version(), *map(version, _PACKAGES)]).encode())
    return found.hexdigest()
