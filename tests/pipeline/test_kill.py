"""`kill -9` in search and training, then going on: the result is that of an undisturbed run, and whole."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from expressionist.files.store import read_json
from pipeline import checkout
from pipeline.checkout import MODEL, SEARCH


@pytest.fixture
def ready(tiny, tmp_path):
    """A checkout that is ready for the stage `tune`, with nothing in its cache."""
    checkout.copy_data(tiny, tmp_path, "split.tsv", "layout", "images")
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


def find_partials(folder):
    return [path for path in (folder / "data").rglob(".partial-*") if "cache" not in path.parts]


def compare_histories(found, expected):
    tables = (pd.DataFrame(checkout.without_times(each["history"])) for each in (found, expected))
    pd.testing.assert_frame_equal(*tables, atol=1e-6)


def test_a_search_killed_twice_ends_like_an_undisturbed_one(tiny, ready):
    undisturbed = read_json(tiny / SEARCH)
    # In the first trial, after its first epoch.
    checkout.kill_when(ready, checkout.stage_command("tune"), lambda: read_checkpoints(ready))
    (state,) = read_checkpoints(ready).values()
    assert count_trials(ready)["RUNNING"] == 1
    assert not (ready / SEARCH).exists()
    # In another one, one being done.
    under_way = {"COMPLETE": 1, "RUNNING": 1}.items()
    checkout.kill_when(
        ready, checkout.stage_command("tune"), lambda: under_way <= count_trials(ready).items()
    )
    assert not (ready / SEARCH).exists()
    checkout.finish(ready, *checkout.stage_command("tune"))
    found = read_json(ready / SEARCH)
    complete = [trial for trial in found["trials"] if trial["state"] == "COMPLETE"]
    assert count_trials(ready) == {"COMPLETE": len(undisturbed["trials"]), "FAIL": 2}
    assert {trial["state"] for trial in found["trials"]} == {"COMPLETE", "FAIL"}
    as_expected = {trial["depth"]: trial for trial in checkout.without_times(undisturbed["trials"])}
    assert {trial["depth"] for trial in complete} == set(as_expected)
    for trial in checkout.without_times(complete):
        expected = as_expected[trial["depth"]]
        assert trial["value"] == pytest.approx(expected["value"], abs=1e-6)
        compare_histories(trial, expected)
    assert found["best"]["depth"] == undisturbed["best"]["depth"]
    # The epoch before the first kill was not trained again: even the time that it took is the same.
    told = [{**row, "fold": 1} for row in state["history"]]
    assert told in [trial["history"][: len(told)] for trial in complete]
    assert find_partials(ready) == []
    assert read_checkpoints(ready) == {}
    runs = sorted(f"{run.data.tags['kind']} {run.info.status}" for run in checkout.list_runs(ready))
    assert runs == ["search FINISHED", *2 * ["trial FAILED"], *2 * ["trial FINISHED"]]


def test_a_killed_training_ends_like_an_undisturbed_one(tiny, ready):
    checkout.copy_data(tiny, ready, "search")
    checkout.kill_when(ready, checkout.stage_command("train"), lambda: read_checkpoints(ready))
    (state,) = read_checkpoints(ready).values()
    assert not (ready / MODEL).exists()
    checkout.finish(ready, *checkout.stage_command("train"))
    before, after = (read_json(folder / MODEL / "training.json") for folder in (tiny, ready))
    assert after["history"][: len(state["history"])] == state["history"]
    compare_histories(after, before)
    for expected, found in zip(checkout.read_weights(tiny), checkout.read_weights(ready), strict=True):
        # Half precision makes more of a last bit of an activation, which may differ between processes.
        np.testing.assert_allclose(found, expected, atol=3e-4)
    assert find_partials(ready) == []
    assert read_checkpoints(ready) == {}
