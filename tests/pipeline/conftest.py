"""The tiny pipeline, run once for all tests of this folder."""

import fcntl
import os
import shutil

import pytest

from pipeline.checkout import copy_data, run_stages, write_params
from pipeline.scramble import scramble_test_rows


@pytest.fixture(scope="session", autouse=True)
def _no_store_but_ours():
    """Keep what the developer's shell says about MLflow and DVC away from the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("DVC_", "MLFLOW_")):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A checkout in which all up to `refit` was run, in one process and undisturbed; not to be changed."""
    shared = tmp_path_factory.getbasetemp()
    # The workers of pytest-xdist share it: the first to need it makes it, and others wait.
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, done = shared / "tiny", shared / "tiny.done"
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            write_params(folder)
            run_stages(folder, "fetch", "prepare", "lists", "split", "layout", "images", "baselines")
            run_stages(folder, "tune", "train", "novelty", "evaluate", "repeats", "compare")
            run_stages(folder, "ablation", "refit")
            done.touch()
    return folder


@pytest.fixture(scope="session")
def published(tiny, tmp_path_factory):
    """The tiny checkout with `explain`, `report` and `register` run as well; not to be changed."""
    folder = tmp_path_factory.mktemp("published") / "checkout"
    shutil.copytree(tiny, folder)
    run_stages(folder, "explain", "report", "pack", "register")
    return folder


@pytest.fixture(scope="session")
def scrambled(tiny, tmp_path_factory):
    """The tiny checkout with other expression in its test rows, and `layout` to `refit` run on it."""
    folder = tmp_path_factory.mktemp("scrambled")
    copy_data(tiny, folder, "cohort", "split.tsv")
    scramble_test_rows(folder / "data")
    run_stages(folder, "layout", "images", "baselines", "tune", "train", "novelty", "evaluate")
    run_stages(folder, "repeats", "compare", "refit")
    return folder
