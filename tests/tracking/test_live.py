"""Runs that are seen while they go on: completed in place, nothing twice, and no store stops a training."""

import json
import os
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from expressionist.tracking import live
from expressionist.tracking.live import LiveRun, open_live
from expressionist.tracking.publishing import (
    begin_search,
    begin_training,
    begin_trial,
    publish_search,
    publish_training,
    publish_trial,
)
from expressionist.tracking.runs import LIVE, Dataset, kill_orphans
from expressionist.tracking.store import Experiment, open_experiment, open_store, prepare

EPOCHS = [
    {"epoch": number, "loss": 1.0 / number, "seconds": 0.5, "validation_f1_macro": 0.1 * number}
    for number in (1, 2, 3)
]
ABOUT = {"backbone": "resnet50", "synthetic": False, "weights": {"random": False, "digest": "abc"}}
SEARCH: dict[str, Any] = {
    **ABOUT,
    "study": "study",
    "space": {"depth": [0]},
    "objective": "f1_macro",
    "cohort": "toy",
    "digests": {"images": "i", "split": "s"},
    "source": "data/images",
}
BEGUN = {"number": 0, "state": "RUNNING", "depth": 0, "params": {}, "started": "2026-01-01T00:00:00+00:00"}
TRIAL = {**BEGUN, "state": "COMPLETE", "value": 0.3, "seconds": 2.0, "history": EPOCHS}
KNOWN: dict[str, Any] = {**ABOUT, "study": "study", "depth": 1, "params": {"dropout": 0.5}, "cohort": "toy"}
KNOWN["params"]["strides"] = (8, 32)
# As it is read from its file.
TRAINING = {**json.loads(json.dumps(KNOWN)), "history": EPOCHS, "seconds": 2.0, "unfrozen_layers": ["a"]}
METRICS = {"test": {"accuracy": 0.9, "f1_macro": 0.8}, "validation": {"accuracy": 0.7}}
DATA = Dataset("toy", "i", "data/images")
DIGESTS = {"images": "i", "split": "s"}
HERE = {"provenance": {"DVC_STAGE": "train"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    prepare(root / "mlruns")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(live, "SECONDS_BETWEEN", 0.0)
    return Path(shutil.copytree(made, tmp_path / "root"))


@pytest.fixture
def experiment(root: Path) -> Experiment:
    return open_experiment(open_store(root), "toy")


def fail(line: str) -> None:
    raise AssertionError(line)


def train(root: Path, epochs: list[dict[str, Any]], *, whole: bool) -> None:
    """Do as the stage train does; without an end, as if it were killed."""
    begin = partial(begin_training, training=KNOWN, dataset=DATA, digests=DIGESTS, **HERE)
    with open_live(root, None, "toy", fail) as opened:
        run = LiveRun(opened, begin)
        for epoch in epochs:
            run.log(epoch)
        if whole:
            run.end("FINISHED")


def publish(experiment: Experiment, key: str = "key") -> str:
    digests = {**DIGESTS, "evaluation": "e"}
    facts: dict[str, Any] = {"dataset": DATA, "digests": digests, "params": {}}
    by = {"provenance": {"DVC_STAGE": "register"}}
    return publish_training(experiment, TRAINING, METRICS, key=key, **facts, **by)


def read_runs(experiment: Experiment) -> dict[str, Any]:
    """Read what there is: kind → run; there is one of each."""
    runs = experiment.client.search_runs([experiment.id])
    found = {run.data.tags["kind"]: run for run in runs}
    assert len(found) == len(runs)
    return found


def read_steps(experiment: Experiment, run: Any) -> list[int]:
    points = experiment.client.get_metric_history(run.info.run_id, "epoch/loss")
    return sorted(point.step for point in points)


@pytest.mark.parametrize("n_before", [1, 3])
def test_a_training_is_seen_and_then_completed_in_its_run(
    root: Path, experiment: Experiment, n_before: int
) -> None:
    train(root, EPOCHS[:n_before], whole=n_before == 3)
    begun = read_runs(experiment)["training"]
    assert begun.info.status == ("FINISHED" if n_before == 3 else "RUNNING")
    assert read_steps(experiment, begun) == list(range(1, n_before + 1))
    assert begun.data.params["dropout"] == "0.5"
    assert publish(experiment) == begun.info.run_id
    run = read_runs(experiment)["training"]
    assert read_steps(experiment, run) == [1, 2, 3]
    assert (run.info.status, run.data.metrics["accuracy"]) == ("FINISHED", 0.9)
    # It was trained where it began; what was not known then has come.
    assert (run.data.tags["DVC_STAGE"], run.data.tags["dvc.evaluation"]) == ("train", "e")
    assert LIVE not in run.data.tags
    assert publish(experiment) == begun.info.run_id
    # Judged otherwise, it is another run, as it always was.
    assert publish(experiment, "another") != begun.info.run_id


def test_a_killed_training_is_gone_on_with_in_its_run(
    root: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(root, EPOCHS[:1], whole=False)
    kill_orphans(experiment)
    assert read_runs(experiment)["training"].info.status == "RUNNING"  # its process is this one
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", lambda *_: (_ for _ in ()).throw(ProcessLookupError))
        kill_orphans(experiment)
    assert read_runs(experiment)["training"].info.status == "KILLED"
    # The epoch before the kill is told once more, as if its checkpoint had not been written.
    train(root, EPOCHS[:2], whole=False)
    gone_on = read_runs(experiment)["training"]
    assert (gone_on.info.status, read_steps(experiment, gone_on)) == ("RUNNING", [1, 2])
    publish(experiment)
    run = read_runs(experiment)["training"]
    assert (run.info.status, read_steps(experiment, run)) == ("FINISHED", [1, 2, 3])


@pytest.mark.parametrize("joined", [False, True])
def test_a_trial_is_seen_below_its_search_and_then_completed(
    root: Path, experiment: Experiment, *, joined: bool
) -> None:
    begin = partial(begin_trial, search=SEARCH, trial=BEGUN, live=True, **HERE)
    begin_search(experiment, SEARCH, **HERE)
    with open_live(root, None, "toy", fail, joined=joined) as opened:
        run = LiveRun(opened, begin)
        run.log(EPOCHS[0])
        deadline = time.monotonic() + 60
        while "trial" not in read_runs(experiment):
            assert time.monotonic() < deadline
        run.end()
        run.log(EPOCHS[1])  # too late: whoever knows that the trial has ended tells of it now
    begun = read_runs(experiment)
    assert {run.info.status for run in begun.values()} == {"RUNNING"}
    assert read_steps(experiment, begun["trial"]) == [1]
    publish_trial(experiment, SEARCH, TRIAL, **HERE)
    found = {"trials": [TRIAL], "best": {"depth": 0, "number": 0, "value": 0.3}}
    publish_search(experiment, SEARCH | found, **HERE)
    runs = read_runs(experiment)
    assert {kind: run.info.run_id for kind, run in runs.items()} == {
        kind: run.info.run_id for kind, run in begun.items()
    }
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert read_steps(experiment, runs["trial"]) == [1, 2, 3]
    assert runs["trial"].data.tags["trial.state"] == "COMPLETE"
    assert runs["trial"].data.tags["mlflow.parentRunId"] == runs["search"].info.run_id
    named = {item.dataset.name: item.dataset.source for item in runs["trial"].inputs.dataset_inputs}
    assert set(named) == {"toy", "toy validation"}
    assert "data/images/train.npy" in named["toy"]


def test_a_worker_tells_no_store_that_does_not_know_its_search(root: Path, tmp_path: Path) -> None:
    begin, said = partial(begin_trial, search=SEARCH, trial=BEGUN, live=True, **HERE), list[str]()
    for place, reason in ((root, "the run of the search that is joined"), (tmp_path, "a store of models")):
        said.clear()
        with open_live(place, None, "toy", said.append, joined=True) as opened:
            LiveRun(opened, begin).log(EPOCHS[0])
        assert len(said) == 1
        assert reason in said[0]
    assert not (tmp_path / "mlruns").exists()
    # On another machine, it tells a server or none.
    with open_live(None, None, "toy", fail, joined=True) as opened:
        LiveRun(opened, begin).log(EPOCHS[0])


def test_a_store_that_does_not_answer_is_told_of_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(live, "_SECONDS_OFF", 0.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    said: list[str] = []
    with open_live(tmp_path, "http://127.0.0.1:9", "toy", said.append) as opened:
        run = LiveRun(opened, partial(begin_training, training=KNOWN, dataset=DATA, digests=DIGESTS, **HERE))
        for epoch in EPOCHS:
            run.log(epoch)
        run.end("FINISHED")
    assert len(said) == 1
    assert "the stage register makes up for" in said[0]
    assert "\n" not in said[0]


def test_what_ends_soon_is_not_told_while_it_runs(
    root: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SECONDS_BETWEEN", 60.0)
    train(root, EPOCHS, whole=True)
    assert read_runs(experiment) == {}


def test_what_the_machine_does_is_logged_where_it_is_asked_for(
    root: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    with open_live(root, None, "toy", fail) as opened:
        run = LiveRun(opened, partial(begin_training, training=KNOWN, dataset=DATA, digests=DIGESTS, **HERE))
        run.log(EPOCHS[0])
        deadline = time.monotonic() + 60
        while "system/cpu_utilization_percentage" not in _read_metrics(experiment):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.end("FINISHED")


def _read_metrics(experiment: Experiment) -> dict[str, float]:
    runs = experiment.client.search_runs([experiment.id])
    return runs[0].data.metrics if runs else {}
