"""The pipeline as DVC runs it: killed in search and training, gone on with, and then left alone."""

import json
import shutil

import numpy as np
import pytest
import yaml

from expressionist.files.digests import md5
from expressionist.files.store import read_json, read_table
from pipeline import checkout
from pipeline.checkout import BACKBONE, MODEL, ROOT, SEARCH, STAGES
from rounds import count_rounds

REPRO = ("dvc", "repro", "compare")


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    """A git and DVC checkout with the repository's code and the tiny params."""
    folder = tmp_path_factory.mktemp("dvc") / "repo"
    checkout.write_params(folder)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    for name in ("data/incoming", "data/weights"):
        (folder / name).mkdir(parents=True)
        shutil.copyfile(ROOT / name / "README.md", folder / name / "README.md")
    checkout.finish(folder, "git", "init", "-q")
    return folder


def test_every_stage_is_in_the_pipeline(repo):
    listed = checkout.finish(repo, "dvc", "stage", "list", "--name-only").split()
    written = {path.stem for path in (ROOT / "src/expressionist/stages").glob("[!_]*.py")}
    assert {name.partition("@")[0] for name in listed} == written == set(STAGES)
    assert {f"{stage}@{BACKBONE}" for stage in ("tune", "train", "evaluate")} <= set(listed)


def test_the_stages_hang_together(repo):
    drawn = checkout.finish(repo, "dvc", "dag", "--dot").splitlines()
    edges = [line.split("->") for line in drawn if "->" in line]
    named = {tuple(end.strip(' ";') for end in edge) for edge in edges}
    order = ["fetch", "prepare", "split", "layout", "images", f"tune@{BACKBONE}", f"train@{BACKBONE}"]
    order += [f"evaluate@{BACKBONE}", "compare", "explain", "report", "register"]
    assert set(zip(order[:-1], order[1:], strict=True)) <= named


def test_killed_in_search_and_training_it_ends_like_an_undisturbed_run(request, repo):
    searched = repo / SEARCH

    def is_training():
        return any(repo.glob("data/cache/checkpoints/*/state.json"))

    # `test_kill` kills the stages alone, in either size; here a search that is killed costs two stages more.
    if count_rounds(0, 1):
        checkout.kill_when(repo, REPRO, is_training)
        assert not searched.exists()
    checkout.kill_when(repo, REPRO, lambda: searched.exists() and is_training())
    assert not (repo / MODEL).exists()
    checkout.finish(repo, *REPRO, timeout=900)
    # Only now: another worker of pytest-xdist makes it meanwhile.
    tiny = request.getfixturevalue("tiny")
    for output in ("split.tsv", "layout", "images"):
        assert checkout.read_tree(repo / "data" / output) == checkout.read_tree(tiny / "data" / output)
    assert checkout.read_values(repo) == pytest.approx(checkout.read_values(tiny), abs=1e-6)
    assert "RUNNING" not in {trial["state"] for trial in read_json(searched)["trials"]}
    for expected, found in zip(checkout.read_weights(tiny), checkout.read_weights(repo), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    before, after = (read_table(folder / "data/comparison/comparison.tsv") for folder in (tiny, repo))
    assert after["model"].tolist() == before["model"].tolist()
    np.testing.assert_allclose(after["accuracy"], before["accuracy"])
    before, after = (read_json(folder / "data/baselines/baselines.json") for folder in (tiny, repo))
    assert checkout.without_times(after) == checkout.without_times(before)


def test_then_it_is_up_to_date_and_a_second_run_does_nothing(repo):
    def list_times():
        paths = [repo / "dvc.lock", *(repo / "data").rglob("*")]
        return {path: path.stat().st_mtime_ns for path in paths if path.is_file()}

    assert json.loads(checkout.finish(repo, "dvc", "status", "compare", "--with-deps", "--json")) == {}
    lock, written = (repo / "dvc.lock").read_bytes(), list_times()
    assert "Running stage" not in checkout.finish(repo, *REPRO)
    assert (repo / "dvc.lock").read_bytes() == lock
    assert list_times() == written


def test_what_mlflow_calls_the_data_stands_in_the_lock(repo):
    lock = yaml.safe_load((repo / "dvc.lock").read_text(encoding="utf-8"))
    written = {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
    assert {path: md5(repo / path) for path in written} == written
    # Training has a run from here on if it takes long.
    runs = [run for run in checkout.list_runs(repo) if run.data.tags["kind"] != "training"]
    assert {run.data.tags["kind"] for run in runs} == {"search", "trial"}
    named = {"dvc.split": "data/split.tsv", "dvc.layout": "data/layout", "dvc.images": "data/images"}
    expected = {name: written[path] for name, path in named.items()}
    for run in runs:
        tags = run.data.tags
        assert {name: tags[name] for name in tags if name.startswith("dvc.")} == expected
        assert run.inputs.dataset_inputs[0].dataset.digest == written["data/images"]
        assert tags["DVC_STAGE"] == f"tune@{BACKBONE}"


def list_running(repo, *words):
    said = checkout.finish(repo, "dvc", "repro", *words)
    return {line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")}


def test_another_depth_runs_search_and_training_again_and_nothing_before_them(repo):
    checkout.write_params(repo, **{"search.depths": [0]})
    running = list_running(repo, "--dry", "compare")
    assert f"tune@{BACKBONE}" in running
    assert not running & {"fetch", "prepare", "split", "layout", "images", "baselines"}


def test_another_number_of_repeats_moves_neither_the_first_split_nor_what_hangs_on_it(repo):
    split = (repo / "data/split.tsv").read_bytes()
    checkout.write_params(repo, **{"split.repeats": 2})
    assert list_running(repo, f"evaluate@{BACKBONE}", "baselines") == {"split"}
    assert (repo / "data/split.tsv").read_bytes() == split
    assert "repeats" in list_running(repo, "--dry", "compare")
