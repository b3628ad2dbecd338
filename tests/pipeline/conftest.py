"""The tiny pipeline, run once for all tests of this folder."""

import fcntl
import os
import shutil

import pytest

from pipeline.checkout import copy_data, run_stages, write_params
from pipeline.commands import call  # noqa: F401  a fixture


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
    """A checkout in which everything up to `compare` was run, in one process and undisturbed; not to be
    changed.

    The workers of pytest-xdist share it: the first to need it makes it, and others wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, done = shared / "tiny", shared / "tiny.done"
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            write_params(folder)
            run_stages(folder, "fetch", "prepare", "split", "layout", "images", "baselines", "tune", "train")
            run_stages(folder, "novelty", "evaluate", "repeats", "compare")
            done.touch()
    return folder


@pytest.fixture(scope="session")
def published(tiny, tmp_path_factory):
    """The tiny checkout with `explain`, `report` and `register` run as well; not to be changed."""
    folder = tmp_path_factory.mktemp("published") / "checkout"
    shutil.copytree(tiny, folder)
    run_stages(folder, "explain", "report", "register")
    return folder


@pytest.fixture(scope="session")
def scrambled(tiny, tmp_path_factory):
    """The tiny checkout with other expression in its test rows, and everything from `layout` to `evaluate`
    run on it."""
    from pipeline.scramble import scramble_test_rows

    folder = tmp_path_factory.mktemp("scrambled")
    copy_data(tiny, folder, "cohort", "split.tsv")
    scramble_test_rows(folder / "data")
    run_stages(folder, "layout", "images", "baselines", "tune", "train")
    run_stages(folder, "novelty", "evaluate")
    return folder
