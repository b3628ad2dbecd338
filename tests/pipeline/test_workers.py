"""`expressionist worker` beside the stage `tune`, killed in its trial: what comes out is the same."""

import os
import signal
import sys
import time

import optuna
import pytest
from optuna.trial import TrialState

import postgres_server
from expressionist.commands.app import worker
from expressionist.files.store import read_json
from expressionist.training.studies import open_studies
from pipeline import checkout
from pipeline.checkout import BACKBONE, SEARCH


@pytest.fixture(params=["one machine", pytest.param("two machines", marks=postgres_server.needed)])
def checkouts(request, tiny, tmp_path, monkeypatch):
    """Two checkouts with the images, on one server; or twice the same, with its file."""
    folders = [tmp_path / "here", tmp_path / "there"]
    if request.param == "one machine":
        checkout.copy_data(tiny, folders[0], "split.tsv", "layout", "images")
        yield *folders[:1] * 2, f"sqlite:///{folders[0] / 'data/cache/studies.db'}"
        return
    with postgres_server.serve() as url:
        monkeypatch.setenv("PGPASSWORD", postgres_server.PASSWORD)
        for folder in folders:
            checkout.copy_data(tiny, folder, "split.tsv", "layout", "images")
            checkout.write_params(folder, **{"search.storage": url})
        yield *folders, url


def count_running(storage):
    with open_studies(storage) as studies:
        known = optuna.study.get_all_study_summaries(storage=studies.storage)
        found = [optuna.load_study(study_name=each.study_name, storage=studies.storage) for each in known]
        return sum(trial.state == TrialState.RUNNING for study in found for trial in study.trials)


def test_a_killed_worker_leaves_its_trial_to_the_search(tiny, checkouts, tmp_path, call):
    here, there, storage = checkouts
    (here / "data/cache").mkdir(parents=True)
    words = [sys.executable, "-m", "expressionist", "worker", BACKBONE]
    # First, so that it stands ready when the search begins, which leaves it the second of the two trials.
    joined = checkout.start(there, words, tmp_path / "worker.log")
    search = checkout.start(here, checkout.stage_command("tune"), tmp_path / "tune.log")
    try:
        deadline = time.monotonic() + 600
        while count_running(storage) < 2:
            assert joined.poll() is None, (tmp_path / "worker.log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(0.05)
        os.kill(joined.pid, signal.SIGKILL)
        assert search.wait(600) == 0, (tmp_path / "tune.log").read_text()[-3000:]
    finally:
        for process in (joined, search):
            process.kill()
            process.wait()
    found, alone = (read_json(folder / SEARCH) for folder in (here, tiny))
    assert sorted(trial["state"] for trial in found["trials"]) == ["COMPLETE", "COMPLETE", "FAIL"]
    assert checkout.read_values(here) == pytest.approx(checkout.read_values(tiny), abs=1e-6)
    assert found["best"]["depth"] == alone["best"]["depth"]
    for record in (found, alone):
        del record["trials"], record["best"]
    assert checkout.without_times(found) == checkout.without_times(alone)
    for path in [*here.rglob("*"), *there.rglob("*"), *tmp_path.glob("*.log")]:
        assert not path.is_file() or postgres_server.PASSWORD.encode() not in path.read_bytes()
    # Nothing is left, which a worker that comes too late is told.
    code, printed, said = call(there, "worker", BACKBONE)
    assert code == 0, said
    assert "no trial is left to begin; 0 were run here" in printed


def test_a_worker_looks_where_the_search_looks():
    """Paths stand in dvc.yaml; these are the same."""
    declared = {each.name: str(each.default) for each in worker.params}
    paths = {name: declared[name] for name in ("split", "layout", "images", "cache")}
    options = checkout.read_options("tune")
    assert paths == {name: options[name] for name in paths}


def test_a_worker_of_another_search_is_told_what_there_is(tiny, tmp_path, call):
    checkout.copy_data(tiny, tmp_path, "split.tsv", "layout", "images")
    code, _, said = call(tmp_path, "worker", BACKBONE, "--patience", "0")
    assert code == 2
    assert "A search must have begun before it is joined" in said
    assert "Traceback" not in said


def test_a_worker_without_images_is_told_where_to_get_them(tmp_path, call):
    checkout.write_params(tmp_path)
    code, _, said = call(tmp_path, "worker", BACKBONE)
    assert code == 2
    assert "A worker must have what it trains on, but got no data/split.tsv, data/layout, data/im" in said
