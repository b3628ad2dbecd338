"""Who imports whom, and what importing does: nothing."""

import json
import os
import subprocess
import sys

import pytest

from architecture.source_tree import MODULES, ROOT, close_over, find_tools, read_imports

# Which modules may know a tool; a name that ends in a dot stands for all modules below it.
KNOWN_TO = {
    "keras": [
        "explain.controls",
        "explain.integrated_gradients",
        "network.",
        "tracking.serving",
        "training.",
    ],
    "tensorflow": ["explain.controls", "explain.integrated_gradients", "network.", "training."],
    "shap": ["explain.controls"],
    "mlflow": ["tracking."],
    "optuna": ["training.search", "training.studies"],
    "distributed": ["files.sharding"],
    "dask": [],
    "dvc": [],
    "click": ["commands.app"],
    "rich": ["stages."],
    "jinja2": ["report.page"],
    "yaml": ["commands."],
    "pydantic": ["commands.params_docs", "params.parsing"],
    "pydantic_core": ["params.parsing"],
    "sklearn": ["data.components", "evaluation.baselines", "painting."],
}
# Plug-ins: found by their file's name, so they must not lean on each other. What they share is _underscored.
PLUG_INS = ["data.sources", "painting.layouts", "stages"]
# What a person does often must not wait for TensorFlow.
QUICK = [
    "",
    "__main__",
    "params",
    "data",
    "painting",
    "painting.layouts",
    "data.sources",
    "files",
    "tracking",
]
# MLflow loads this one from the folder of a registered model; it exists to call `set_model` when loaded.
LOADED_BY_MLFLOW = "expressionist.tracking.served_model"


def find_light():
    return [
        name
        for name in MODULES
        if name != LOADED_BY_MLFLOW
        and not any(
            {"keras", "tensorflow"} & find_tools(other, at_load=True)
            for other in close_over(name, at_load=True)
        )
    ]


def import_elsewhere(modules, folder):
    """Import modules in a fresh interpreter, in an empty folder, and say what came of it."""
    program = """
import contextlib, importlib, io, json, sys
import numpy as np
before = str(np.random.get_state())
said = {}
for name in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        importlib.import_module(name)
    if out.getvalue() or err.getvalue():
        said[name] = out.getvalue() + err.getvalue()
seeded = before != str(np.random.get_state())
tools = {name.partition(".")[0] for name in sys.modules}
print(json.dumps({"said": said, "seeded": seeded, "tools": sorted(tools)}))
"""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", program, *modules],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_floors():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
        + ["--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tool", KNOWN_TO)
def test_tools_stand_at_the_edge(tool):
    allowed = [f"expressionist.{name}" for name in KNOWN_TO[tool]]
    users = {name for name in MODULES if tool in find_tools(name)}
    strangers = {
        name
        for name in users
        if not any(name == module or (module.endswith(".") and name.startswith(module)) for module in allowed)
    }
    assert not strangers, f"{tool} must be known to {KNOWN_TO[tool]} only, but {sorted(strangers)} import it"
    idle = {name for name in allowed if not any(user.startswith(name) for user in users)}
    assert not idle, f"{sorted(idle)} no longer import {tool}; take them off the list"


@pytest.mark.parametrize("package", PLUG_INS)
def test_plug_ins_do_not_know_each_other(package):
    inside = f"expressionist.{package}."
    for name in MODULES:
        if not name.startswith(inside):
            continue
        own = name.removeprefix(inside).partition(".")[0]
        others = {
            other.removeprefix(inside).partition(".")[0]
            for other in read_imports(name) & MODULES.keys()
            if other.startswith(inside)
        }
        borrowed = {other for other in others - {own} if not other.startswith("_")}
        assert not borrowed, f"{name} imports {sorted(borrowed)}; move what they share to {inside}_<noun>"


def test_nothing_light_loads_tensorflow(tmp_path):
    light = find_light()
    missing = {f"expressionist.{name}".rstrip(".") for name in QUICK} - set(light)
    assert not missing, f"{sorted(missing)} have come to import keras"
    found = import_elsewhere(light, tmp_path)
    assert not {"tensorflow", "keras", "mlflow", "optuna", "dvc", "distributed"} & set(found["tools"])


def test_importing_does_nothing(tmp_path):
    found = import_elsewhere([name for name in MODULES if name != LOADED_BY_MLFLOW], tmp_path)
    assert found["said"] == {}
    assert not found["seeded"]
    assert list(tmp_path.iterdir()) == []
