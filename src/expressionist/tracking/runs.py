"""One MLflow run: begun once for its key, filled, and ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expressionist.tracking.store import Experiment, import_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as FoundRun

KEY = "expressionist.key"
EXPERIMENT = "dvc.exp"  # names of the experiments of DVC that have come to a run
DIGEST_LENGTH = 36  # what MLflow's database keeps of a dataset digest; DVC's `<md5>.dir` just fits
_N_METRICS, _N_PARAMS = 1000, 100  # what MLflow takes in one call


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
    neither; what it holds may be logged again: the same value at the same moment is stored once.
    """

    client: "MlflowClient"
    id: str
    started: int
    fresh: bool
    done: bool

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
        points: list[tuple[str, Any, int, int]] = []
        later = 0.0
        for row in reversed(history):
            moment = max(self.started, ended - int(1000 * later))
            later += row["seconds"]
            at = moment, int(row["epoch"])
            points += [(f"epoch/{name}", value, *at) for name, value in row.items() if name != "epoch"]
        self._log(points)

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


def begin(experiment: Experiment, key: str, name: str, tags: Mapping[str, str], started: int = 0) -> Run:
    """Find the run with a key, or begin one. A run that was deleted in the UI is begun anew.

    `started`, in milliseconds since 1970, is now if it is not known. One that several experiments of DVC come
    to is there once, and names them all.
    """
    client = experiment.client
    with experiment.store.hold():
        found = client.search_runs([experiment.id], f"tags.`{KEY}` = '{key}'", max_results=1)
        if found:
            info = found[0].info
            _add_name(client, found[0], tags.get(EXPERIMENT))
            return Run(client, info.run_id, info.start_time, fresh=False, done=info.status != "RUNNING")
        tags = {**tags, KEY: key}
        info = client.create_run(experiment.id, started or None, tags, name).info
    return Run(client, info.run_id, info.start_time, fresh=True, done=False)


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
            flat[f"{prefix}{name}"] = str(value)
    return flat
