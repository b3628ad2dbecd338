"""The notebooks run from top to bottom, without a network, and git holds them without what they print."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
# The last one reads the project that the second one makes.
NAMES = ("pictures", "own_cohort", "report_tables")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


def test_all_are_run():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(folder, monkeypatch, name):
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs"), "clear the outputs"
    for variable in [each for each in os.environ if each.startswith(("DVC_", "MLFLOW_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
