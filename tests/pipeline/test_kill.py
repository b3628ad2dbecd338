"""`kill -9` in search and training, then going on: the result is that of an undisturbed run, and whole."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from expressionist.files.store import read_json
from expressionist.tracking.store import open_store
from pipeline.checkout import (
    BACKBONE,
    copy_data,
    kill_when,
    read_weights,
    run_command,
    stage_command,
    without_times,
)

SEARCH = f"data/search/{BACKBONE}.json"
MODEL = f"data/models/{BACKBONE}"


@pytest.fixture
def checkout(tiny, tmp_path):
    """A checkout that is ready for the stage `tune`, with nothing in its cache."""
    copy_data(tiny, tmp_path, "split.tsv", "layout", "images")
    return tmp_path


def read_checkpoints(folder):
    """Read the state of every training that is under way: folder name → state."""
    states = folder.glob("data/cache/checkpoints/*/state.json")
    return {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in states}


def count_trials(folder):
    """Count the trials of the study by state, as the database has them."""
    database = folder / "data/cache/studies.db"
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute("SELECT state, count(*) FROM trials GROUP BY state").fetchall()
        except sqlite3.OperationalError:
            return {}  # not made yet, or being written to
    return dict(rows)


def finish(folder, stage):
    ended = run_command(folder, *stage_command(stage))
    assert ended.returncode == 0, ended.stderr[-3000:]


def list_runs(folder):
    client = open_store(folder).client
    runs = client.search_runs([item.experiment_id for item in client.search_experiments()])
    return sorted(f"{run.data.tags['kind']} {run.info.status}" for run in runs)


def find_partials(folder):
    return [path for path in (folder / "data").rglob(".partial-*") if "cache" not in path.parts]


def test_a_search_killed_twice_ends_like_an_undisturbed_one(tiny, checkout):
    undisturbed = read_json(tiny / SEARCH)
    # In the first trial, after its first epoch.
    kill_when(checkout, stage_command("tune"), lambda: read_checkpoints(checkout))
    (state,) = read_checkpoints(checkout).values()
    assert count_trials(checkout)["RUNNING"] == 1
    assert not (checkout / SEARCH).exists()
    # In another one, one being done.
    kill_when(
        checkout,
        stage_command("tune"),
        lambda: {"COMPLETE": 1, "RUNNING": 1}.items() <= count_trials(checkout).items(),
    )
    assert not (checkout / SEARCH).exists()
    finish(checkout, "tune")
    found = read_json(checkout / SEARCH)
    complete = [trial for trial in found["trials"] if trial["state"] == "COMPLETE"]
    assert count_trials(checkout) == {"COMPLETE": len(undisturbed["trials"]), "FAIL": 2}
    assert {trial["state"] for trial in found["trials"]} == {"COMPLETE", "FAIL"}
    as_expected = {trial["depth"]: trial for trial in without_times(undisturbed["trials"])}
    assert {trial["depth"] for trial in complete} == set(as_expected)
    for trial in without_times(complete):
        expected = as_expected[trial["depth"]]
        assert trial["value"] == pytest.approx(expected["value"], abs=1e-6)
        pd.testing.assert_frame_equal(
            pd.DataFrame(trial["history"]), pd.DataFrame(expected["history"]), atol=1e-6
        )
    assert found["best"]["depth"] == undisturbed["best"]["depth"]
    # The epoch before the first kill was not trained again: even the time that it took is the same.
    histories = [trial["history"][: len(state["history"])] for trial in complete]
    assert state["history"] in histories
    assert find_partials(checkout) == []
    assert read_checkpoints(checkout) == {}
    assert list_runs(checkout) == [
        "search FINISHED",
        "trial FAILED",
        "trial FAILED",
        "trial FINISHED",
        "trial FINISHED",
    ]


def test_a_killed_training_ends_like_an_undisturbed_one(tiny, checkout):
    copy_data(tiny, checkout, "search")
    kill_when(checkout, stage_command("train"), lambda: read_checkpoints(checkout))
    (state,) = read_checkpoints(checkout).values()
    assert not (checkout / MODEL).exists()
    finish(checkout, "train")
    before, after = (read_json(folder / MODEL / "training.json") for folder in (tiny, checkout))
    assert after["history"][: len(state["history"])] == state["history"]
    pd.testing.assert_frame_equal(
        pd.DataFrame(without_times(after["history"])),
        pd.DataFrame(without_times(before["history"])),
        atol=1e-6,
    )
    for expected, found in zip(read_weights(tiny), read_weights(checkout), strict=True):
        # Half precision makes more of a last bit of an activation, which may differ between processes.
        np.testing.assert_allclose(found, expected, atol=3e-4)
    assert find_partials(checkout) == []
    assert read_checkpoints(checkout) == {}
