"""Kill search and training at random moments, go on with `dvc repro`, and compare with an undisturbed run.

    python benchmarks/faults.py --folder /tmp/faults --kills 10 --seed 1

Each time a fresh copy of a checkout with painted images runs `dvc repro train@mobilenet` (which searches
first), is ended by `kill -9` with all its processes, and is then run to its end. In turn the moment is drawn
evenly over the trials of the search and over the training, as long as they took in an undisturbed run. A kill
that leaves anything wrong is named, and the exit code is 1.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
BACKBONE = "mobilenet"
REPRO = ("dvc", "repro", f"train@{BACKBONE}")
SMALL = {
    "cohort": {"embedded": {"n_samples": 660, "n_genes": 1024, "seed": 1}},
    "backbones": [BACKBONE],
    "weights": {"source": "random"},
    # Half precision makes more of the last bits in which processes differ than the comparison allows.
    "network": {"side": 32, "strides": [8, 32], "precision": "float32"},
    "training": {"epochs": 16},
    "search": {"epochs": 8, "prune": False, "depths": [0, 1, 2]},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where to work; emptied first")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    ready, whole = options.folder / "ready", options.folder / "whole"
    prepare(ready)
    shutil.copytree(ready, whole, symlinks=True)
    begun = time.monotonic()
    run(whole)
    seconds = time.monotonic() - begun
    expected = read_outcome(whole)
    print(
        f"undisturbed: {seconds:.0f} s, of which {expected['seconds']} s in trials and training; "
        f"{len(expected['values'])} trials; faults: {find_faults(whole)}",
        flush=True,
    )
    rng = random.Random(options.seed)
    n_wrong = 0
    for number in range(options.kills):
        stage = ("search", "training")[number % 2]
        after = rng.uniform(0, expected["seconds"][stage])
        n_wrong += disturb(ready, options.folder / f"kill-{number}", stage, after, expected)
    print(f"{options.kills} kills, {n_wrong} with faults")
    return int(n_wrong > 0)


def prepare(folder: Path) -> None:
    """Make a checkout with the code as it is here, small params, and everything up to the images."""
    folder.mkdir(parents=True)
    for name in ("src", ".dvc"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "cache", "tmp")
        )
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", "data/incoming/README.md", "data/weights/README.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, changes in SMALL.items():
        params[section] = changes if section == "backbones" else params[section] | changes
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    run(folder, "dvc", "repro", "images")


def start(folder: Path, *words: str) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (folder / "said.log").open("a") as log:
        return subprocess.Popen(
            words or REPRO, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )


def run(folder: Path, *words: str) -> None:
    if start(folder, *words).wait():
        sys.exit((folder / "said.log").read_text(encoding="utf-8")[-5000:])


def disturb(ready: Path, folder: Path, stage: str, seconds: float, expected: dict) -> bool:
    """Kill a run some seconds after search or training are at work, run it to its end, and say what came."""
    shutil.copytree(ready, folder, symlinks=True)
    process = start(folder)
    while process.poll() is None and not is_at_work(folder, stage):
        time.sleep(0.02)
    time.sleep(seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    moment = describe_moment(folder) if process.wait() < 0 else "at its end"
    run(folder)
    faults = find_faults(folder)
    outcome = read_outcome(folder)
    gap = max(
        abs(outcome["values"].get(depth, np.inf) - value) for depth, value in expected["values"].items()
    )
    gap_of_weights = max(
        float(np.abs(a - b).max()) for a, b in zip(outcome["weights"], expected["weights"], strict=True)
    )
    if set(outcome["values"]) != set(expected["values"]) or gap > 1e-6 or gap_of_weights > 1e-6:
        faults.append("another result")
    print(
        f"killed {seconds:4.1f} s into {stage}, {moment}: ended with {outcome['states']}, "
        f"objective off by {gap:.1e}, weights by {gap_of_weights:.1e}; {', '.join(faults) or 'no fault'}",
        flush=True,
    )
    if not faults:
        shutil.rmtree(folder)
    return bool(faults)


def is_at_work(folder: Path, stage: str) -> bool:
    if stage == "search":
        return bool(count_trials(folder))
    return (folder / f"data/search/{BACKBONE}.json").exists() and bool(read_epochs(folder))


def read_epochs(folder: Path) -> list[int]:
    """Read how many epochs are done of each training that is under way."""
    epochs = []
    for path in folder.glob("data/cache/checkpoints/*/state.json"):
        with suppress(FileNotFoundError):  # it has ended in between
            epochs.append(len(json.loads(path.read_text(encoding="utf-8"))["history"]))
    return epochs


def describe_moment(folder: Path) -> str:
    said = [f"trials {count_trials(folder)}", f"epochs {read_epochs(folder)}"]
    if any(folder.glob("data/cache/prefix/.partial-*")):
        said.append("prefix half written")
    return ", ".join(said)


def ask(database: Path, question: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(question).fetchall()


def count_trials(folder: Path) -> dict[str, int]:
    database = folder / "data/cache/studies.db"
    if not database.exists() or not ask(database, "SELECT 1 FROM sqlite_master WHERE name = 'trials'"):
        return {}
    return dict(ask(database, "SELECT state, count(*) FROM trials GROUP BY state"))


def read_outcome(folder: Path) -> dict:
    """Read the objective of every finished trial, and the weights of the trained network."""
    import keras

    from expressionist.network import layers  # noqa: F401  registers the layers that the model file names

    search = json.loads((folder / f"data/search/{BACKBONE}.json").read_text(encoding="utf-8"))
    done = [trial for trial in search["trials"] if trial["state"] != "FAIL"]
    model = keras.saving.load_model(folder / f"data/models/{BACKBONE}/model.keras", compile=False)
    values = {trial["depth"]: trial["value"] for trial in done}
    training = json.loads((folder / f"data/models/{BACKBONE}/training.json").read_text(encoding="utf-8"))
    seconds = {
        "search": round(sum(trial["seconds"] for trial in done), 1),
        "training": round(training["seconds"], 1),
    }
    states = count_trials(folder)
    return {"values": values, "states": states, "weights": model.get_weights(), "seconds": seconds}


def find_faults(folder: Path) -> list[str]:
    """List what a kill may have left behind: torn databases, trials or runs under way, half-written files."""
    faults = []
    for database in ("data/cache/studies.db", "mlruns/mlflow.db"):
        if ask(folder / database, "PRAGMA integrity_check") != [("ok",)]:
            faults.append(f"{database} is damaged")
    states = count_trials(folder)
    if set(states) - {"COMPLETE", "PRUNED", "FAIL"}:
        faults.append(f"trials {states}")
    runs = dict(
        ask(
            folder / "mlruns/mlflow.db",
            "SELECT status, count(*) FROM runs JOIN tags USING (run_uuid) "
            "WHERE tags.key = 'kind' AND tags.value = 'trial' GROUP BY status",
        )
    )
    names = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    if runs != {names[state]: count for state, count in states.items()}:
        faults.append(f"MLflow has {runs} of {states}")
    if left := [
        path.name for path in (folder / "data").rglob(".*-*") if path.name.startswith((".partial", ".old"))
    ]:
        faults.append(f"left: {left}")
    for entry in (folder / "data/cache/prefix").glob("[!.]*"):
        if not (entry / "identity.json").exists() or not any(entry.glob("activation_*.npy")):
            faults.append(f"{entry.name} is half written")
    if any((folder / "data/cache/checkpoints").iterdir()):
        faults.append("checkpoints left")
    status = subprocess.run(
        ["dvc", "status", REPRO[-1]], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    if "up to date" not in status:
        faults.append("dvc is not up to date")
    return faults


if __name__ == "__main__":
    sys.exit(main())
