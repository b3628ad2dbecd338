"""One MLflow run: begun once for its key, filled, and ended."""

import json
import os
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expressionist.tracking.store import Experiment, import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as FoundRun

KEY = "expressionist.key"
# The process that has begun a run before all of it was known; taken away when it is.
LIVE = "expressionist.live"
EXPERIMENT = "dvc.exp"  # names of the experiments of DVC that have come to a run
DIGEST_LENGTH = 36  # what MLflow's database keeps of a dataset digest; DVC's `<md5>.dir` just fits
_N_METRICS, _N_PARAMS = 1000, 100  # what MLflow takes in one call
_LONGEST_NAME = 250  # of a param
# What is read of the images: its name in MLflow to the subset of the split.
_SUBSETS = {"training": "train", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class Dataset:
    """What a run was computed on: its cohort's name, what ``dvc.lock`` has for them, and where they lie."""

    name: str
    digest: str
    source: str = ""


@dataclass(frozen=True)
class Run:
    """A run of MLflow, begun at `started` (milliseconds since 1970), and how far it is.

    It is `fresh` if it was begun just now, and `done` if it was ended before. A run that was cut off is
    neither; what it holds may be logged again: the same value at the same moment is stored once. One that is
    `live` was begun before all of it was known.
    """

    client: "MlflowClient"
    id: str
    started: int
    fresh: bool
    done: bool
    live: bool = False

    def log_params(self, first: Mapping[str, Any], rest: Mapping[str, Any]) -> None:
        """Log parameters; nested ones get dotted names, and those in `first` win."""
        params = {**_flatten(first), **_flatten(rest), **_flatten(first)}
        entities = import_mlflow().entities
        logged = [entities.Param(name, value) for name, value in params.items()]
        for start in range(0, len(logged), _N_PARAMS):
            self.client.log_batch(self.id, params=logged[start : start + _N_PARAMS])

    def log_history(self, history: Sequence[Mapping[str, Any]], ended: int) -> None:
        """Log what was measured in every epoch, under ``epoch/``, at the moment at which it ended.

        The last epoch ends with the run; what was made before the first, such as frozen activations, lies
        before it. A run that was gone on with has epochs from before its beginning.
        """
        rows: list[tuple[int, Mapping[str, Any]]] = []
        later = 0.0
        for row in reversed(history):
            rows.append((max(self.started, ended - int(1000 * later)), row))
            later += row["seconds"]
        self.log_epochs(rows)

    def log_epochs(self, rows: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        """Log what was measured in epochs, given with their moments; an epoch that is there stays as it is.

        It was logged while the training went on, at another moment.
        """
        named = {name for _, row in rows for name in row if name != "epoch"}
        known = {name: set() if self.fresh else self._list_steps(f"epoch/{name}") for name in named}
        self._log(
            [
                (f"epoch/{name}", value, moment, step)
                for moment, row in rows
                for name, value in row.items()
                if name != "epoch" and (step := int(row["epoch"])) not in known[name]
            ]
        )

    def _list_steps(self, metric: str) -> set[int]:
        return {point.step for point in self.client.get_metric_history(self.id, metric)}

    def log_metrics(self, metrics: Mapping[str, Any], moment: int, step: int = 0) -> None:
        """Log scores that are one number for the whole run; what is not a number is left out."""
        self._log([(name, value, moment, step) for name, value in metrics.items()])

    def _log(self, points: Sequence[tuple[str, Any, int, int]]) -> None:
        entities = import_mlflow().entities
        logged = [entities.Metric(name, float(value), *at) for name, value, *at in points if is_number(value)]
        for start in range(0, len(logged), _N_METRICS):
            self.client.log_batch(self.id, metrics=logged[start : start + _N_METRICS])

    def log_dataset(self, dataset: Dataset, context: str = "training") -> None:
        """Name the data by its digest alone: a column schema of 20,000 genes is more than MLflow stores."""
        entities = import_mlflow().entities
        about = {"path": dataset.source, "dvc_md5": dataset.digest}
        source = json.dumps({"tags": {key: value for key, value in about.items() if value}})
        data = entities.Dataset(dataset.name, dataset.digest[:DIGEST_LENGTH], "code", source)
        tags = [entities.InputTag("mlflow.data.context", context)]
        self.client.log_inputs(self.id, [entities.DatasetInput(data, tags)])

    def log_subsets(self, dataset: Dataset, *contexts: str) -> None:
        """Name the images of subsets, which are of one digest, each in its context."""
        for context in contexts:
            name = dataset.name if context == "training" else f"{dataset.name} {context}"
            source = dataset.source and f"{dataset.source}/{_SUBSETS[context]}.npy"
            self.log_dataset(replace(dataset, name=name, source=source), context)

    def log_files(self, files: Sequence[Path]) -> None:
        """Hang files, and folders under their own names, on the run."""
        for path in files:
            if path.is_dir():
                self.client.log_artifacts(self.id, str(path), path.name)
            else:
                self.client.log_artifact(self.id, str(path))

    def end(self, status: str, moment: int) -> None:
        """End the run as FINISHED, KILLED or FAILED."""
        self.client.set_terminated(self.id, status, moment)
        if self.live:
            self.client.delete_tag(self.id, LIVE)


def begin(
    experiment: Experiment,
    key: str,
    name: str,
    tags: Mapping[str, str],
    started: int = 0,
    *,
    live: bool = False,
    live_key: str = "",
) -> Run:
    """Find the run with a key, or begin one. A run that was deleted in the UI is begun anew.

    `started`, in milliseconds since 1970, is now if it is not known. One that several experiments of DVC come
    to is there once, and names them all. A run of which not all is known yet is begun `live`, and is not done
    before it was found, or begun, otherwise and ended; where its key comes late, it is found by `live_key`.
    """
    client = experiment.client
    tags = {**tags, **({LIVE: _name_process()} if live else {})}
    with experiment.store.hold():
        found = find_run(experiment, key) or (find_run(experiment, live_key) if live_key else None)
        if found is None:
            info = client.create_run(experiment.id, started or None, {**tags, KEY: key}, name).info
            return Run(client, info.run_id, info.start_time, fresh=True, done=False, live=live)
        info, was_live = found.info, LIVE in found.data.tags
        _add_name(client, found, tags.get(EXPERIMENT))
        if was_live:
            _go_on(client, found, {**tags, KEY: key})
    done = info.status != "RUNNING" and not was_live
    return Run(client, info.run_id, info.start_time, fresh=False, done=done, live=was_live)


def find_run(experiment: Experiment, key: str) -> "FoundRun | None":
    """Find the run with a key."""
    found = experiment.client.search_runs([experiment.id], f"tags.`{KEY}` = '{key}'", max_results=1)
    return found[0] if found else None


def _go_on(client: "MlflowClient", run: "FoundRun", tags: Mapping[str, str]) -> None:
    """Add what was not known when a run was begun; who goes on with it live has it now."""
    known = run.data.tags
    for name, value in tags.items():
        if name not in known or (name in (KEY, LIVE) and known[name] != value):
            client.set_tag(run.info.run_id, name, value)
    if LIVE in tags and run.info.status != "RUNNING":
        client.update_run(run.info.run_id, "RUNNING")


def kill_orphans(experiment: Experiment) -> None:
    """End the runs as KILLED that a process of this machine has begun live, and that is gone.

    Who goes on with one later finds it, and it runs again.

    Parameters
    ----------
    experiment : Experiment
        From `open_experiment`.
    """
    host, client = socket.gethostname(), experiment.client
    asked = f"attributes.status = 'RUNNING' and tags.`{LIVE}` LIKE '{host} %'"
    for run in client.search_runs([experiment.id], asked):
        if not _is_running(int(run.data.tags[LIVE].split()[-1])):
            client.set_terminated(run.info.run_id, "KILLED")


def _name_process() -> str:
    return f"{socket.gethostname()} {os.getpid()}"


def _is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        with suppress(PermissionError):  # another's, so it is there
            os.kill(process, 0)
        return True
    return False


def _add_name(client: "MlflowClient", run: "FoundRun", name: str | None) -> None:
    """Add the name of an experiment to those of a run that another one, or none, has made."""
    names = [each for each in run.data.tags.get(EXPERIMENT, "").split(", ") if each]
    if name and name not in names:
        client.set_tag(run.info.run_id, EXPERIMENT, ", ".join([*names, name]))


def add_metrics(experiment: Experiment, run_id: str, metrics: Mapping[str, Any], step: int) -> None:
    """Log more scores of a run, which may have ended long before; MLflow shows those of the greatest step."""
    info = experiment.client.get_run(run_id).info
    run = Run(experiment.client, run_id, info.start_time, fresh=False, done=True)
    run.log_metrics(metrics, info.end_time or info.start_time, step)


def is_number(value: object) -> bool:
    """Tell whether a value can be a metric: a number, not a truth value, and not NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _flatten(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{name}."))
        else:
            # A key may be a tumour type, such as Head & Neck, which MLflow takes for no name.
            plain = re.sub(r"[^\w.: -]", "_", f"{prefix}{name}")[:_LONGEST_NAME]
            # From JSON a tuple comes as a list, and MLflow lets no param change.
            flat[plain] = str(list(value) if isinstance(value, tuple) else value)
    return flat
