"""A Dask cluster on this machine, of processes that have TensorFlow, and work for it that needs none."""

import importlib.util
import os
import time
from contextlib import contextmanager

import numpy as np
import pytest

import forked
import toy
from expressionist.errors import ParamsError

BATCH = 2
SHAPES = [(3, 2), ()]


def skip_without_dask():
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("distributed is not installed (the extra `dask`)")


@contextmanager
def start_cluster(n_workers=2, **settings):
    """Start worker processes of one thread each; give the cluster."""
    skip_without_dask()
    import dask
    import distributed

    forked.start_server()
    quiet = {"processes": True, "dashboard_address": ":0", "silence_logs": "CRITICAL"}
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"} | settings),
        distributed.LocalCluster(n_workers=n_workers, threads_per_worker=1, **quiet) as cluster,
    ):
        yield cluster


def list_workers(cluster):
    """List the process numbers of the workers, once all of them are up."""
    while None in (numbers := [nanny.pid for nanny in cluster.workers.values()]):
        time.sleep(0.1)
    return numbers


def expected_rows(first, last):
    numbers = np.arange(first, last, dtype=np.float32)
    return [numbers[:, None, None] + np.arange(6).reshape(3, 2), -numbers]


def allocate(folder, n_rows):
    """Make the two files that `compute_rows` fills, with -1 in every place."""
    paths = [folder / f"{number}.npy" for number in range(len(SHAPES))]
    for path, shape in zip(paths, SHAPES, strict=True):
        np.save(path, np.full((n_rows, *shape), -1, np.float32))
    return paths


def compute_rows(first, last):
    for start in range(first, last, BATCH):
        yield start, expected_rows(start, min(start + BATCH, last))


def open_rows():
    return compute_rows


def open_signed(folder):
    """Leave a file called like the process that computed a shard."""

    def compute(first, last):
        (folder / f"{first}.{os.getpid()}").touch()
        time.sleep(0.3)
        yield from compute_rows(first, last)

    return compute


def open_slow(seconds):
    def compute(first, last):
        for block in compute_rows(first, last):
            time.sleep(seconds)
            yield block

    return compute


def open_deadly(once):
    """Die like under `kill -9` between two blocks of a shard: once, or over and over."""

    def compute(first, last):
        for number, block in enumerate(compute_rows(first, last)):
            if number == 1 and (once is None or not once.exists()):
                if once is not None:
                    once.touch()
                toy.kill_me()
            yield block

    return compute


def open_failing(error):
    def compute(first, last):
        yield from compute_rows(first, first + 1)
        raise error

    return compute


def open_refusing():
    raise ParamsError("Must hold, but got not. Do this.")


def open_missing(path):
    path.read_bytes()
    return compute_rows
