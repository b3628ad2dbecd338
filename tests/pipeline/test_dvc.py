"""The pipeline as DVC runs it: killed in search and training, gone on with, and then left alone."""

import json
import shutil

import numpy as np
import pytest
import yaml

from expressionist.files.digests import md5
from expressionist.files.store import read_json, read_table
from expressionist.tracking.store import open_store
from pipeline.checkout import (
    BACKBONE,
    ROOT,
    STAGES,
    kill_when,
    read_tree,
    read_weights,
    run_command,
    without_times,
    write_params,
)
from rounds import count_rounds

REPRO = ("dvc", "repro", "compare")
CODE_ONLY = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A git and DVC checkout with the repository's code and the tiny params."""
    folder = tmp_path_factory.mktemp("dvc") / "checkout"
    write_params(folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=CODE_ONLY)
    (folder / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    for name in ("data/incoming", "data/weights"):
        (folder / name).mkdir(parents=True)
        shutil.copyfile(ROOT / name / "README.md", folder / name / "README.md")
    assert run_command(folder, "git", "init", "-q").returncode == 0
    return folder


def do(folder, *words):
    ended = run_command(folder, *words, timeout=900)
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


def is_training(folder):
    return any(folder.glob("data/cache/checkpoints/*/state.json"))


def test_every_stage_is_in_the_pipeline(checkout):
    listed = do(checkout, "dvc", "stage", "list", "--name-only").split()
    written = {path.stem for path in (ROOT / "src/expressionist/stages").glob("[!_]*.py")}
    assert {name.partition("@")[0] for name in listed} == written == set(STAGES)
    assert {f"{stage}@{BACKBONE}" for stage in ("tune", "train", "evaluate")} <= set(listed)


def test_the_stages_hang_together(checkout):
    edges = [line.split("->") for line in do(checkout, "dvc", "dag", "--dot").splitlines() if "->" in line]
    named = {tuple(end.strip(' ";') for end in edge) for edge in edges}
    order = ["fetch", "prepare", "split", "layout", "images", f"tune@{BACKBONE}", f"train@{BACKBONE}"]
    order += [f"evaluate@{BACKBONE}", "compare", "explain", "report", "register"]
    assert set(zip(order[:-1], order[1:], strict=True)) <= named


def test_killed_in_search_and_training_it_ends_like_an_undisturbed_run(request, checkout):
    # `test_kill` kills the stages alone, in either size; here a search that is killed costs two stages more.
    if count_rounds(0, 1):
        kill_when(checkout, REPRO, lambda: is_training(checkout))
        assert not (checkout / f"data/search/{BACKBONE}.json").exists()
    searched = checkout / f"data/search/{BACKBONE}.json"
    kill_when(checkout, REPRO, lambda: searched.exists() and is_training(checkout))
    assert not (checkout / f"data/models/{BACKBONE}").exists()
    do(checkout, *REPRO)
    # Only now: another worker of pytest-xdist makes it meanwhile.
    tiny = request.getfixturevalue("tiny")
    for output in ("split.tsv", "layout", "images"):
        assert read_tree(checkout / "data" / output) == read_tree(tiny / "data" / output)
    before, after = (read_json(folder / f"data/search/{BACKBONE}.json") for folder in (tiny, checkout))
    values = [
        {t["depth"]: t["value"] for t in each["trials"] if t["state"] == "COMPLETE"}
        for each in (before, after)
    ]
    assert values[1] == pytest.approx(values[0], abs=1e-6)
    assert "RUNNING" not in {trial["state"] for trial in after["trials"]}
    for expected, found in zip(read_weights(tiny), read_weights(checkout), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    before, after = (read_table(folder / "data/comparison/comparison.tsv") for folder in (tiny, checkout))
    assert after["model"].tolist() == before["model"].tolist()
    np.testing.assert_allclose(after["accuracy"], before["accuracy"])
    before, after = (read_json(folder / "data/baselines/baselines.json") for folder in (tiny, checkout))
    assert without_times(after) == without_times(before)


def test_then_it_is_up_to_date_and_a_second_run_does_nothing(checkout):
    assert json.loads(do(checkout, "dvc", "status", "compare", "--with-deps", "--json")) == {}
    lock = (checkout / "dvc.lock").read_bytes()
    written = {path: path.stat().st_mtime_ns for path in (checkout / "data").rglob("*") if path.is_file()}
    assert "Running stage" not in do(checkout, *REPRO)
    assert (checkout / "dvc.lock").read_bytes() == lock
    assert {
        path: path.stat().st_mtime_ns for path in (checkout / "data").rglob("*") if path.is_file()
    } == written


def test_what_mlflow_calls_the_data_stands_in_the_lock(checkout):
    lock = yaml.safe_load((checkout / "dvc.lock").read_text(encoding="utf-8"))
    written = {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
    assert {path: md5(checkout / path) for path in written} == written
    client = open_store(checkout).client
    runs = client.search_runs([item.experiment_id for item in client.search_experiments()])
    assert {run.data.tags["kind"] for run in runs} == {"search", "trial"}
    named = {"dvc.split": "data/split.tsv", "dvc.layout": "data/layout", "dvc.images": "data/images"}
    for run in runs:
        tags = run.data.tags
        assert {name: tags[name] for name in tags if name.startswith("dvc.")} == {
            name: written[path] for name, path in named.items()
        }
        assert run.inputs.dataset_inputs[0].dataset.digest == written["data/images"]
        assert tags["DVC_STAGE"] == f"tune@{BACKBONE}"


def list_running(said):
    return {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")}


def test_another_depth_runs_search_and_training_again_and_nothing_before_them(checkout):
    write_params(checkout, **{"search.depths": [0]})
    said = do(checkout, "dvc", "repro", "--dry", "compare")
    running = list_running(said)
    assert f"tune@{BACKBONE}" in running
    assert not running & {"fetch", "prepare", "split", "layout", "images", "baselines"}


def test_another_number_of_repeats_moves_neither_the_first_split_nor_what_hangs_on_it(checkout):
    split = (checkout / "data/split.tsv").read_bytes()
    write_params(checkout, **{"split.repeats": 2})
    assert list_running(do(checkout, "dvc", "repro", f"evaluate@{BACKBONE}", "baselines")) == {"split"}
    assert (checkout / "data/split.tsv").read_bytes() == split
    assert "repeats" in list_running(do(checkout, "dvc", "repro", "--dry", "compare"))
