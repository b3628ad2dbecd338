"""Who imports whom, and what importing does: nothing."""

import json
import os
import subprocess
import sys

import pytest

from architecture.source_tree import MODULES, ROOT, close_over, find_tools, read_imports

# Which modules may know a tool; a name that ends in a dot stands for all modules below it.
WITH_TENSORFLOW = ["explain.controls", "explain.integrated_gradients", "network.", "training."]
KNOWN_TO = {
    "keras": [*WITH_TENSORFLOW, "explain.explanation", "explain.samples", "tracking.serving"],
    "tensorflow": [*WITH_TENSORFLOW, "commands.doctor"],
    "shap": ["explain.controls"],
    "mlflow": ["tracking."],
    "optuna": ["training.search", "training.studies"],
    "distributed": ["files.sharding"],
    "dask": [],
    "dvc": [],
    "click": ["commands."],
    "rich": ["stages."],
    "jinja2": ["report.page"],
    "yaml": ["commands.", "tracking.experiments"],
    "pydantic": ["commands.params_docs", "params.parsing"],
    "pydantic_core": ["params.parsing"],
    "sklearn": ["data.components", "evaluation.baselines", "evaluation.logistic", "painting."],
}
# Plug-ins: found by their file's name, so they must not lean on each other. What they share is _underscored.
PLUG_INS = ["data.sources", "painting.layouts", "stages"]
# What a person does often must not wait for TensorFlow.
QUICK = [
    "",
    "__main__",
    "params",
    "data",
    "data.sources",
    "painting",
    "painting.layouts",
    "files",
    "tracking",
]
# MLflow loads this one from the folder of a registered model; it exists to call `set_model` when loaded.
LOADED_BY_MLFLOW = "expressionist.tracking.served_model"


def is_light(module):
    loaded = close_over(module, at_load=True)
    return not any({"keras", "tensorflow"} & find_tools(each, at_load=True) for each in loaded)


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
    words = [sys.executable, "-c", program, *modules]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_floors():
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    words = [sys.executable, "-c", code, "--no-cache", "--no-logo"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tool", KNOWN_TO)
def test_tools_stand_at_the_edge(tool):
    allowed = [f"expressionist.{name}" for name in KNOWN_TO[tool]]
    users = {name for name in MODULES if tool in find_tools(name)}
    inside = tuple(name for name in allowed if name.endswith("."))
    strangers = {name for name in users if name not in allowed and not name.startswith(inside)}
    assert not strangers, f"{tool} must be known to {KNOWN_TO[tool]} only, but {sorted(strangers)} import it"
    idle = {name for name in allowed if not any(user.startswith(name) for user in users)}
    assert not idle, f"{sorted(idle)} no longer import {tool}; take them off the list"


@pytest.mark.parametrize("package", PLUG_INS)
def test_plug_ins_do_not_know_each_other(package):
    inside = f"expressionist.{package}."
    tops = {name: name.removeprefix(inside).partition(".")[0] for name in MODULES if name.startswith(inside)}
    for name, own in tops.items():
        others = {tops[other] for other in read_imports(name) & tops.keys()} - {own}
        borrowed = {other for other in others if not other.startswith("_")}
        assert not borrowed, f"{name} imports {sorted(borrowed)}; move what they share to {inside}_<noun>"


def test_nothing_light_loads_tensorflow(tmp_path):
    light = [name for name in MODULES if name != LOADED_BY_MLFLOW and is_light(name)]
    missing = {f"expressionist.{name}".rstrip(".") for name in QUICK} - set(light)
    assert not missing, f"{sorted(missing)} have come to import keras"
    found = import_elsewhere(light, tmp_path)
    assert not {"tensorflow", "keras", "mlflow", "optuna", "dvc", "distributed"} & set(found["tools"])


def test_importing_does_nothing(tmp_path):
    found = import_elsewhere([name for name in MODULES if name != LOADED_BY_MLFLOW], tmp_path)
    assert found["said"] == {}
    assert not found["seeded"]
    assert list(tmp_path.iterdir()) == []
