"""A small checkout: tiny params, the paths of dvc.yaml, and the stages run as functions or as commands."""

import importlib
import inspect
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from expressionist.commands.params_file import read_params
from expressionist.files.store import read_json
from expressionist.tracking.store import open_store
from forked import Forked, run_main

ROOT = Path(__file__).parents[2]
BACKBONE = "mobilenet"
SEARCH = f"data/search/{BACKBONE}.json"
MODEL = f"data/models/{BACKBONE}"
EVALUATION = f"data/evaluation/{BACKBONE}"
# Of what is registered.
REGISTERED = f"data/refit/evaluation/{BACKBONE}"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

# Small enough to run in seconds, and still all that a real run is.
TINY = {
    "cohort.embedded": {"n_samples": 330, "n_genes": 400, "seed": 1},
    "layout.method": "coexpression",
    "backbones": [BACKBONE],
    "weights.source": "random",
    "network.side": 32,
    "network.strides": [8, 32],
    "training.epochs": 2,
    "training.members": 2,
    "search.epochs": 2,
    "search.folds": 2,
    "search.depths": [0, 1],
    "evaluation.n_resamples": 50,
    "attribution.n_samples_per_type": 1,
    "attribution.steps": 4,
    "attribution.max_steps": 8,
}


def write_params(folder, **changes):
    """Write a params.yaml: the repository's, with what is tiny and with `changes`, under dotted names."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for dotted, value in {**TINY, **changes}.items():
        *sections, key = dotted.split(".")
        section = params
        for name in sections:
            section = section[name]
        section[key] = value
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def read_options(stage):
    """Read the options of a stage's command in dvc.yaml, for the one backbone: name → text."""
    words = shlex.split(STAGES[stage]["cmd"].replace("${item.backbone}", BACKBONE))[2:]
    names = (flag.removeprefix("--").replace("-", "_") for flag in words[::2])
    return dict(zip(names, words[1::2], strict=True))


def run_stages(folder, *stages):
    """Run stages in this process, with the paths of dvc.yaml below `folder`."""
    params = read_params(folder / "params.yaml")
    for stage in stages:
        run_stage(folder, stage, params)


def run_stage(folder, stage, params):
    """Run a stage in this process, with these params."""
    run = importlib.import_module(f"expressionist.stages.{stage}").run
    declared = inspect.signature(run).parameters.values()
    sections = [getattr(params, item.name) for item in declared if item.kind is not item.KEYWORD_ONLY]
    given = {name: folder / value for name, value in read_options(stage).items()}
    given |= {"backbone": BACKBONE, "root": folder, "tracking_uri": None}
    given |= {"scheduler": None, "cache_gigabytes": 1.0}
    run(*sections, **{item.name: given[item.name] for item in declared if item.kind is item.KEYWORD_ONLY})


def copy_data(source, folder, *names):
    """Copy outputs below data/ from one checkout into another, which gets the same params."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "params.yaml", folder / "params.yaml")
    for name in names:
        old, new = source / "data" / name, folder / "data" / name
        new.parent.mkdir(parents=True, exist_ok=True)
        if old.is_dir():
            shutil.copytree(old, new)
        else:
            shutil.copyfile(old, new)


def environment():
    """Give a process the command line of this Python, and nothing that this process was told about stores."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "DVC_NO_ANALYTICS": "1"}


def stage_command(stage):
    """Give the command line of a stage as dvc.yaml has it."""
    options = {f"--{name.replace('_', '-')}": value for name, value in read_options(stage).items()}
    return [sys.executable, "-m", "expressionist", stage, *sum(options.items(), ())]


def start(folder, words, log, errors=None):
    """Start a command in a checkout; what it says goes into one file, or into two."""
    errors, env = log if errors is None else errors, environment()
    # One of the package is a copy of a process that has imported all it needs, which takes seconds.
    if list(words[:3]) == [sys.executable, "-m", "expressionist"]:
        return Forked(run_main, *words[3:], folder=folder, environment=env, stdout=log, stderr=errors)
    with Path(log).open("a") as out, Path(errors).open("a") as err:
        return subprocess.Popen(words, cwd=folder, env=env, stdout=out, stderr=err, start_new_session=True)


def kill(process):
    """`kill -9` a process that still runs, with all that it started; return what it ended with."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def run_command(folder, *words, timeout=600):
    """Run a command in a checkout to its end."""
    with tempfile.TemporaryDirectory() as name:
        out, err = Path(name, "out"), Path(name, "err")
        process = start(folder, words, out, err)
        try:
            ended = process.wait(timeout)
        finally:
            kill(process)
        return subprocess.CompletedProcess(words, ended, *(each.read_text("utf-8") for each in (out, err)))


def finish(folder, *words, timeout=600):
    """Run a command in a checkout to its end, which must be a good one; return what it printed."""
    ended = run_command(folder, *words, timeout=timeout)
    assert ended.returncode == 0, f"{ended.stdout[-2000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


def kill_when(folder, words, is_time, *, timeout=600):
    """Start a command in a checkout, and `kill -9` it with all that it started as soon as it is time."""
    log = folder / "killed.log"
    log.unlink(missing_ok=True)
    process = start(folder, words, log)
    try:
        deadline = time.monotonic() + timeout
        while not is_time():
            ended = process.poll()
            assert ended is None, f"it ended with {ended} before it was killed:\n{log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"the moment never came:\n{log.read_text()[-3000:]}"
            time.sleep(0.005)
    finally:
        ended = kill(process)
    assert ended == -signal.SIGKILL


def read_weights(folder, model=MODEL):
    """Read the weights of the network of a checkout."""
    import keras

    from expressionist.network import layers  # noqa: F401  registers the layers that the model file names

    return keras.saving.load_model(folder / model / "model.keras", compile=False).get_weights()


def read_values(folder):
    """Read what the finished trials of a search were worth: depth → value."""
    trials = read_json(folder / SEARCH)["trials"]
    return {trial["depth"]: trial["value"] for trial in trials if trial["state"] == "COMPLETE"}


def list_runs(folder, filter_string=""):
    """List the runs of a checkout's store, of all experiments."""
    client = open_store(folder).client
    experiments = [item.experiment_id for item in client.search_experiments()]
    return list(client.search_runs(experiments, filter_string, max_results=1000))


def without_times(records):
    """Leave out what differs between two runs of the same: when and how long."""
    if isinstance(records, dict):
        timed = ("seconds", "started")
        return {key: without_times(value) for key, value in records.items() if key not in timed}
    if isinstance(records, list):
        return [without_times(item) for item in records]
    return records


def read_tree(folder):
    """Read all files below a folder: relative path → bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
