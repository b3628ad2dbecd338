"""`expressionist doctor` says all that it can find out, anywhere, and no secret."""

import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from commands.test_secrets import SECRET, URLS
from expressionist.commands import doctor
from expressionist.files import digest_package

HEADINGS = "Expressionist Packages Extras Project Weights MLflow DVC Machine Devices Threads".split()


@pytest.fixture
def ask(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run it without TensorFlow, which takes seconds: heading → what is said."""
    monkeypatch.setattr(doctor, "_list_devices", lambda: iter(["CPU:0"]))
    for name in ("MLFLOW_TRACKING_URI", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)

    def run() -> dict[str, str]:
        code, said, errors = call(tmp_path, "doctor")
        assert (code, errors) == (0, "")
        found: dict[str, str] = {}
        for line in said.splitlines():
            heading = line[:14].strip() or [*found][-1]
            found[heading] = f"{found.get(heading, '')}{line[14:]}\n"
        return found

    return run


def test_outside_a_project_it_says_what_there_is(ask, tmp_path: Path) -> None:
    found = ask()
    assert list(found) == HEADINGS
    assert f"code {digest_package()[:12]}" in found["Expressionist"]
    assert "numpy 2" in found["Packages"]
    assert found["Project"].startswith("none here")
    assert found["MLflow"].startswith("no store here yet")
    assert found["DVC"] == "not set up here\n"
    assert " cores, " in found["Machine"]
    assert list(tmp_path.iterdir()) == []


def test_in_a_project_it_says_how_that_stands(ask, call, tmp_path: Path, monkeypatch) -> None:
    call(tmp_path, "init", ".")
    (tmp_path / "data/weights/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    found = ask()
    assert found["Project"].startswith("params.yaml is valid: embedded, xception")
    assert "dvc.yaml is not" not in found["Project"]
    assert found["Weights"].startswith("vgg19: data/weights/vgg19_")
    assert "none for xception, densenet169, resnet50, mobilenet" in found["Weights"]
    assert found["DVC"].startswith("set up, without git; dvc.lock is not there\nno remote")
    assert "OMP_NUM_THREADS=3" in found["Threads"]
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params.yaml").write_text("split: 1\n")
    with sqlite3.connect(tmp_path / "mlruns/mlflow.db") as database:
        database.execute("CREATE TABLE runs (id)")
        database.execute("CREATE TABLE model_versions (id)")
    found = ask()
    assert "params.yaml must have the key 'cohort'" in found["Project"]
    assert found["MLflow"] == "mlruns/mlflow.db: 0 runs, 0 model versions\n"
    (tmp_path / "mlruns/mlflow.db").write_text("no database, and too long to be taken for an empty one" * 9)
    assert "not a database" in ask()["MLflow"]


@pytest.mark.parametrize("url", [*URLS, f"http://{SECRET}@127.0.0.1:9/x?token={SECRET}", f"//{SECRET}@h"])
def test_it_shows_no_password_and_no_token(ask, tmp_path: Path, monkeypatch, url: str) -> None:
    (tmp_path / ".dvc").mkdir()
    for name in ("config", "config.local"):
        lines = f"[core]\n    remote = far\n['remote \"far\"']\n    url = {url}\n    password = {SECRET}\n"
        (tmp_path / ".dvc" / name).write_text(lines)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    found = ask()
    assert SECRET not in "".join(found.values())
    assert found["DVC"].splitlines()[1].startswith("remote far: ")
    assert "(MLFLOW_TRACKING_URI)" in found["MLflow"]


def test_where_only_the_core_is_installed_it_says_what_is_missing(ask, monkeypatch) -> None:
    there = {"numpy": "2.4"}
    monkeypatch.setattr(doctor, "_find_version", there.get)
    found = ask()
    assert found["Packages"].startswith("numpy 2.4\nnot installed: tensorflow, keras, mlflow, dvc")
    assert found["Extras"].startswith("installed: none\n")
    monkeypatch.undo()
    monkeypatch.setattr(doctor, "_find_version", there.get)
    assert list(doctor._list_devices()) == ["unknown: TensorFlow is not installed"]


def test_it_can_be_written_to_a_file(call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "_list_devices", lambda: iter(["\x1b[2J"]))
    assert call(tmp_path, "doctor", "--out", "trouble.txt") == (0, "", "")
    written = (tmp_path / "trouble.txt").read_text(encoding="utf-8")
    assert [line.split()[0] for line in written.splitlines() if line[0] != " "] == HEADINGS
    assert "\x1b" not in written


@pytest.mark.parametrize("kinds", [("CPU",), ("CPU", "GPU")])
def test_tensorflow_is_asked_for_devices(monkeypatch, kinds: tuple[str, ...]) -> None:
    found = [SimpleNamespace(name=f"/physical_device:{kind}:0", device_type=kind) for kind in kinds]
    config = SimpleNamespace(list_physical_devices=lambda: found)
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    listed, *more = doctor._list_devices()
    assert listed == ", ".join(f"{kind}:0" for kind in kinds)
    assert bool(more) == ("GPU" not in kinds)
