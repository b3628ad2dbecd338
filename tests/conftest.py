"""What holds for all tests: one thread a process, the sizes of random tests, and the slowest files first."""

import os
import sys

import pytest
from hypothesis import settings

from rounds import SIZE

settings.register_profile("small", max_examples=10)
settings.register_profile("large", max_examples=50)
settings.load_profile(SIZE)

# Several processes share the cores, and threads that wait for each other cost more than they bring. Libraries
# read this when they are loaded; processes that tests start inherit it.
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The kernels that the command line asks for.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Else every process compiles TensorFlow's 4,000 modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Files whose tests take longest, so that no worker is left with one of them at the end. The first three do
# not wait for each other: two run the pipeline by DVC, while the third runs it for all that need it finished.
FIRST = (
    "pipeline/test_dvc.py",
    "notebooks/",
    "pipeline/test_kill.py",
    "pipeline/test_workers.py",
    "pipeline/test_registry.py",
    "pipeline/test_experiments.py",
    "pipeline/test_repeats.py",
    "pipeline/test_test_rows.py",
    "pipeline/test_cluster.py",
    "pipeline/",
    "training/test_finetuner.py",
    "tracking/test_publishing.py",
    "files/test_sharding.py",
    "layouts/test_layouts.py",
)


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command in a folder, in this process, as starting one takes seconds: code, stdout and stderr."""
    from expressionist.commands.app import main

    def run(folder, *words):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["expressionist", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def server(monkeypatch):
    """Serve files on this machine, whatever proxy it has."""
    from file_server import serve_files

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve_files() as files:
        yield files


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files, and leave the tests of each in their order."""
    items.sort(key=lambda item: [part not in item.nodeid for part in FIRST])
