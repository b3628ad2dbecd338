"""Shards on a cluster of two processes: every row as computed, whoever dies; and what is refused."""

import errno
import functools
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import cluster
from expressionist.errors import ClusterError, DiskError, ParamsError
from expressionist.files import sharding
from expressionist.files.sharding import clear_shared, run_shards, share_folder

N_ROWS = 23
FULL = OSError(errno.ENOSPC, "No space left on device")
MISSING = functools.partial(cluster.open_missing, Path("/not_there"))
SHARDS = [(0, 5), (5, 10), (10, 12), (16, 21), (21, 23)]


@pytest.fixture(scope="module")
def two_workers():
    with cluster.start_cluster(2) as started:
        yield started


@pytest.fixture
def paths(tmp_path):
    return cluster.allocate(tmp_path, N_ROWS)


def run(work, paths, scheduler, shards=SHARDS):
    address = scheduler if isinstance(scheduler, str) else scheduler.scheduler_address
    with share_folder(paths[0].parent) as shared:
        yield from run_shards(work, paths, shards, scheduler=address, shared=shared)
    assert not list(paths[0].parent.glob("shared-*"))


def assert_written(paths, shards=SHARDS):
    for path, expected in zip(paths, cluster.expected_rows(0, N_ROWS), strict=True):
        found, rows = np.load(path), [row for first, last in shards for row in range(first, last)]
        np.testing.assert_array_equal(found[rows], expected[rows])
        assert (np.delete(found, rows, axis=0) == -1).all(), "rows that nobody asked for"


def refuse(work, paths, scheduler, match, kind=ClusterError):
    with pytest.raises(kind, match=match) as refused:
        list(run(work, paths, scheduler))
    assert "\n" not in str(refused.value)
    assert not list(paths[0].parent.glob("shared-*"))


def test_every_shard_is_written_once_by_two_processes(two_workers, paths, tmp_path):
    signed = tmp_path / "signed"
    signed.mkdir()
    done = list(run(functools.partial(cluster.open_signed, signed), paths, two_workers))
    assert sorted(done) == SHARDS
    assert_written(paths)
    names = [path.name.split(".") for path in signed.iterdir()]
    assert sorted(int(first) for first, _ in names) == [first for first, _ in SHARDS]
    assert len({process for _, process in names} - {str(os.getpid())}) == 2


def test_a_shard_is_on_disk_when_it_is_told(two_workers, paths):
    told = []
    for first, last in run(cluster.open_rows, paths, two_workers):
        told.append((first, last))
        for path, expected in zip(paths, cluster.expected_rows(first, last), strict=True):
            np.testing.assert_array_equal(np.load(path)[first:last], expected)
    assert sorted(told) == SHARDS


def test_rows_are_kept_as_the_file_has_them(two_workers, paths):
    for path in paths:
        np.save(path, np.load(path).astype(np.float16))
    list(run(cluster.open_rows, paths, two_workers))
    assert {np.load(path).dtype.name for path in paths} == {"float16"}
    assert_written(paths)


def test_without_shards_nothing_is_done(two_workers, paths):
    assert list(run(cluster.open_rows, paths, two_workers, [])) == []
    assert_written(paths, [])


def test_the_shard_of_a_worker_that_dies_in_it_is_done_by_another(two_workers, paths, tmp_path):
    before = set(cluster.list_workers(two_workers))
    done = list(run(functools.partial(cluster.open_deadly, tmp_path / "died"), paths, two_workers))
    assert (tmp_path / "died").exists()
    assert sorted(done) == SHARDS
    assert_written(paths)
    assert set(cluster.list_workers(two_workers)) != before


def test_a_worker_killed_from_outside_costs_nothing_but_time(two_workers, paths):
    done = []
    for shard in run(functools.partial(cluster.open_slow, 0.2), paths, two_workers):
        if not done:
            os.kill(cluster.list_workers(two_workers)[0], signal.SIGKILL)
        done.append(shard)
    assert sorted(done) == SHARDS
    assert_written(paths)


# --- what workers refuse, or fail with


@pytest.mark.parametrize(
    ("work", "match", "kind"),
    [
        (cluster.open_refusing, "^Must hold, but got not", ParamsError),
        (functools.partial(cluster.open_failing, FULL), r"0\.npy must fit on its disk", DiskError),
        (functools.partial(cluster.open_failing, OverflowError("x")), "^x$", OverflowError),
        (MISSING, "must see the files .* has no .*not_there. Keep data/ on a file system", ClusterError),
    ],
    ids=["refusal", "full disk", "other error", "other files"],
)
def test_what_a_worker_refuses_or_fails_with_is_told_by_the_command(two_workers, paths, work, match, kind):
    refuse(work, paths, two_workers, match, kind)
    assert sorted(run(cluster.open_rows, paths, two_workers)) == SHARDS


def test_a_worker_of_other_code_is_refused(two_workers, paths, monkeypatch):
    monkeypatch.setattr(sharding, "_digest_code", lambda: "edited since")
    refuse(cluster.open_rows, paths, two_workers, "must run the code .* Start the workers again")
    assert_written(paths, [])


def test_code_imported_after_an_edit_is_refused(paths, monkeypatch):
    """Digested before the edit, imported after it: the digest says nothing about what was imported."""
    code = sharding._read_code()
    monkeypatch.setattr(sharding, "_read_code", lambda: "edited since")
    monkeypatch.delitem(sys.modules, "cluster")
    with share_folder(paths[0].parent) as shared, pytest.raises(ClusterError, match="must run the code"):
        sharding._open_job(code, pickle.dumps((_open_late, paths, shared)))


def _open_late():
    import cluster as late

    return late.compute_rows


def test_workers_that_all_die_of_a_shard_are_not_replaced_for_ever(paths):
    with cluster.start_cluster(1, **{"distributed.scheduler.allowed-failures": 1}) as mortal:
        work = functools.partial(cluster.open_deadly, None)
        refuse(work, paths, mortal, "must live through a shard, but 2 were lost over one")


def test_a_worker_that_nobody_waits_for_stops(paths, monkeypatch):
    """Its client is gone, and the folder with it; what it would write is another's by now."""
    with share_folder(paths[0].parent) as shared:

        def compute(first, last):
            for number, block in enumerate(cluster.compute_rows(first, last)):
                if number == 2:
                    clear_shared(paths[0].parent)
                yield block

        monkeypatch.setattr(sharding, "_open_job", lambda code, packed: (compute, paths, shared))
        sharding._write_shard(sharding._digest_code(), b"", 0, 10)
    assert_written(paths, [(0, 2 * cluster.BATCH)])


def test_rows_are_written_where_data_cannot_be_synchronised_alone(paths, monkeypatch):
    monkeypatch.delattr(os, "O_DSYNC")
    rows = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    with sharding._open_rows(paths[0]) as write:
        write(1, rows)
    np.testing.assert_array_equal(np.load(paths[0])[1:3], rows)


def test_rows_of_another_shape_are_a_bug(paths):
    with sharding._open_rows(paths[0]) as write, pytest.raises(ValueError, match="announced"):
        write(0, np.ones((2, 6)))


# --- the scheduler


def test_without_dask_it_says_what_to_install(paths, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    refuse(cluster.open_rows, paths, "tcp://head:8786", r"pip install 'expressionist\[dask\]'")


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "no-port", "http://127.0.0.1:1", "tcp://nowhere.invalid:1"]
)
def test_a_scheduler_that_does_not_answer_is_refused(paths, monkeypatch, address, capfd):
    cluster.skip_without_dask()
    monkeypatch.setattr(sharding, "_CONNECT_PATIENCE", 2.0)
    started = time.monotonic()
    refuse(cluster.open_rows, paths, address, f"must answer at {address}, but got: .*unset it")
    assert time.monotonic() - started < 20
    assert capfd.readouterr() == ("", "")


def test_a_scheduler_without_workers_is_refused(paths, monkeypatch):
    monkeypatch.setattr(sharding, "_WORKER_PATIENCE", 1.0)
    with cluster.start_cluster(0) as empty:
        refuse(cluster.open_rows, paths, empty, "must have workers, but got none for 1 seconds. Start some")


def test_a_scheduler_knows_no_tensorflow_and_its_end_is_told(paths, tmp_path):
    """Its process and the worker's are those that `dask scheduler` and `dask worker` start."""
    cluster.skip_without_dask()
    import distributed

    about = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    quiet["env"] = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "dask"]
    where = ["--no-dashboard", "--scheduler-file", str(about)]
    scheduler = subprocess.Popen(
        [*command, "scheduler", *where, *"--host 127.0.0.1 --port 0".split()], **quiet
    )
    worker = subprocess.Popen([*command, "worker", *where, "--nthreads", "1"], **quiet)
    try:
        with distributed.Client(scheduler_file=str(about), timeout=60, set_as_default=False) as client:
            address = client.scheduler.address
            assert sorted(run(_open_with_keras, paths, address)) == SHARDS
            assert "keras" in next(iter(client.run(_list_modules).values()))
            assert not {"keras", "tensorflow"} & client.run_on_scheduler(_list_modules)
        shards = run(functools.partial(cluster.open_slow, 0.5), paths, address)
        next(shards)
        scheduler.kill()
        with pytest.raises(ClusterError, match="must stay until the work is done, but was lost"):
            list(shards)
    finally:
        for process in (scheduler, worker):
            process.terminate()
            process.wait(30)


def _open_with_keras():
    from expressionist.training import activation_cache  # noqa: F401  as the real work does

    return cluster.compute_rows


def _list_modules():
    return set(sys.modules)
