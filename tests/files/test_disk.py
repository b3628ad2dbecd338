"""A full disk is one message; what was there before stays, and nothing half-written does."""

import errno
import os
import resource
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import toy
from expressionist.data.cohort_file import write_cohort
from expressionist.errors import DiskError, ParamsError
from expressionist.files.disk import explain_disk, is_full, reserve
from expressionist.files.locks import lock_file
from expressionist.files.store import read_json, write_array, write_arrays, write_json, write_table
from expressionist.training.search import Outcome, Space, run_search
from small_disk import fill, mount


@pytest.fixture
def disk(tmp_path):
    with mount(tmp_path / "disk", 4) as folder:
        yield folder


WRITERS = {
    "text.json": lambda path: write_json(path, {"text": "x" * 200_000}),
    "table.tsv": lambda path: write_table(path, pd.DataFrame(np.ones((400, 400)))),
    "mapped.npy": lambda path: write_array(path, iter([np.ones((100, 1000))]), (100, 1000)),
    "packed.npz": lambda path: write_arrays(path, x=np.random.default_rng(0).random((200, 400))),
    "cohort.h5ad": lambda path: write_cohort(path, toy.make_cohort(100, 400)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_does_not_fit_is_named_and_leaves_the_old(disk, name):
    path = disk / name
    path.write_text("old", encoding="utf-8")
    fill(disk, leave=60_000)
    with pytest.raises(DiskError, match=rf"{name} must fit on its disk, but got 0\.\d MiB") as refused:
        WRITERS[name](path)
    assert "\n" not in str(refused.value)
    assert path.read_text(encoding="utf-8") == "old"
    assert {item.name for item in disk.iterdir()} == {name, "ballast"}


@pytest.mark.parametrize("leave", [0, 60_000])
def test_the_prefix_cache_leaves_nothing_half_written(disk, leave):
    import keras

    from expressionist.training.activation_cache import ActivationCache

    images, cache = np.ones((100, 8, 8, 1), np.float32), ActivationCache(disk)
    pixels = keras.Input((8, 8, 1))
    small = keras.Model(pixels, {"maps": keras.layers.Conv2D(1, 1)(pixels)})
    large = keras.Model(pixels, {"maps": keras.layers.Conv2D(9, 1)(pixels)})
    before = cache.compute(small, images, {"cut": 1})["maps"]
    kept = {path.name for path in disk.iterdir() if not path.name.startswith(".")}
    ballast = fill(disk, leave=leave)
    with pytest.raises((DiskError, OSError)) as refused:
        cache.compute(large, images, {"cut": 2})
    assert is_full(refused.value)
    assert {path.name for path in disk.iterdir() if path.is_dir()} == kept
    ballast.unlink()
    np.testing.assert_array_equal(cache.compute(small, images, {"cut": 1})["maps"], before)
    assert cache.compute(large, images, {"cut": 2})["maps"].shape == (100, 8, 8, 9)


def test_a_search_keeps_its_trials(disk):
    def train(choice, report):
        if choice["depth"] == 1 and not fills:
            fills.append(fill(disk, leave=0))
        history = [{"epoch": epoch, "validation_f1_macro": 0.5} for epoch in range(200)]
        return Outcome(choice["depth"] / 10, history)

    def run():
        keys = {"storage": f"sqlite:///{disk / 'studies.db'}", "objective": "f1_macro", "n_trials": 4}
        return run_search("study", Space((0, 1, 2, 3)), train, **keys, prune=False, seed=1)

    fills = []
    with pytest.raises(DiskError, match=r"studies\.db must fit"), explain_disk(disk / "studies.db"):
        run()
    fills[0].unlink()
    states = [(trial["depth"], trial["state"]) for trial in run()]
    assert states == [(3, "COMPLETE"), (2, "COMPLETE"), (1, "FAIL"), (1, "COMPLETE"), (0, "COMPLETE")]


def test_a_limit_on_files_is_as_good_as_a_full_disk(tmp_path):
    def write():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with pytest.raises(DiskError, match=r"data\.json must fit"):
            write_json(tmp_path / "data.json", {"text": "x" * 50_000})

    write_json(tmp_path / "data.json", {"text": "old"})
    assert toy.fork(write) == 0
    assert read_json(tmp_path / "data.json") == {"text": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]


@pytest.fixture(params=["linux", "macos"])
def _system(request, monkeypatch):
    if request.param == "macos":
        monkeypatch.delattr(os, "posix_fallocate")
        monkeypatch.setattr("expressionist.files.disk._BLOCK", 4096)


@pytest.mark.usefixtures("_system")
def test_room_is_taken_without_touching_what_is_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    reserve(path, 10_000)
    assert path.read_bytes() == b"abc" + bytes(9_997)
    assert path.stat().st_blocks * 512 >= 10_000


@pytest.mark.usefixtures("_system")
def test_the_room_that_is_needed_is_said(disk):
    path = disk / "file"
    path.touch()
    with pytest.raises(DiskError, match=r"file must fit on its disk, but got 4\.0 MiB .* needs 100\.0 MiB"):
        reserve(path, 100 * 2**20)
    assert not path.exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EROFS, "Read-only file system", "data/x"), "data/x must be open to .* Read-only file"),
        (OSError(errno.EACCES, "Permission denied"), "here must be open to .* Permission denied"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "here must be open to"),
        (
            sqlite3.OperationalError("database is locked"),
            "The database in here must be free within 120 seconds",
        ),
    ],
)
def test_a_closed_or_locked_disk_is_one_line_too(error, said):
    with pytest.raises(DiskError, match=said) as refused, explain_disk(Path("here")):
        # As SQLAlchemy and MLflow do.
        raise RuntimeError(f"{error}\n[SQL: INSERT]") from error
    assert "\n" not in str(refused.value)


def test_of_two_disks_the_full_one_is_named(disk, tmp_path):
    fill(disk, leave=0)
    with (
        pytest.raises(DiskError, match=r"mlruns must fit .* got 0\.0 MiB"),
        explain_disk(tmp_path, disk / "mlruns"),
    ):
        raise sqlite3.OperationalError("database or disk is full")


def test_a_lock_on_a_read_only_disk_is_held_as_it_is(disk):
    (disk / "lock").touch()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with lock_file(disk / "lock") as is_held, lock_file(disk / "lock", wait=False) as is_held_twice:
        assert (is_held, is_held_twice) == (True, False)
    with pytest.raises(OSError, match="Read-only"), lock_file(disk / "another"):
        pass


def test_other_errors_pass_as_they_are(tmp_path):
    missing, refusal = OSError(errno.ENOENT, "Missing"), ParamsError("No.")
    refusal.__context__ = OSError(errno.ENOSPC, "No space left on device")
    for error in (missing, refusal, KeyError("x")):
        with pytest.raises(type(error)) as raised, explain_disk(tmp_path):
            raise error
        assert raised.value is error
