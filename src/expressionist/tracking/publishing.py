"""What MLflow shows: searches, trainings and baseline models, published once each from what DVC keeps."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from expressionist.errors import RegistryError
from expressionist.tracking.provenance import ENVIRONMENT
from expressionist.tracking.runs import Dataset, Run, begin, find_run
from expressionist.tracking.store import Experiment

# A trial that was pruned is not a failure: somebody stopped it.
_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
# Of a trial: its value, the mean of the objective over folds, with its standard error, and what it cost.
_OF_TRIALS = ("value", "standard_error", "n_unfrozen_layers", "n_unfrozen_parameters", "seconds")


def publish_trial(
    experiment: Experiment,
    search: Mapping[str, Any],
    trial: Mapping[str, Any],
    *,
    provenance: Mapping[str, str],
) -> str:
    """Log one trial of a search below its search's run, unless it is there already.

    Parameters
    ----------
    experiment : Experiment
        From `open_experiment`.
    search : mapping
        The record of the search (``data/search/<backbone>.json``), and ``source``, where its images lie; its
        trials and its best are not read, so that it may still be going on.
    trial : mapping
        The trial's entry in it. PRUNED gives a KILLED run, FAIL a FAILED one.
    provenance : mapping of str to str
        From `read_provenance`.

    Returns
    -------
    str
        Run id.
    """
    _begin_search(experiment, search, _to_ms(trial.get("started")), provenance)
    run = begin_trial(experiment, search, trial, provenance=provenance)
    if run.done:
        return run.id
    ended = run.started + _seconds_in_ms(trial)
    sizes = {name: trial.get(name) for name in _OF_TRIALS}
    history = trial.get("history") or []
    run.log_history(history, ended)
    run.log_metrics({**_average_ends(history), **sizes}, ended)
    run.client.set_tag(run.id, "trial.state", trial["state"])
    run.end(_STATUS[trial["state"]], ended)
    return run.id


def _average_ends(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the scores of every fold's last epoch, named as those of a final training."""
    ends = list({row.get("fold"): row for row in history}.values())
    names = [name for name in ends[0] if name.startswith("validation_")] if ends else []
    return {name: float(np.mean([end[name] for end in ends])) for name in names}


def begin_trial(
    experiment: Experiment,
    search: Mapping[str, Any],
    trial: Mapping[str, Any],
    *,
    provenance: Mapping[str, str],
    live: bool = False,
) -> Run:
    """Begin the run of a trial below its search's, which must be there, or find it.

    Parameters
    ----------
    experiment, search, trial, provenance
        As for `publish_trial`.
    live : bool
        Whether the trial is still trained: `publish_trial` then completes the run.

    Returns
    -------
    Run
        With the trial's params, unless it is done.

    Raises
    ------
    RegistryError
        If the search has no run: another store is told of it.
    """
    parent = find_run(experiment, search["study"])
    if parent is None:
        raise RegistryError(
            f"The store must have the run of the search that is joined, but got none of {search['study']}. "
            "Set MLFLOW_TRACKING_URI to the server that the search has."
        )
    tags = {
        **_tag(search, "trial", provenance, search["digests"]),
        "trial.state": trial["state"],
        "trial.number": str(trial["number"]),
        "mlflow.parentRunId": parent.info.run_id,
    }
    name = _name_run(search, f"depth {trial['depth']}", f"trial {trial['number']}")
    key, started = f"{search['study']}/{trial['number']}", _to_ms(trial.get("started"))
    run = begin(experiment, key, name, tags, started, live=live)
    if not run.done:
        run.log_params({"backbone": search["backbone"], "depth": trial["depth"]}, trial.get("params") or {})
        run.log_subsets(_name_images(search), "training", "validation")
    return run


def begin_search(experiment: Experiment, search: Mapping[str, Any], *, provenance: Mapping[str, str]) -> Run:
    """Begin the run of a search that is still to be made, or gone on with; `publish_search` completes it.

    The arguments are those of `publish_trial`.
    """
    return _begin_search(experiment, search, 0, provenance, live=True)


def publish_search(
    experiment: Experiment, search: Mapping[str, Any], *, provenance: Mapping[str, str]
) -> str:
    """Log a whole search: its own run with the best trial, and every trial that is not there yet.

    The arguments are those of `publish_trial`; so is what is returned, the search's run id.
    """
    trials, best = search["trials"], search["best"]
    run = _begin_search(experiment, search, _to_ms(trials[0].get("started")), provenance)
    _log_search(run, search)
    for trial in trials:
        publish_trial(experiment, search, trial, provenance=provenance)
    ended = max(run.started, *(_to_ms(trial.get("started")) + _seconds_in_ms(trial) for trial in trials))
    facts = {"best_depth": best["depth"], "n_trials": len(trials)}
    run.log_metrics({f"validation_{search['objective']}": best["value"], **facts}, ended)
    run.client.set_tag(run.id, "best", f"depth {best['depth']}, trial {best['number']}")
    if not run.done:
        run.end("FINISHED", ended)
    return run.id


def _begin_search(
    experiment: Experiment,
    search: Mapping[str, Any],
    started: int,
    provenance: Mapping[str, str],
    *,
    live: bool = False,
) -> Run:
    tags = {**_tag(search, "search", provenance, search["digests"]), "study": search["study"]}
    run = begin(experiment, search["study"], _name_run(search, "search"), tags, started, live=live)
    if run.fresh:
        _log_search(run, search)
    return run


def _log_search(run: Run, search: Mapping[str, Any]) -> None:
    about = {name: search[name] for name in ("backbone", "objective", "study", "space")}
    run.log_params(about, search.get("params") or {})
    run.log_subsets(_name_images(search), "training", "validation")


def begin_training(
    experiment: Experiment,
    training: Mapping[str, Any],
    *,
    dataset: Dataset,
    digests: Mapping[str, str],
    provenance: Mapping[str, str],
) -> Run:
    """Begin the run of a final training that still goes on; `publish_training` completes it.

    Parameters
    ----------
    experiment, dataset, digests, provenance
        As for `publish_training`.
    training : mapping
        What is known beforehand of ``training.json``, with ``depth``, ``study`` and ``params``.
    """
    tags = _tag_training(training, provenance, digests)
    key, name = _name_training(training), _name_run(training, f"depth {training['depth']}", "trained")
    run = begin(experiment, key, name, tags, _to_ms(training.get("started")), live=True)
    run.log_params(_describe_training(training), training["params"])
    run.log_subsets(dataset, "training", "validation")
    return run


def publish_training(
    experiment: Experiment,
    training: Mapping[str, Any],
    metrics: Mapping[str, Any],
    *,
    key: str,
    dataset: Dataset,
    digests: Mapping[str, str],
    params: Mapping[str, Any],
    files: Sequence[Path] = (),
    provenance: Mapping[str, str],
) -> str:
    """Log the final training of a backbone with its test scores, unless it is there already.

    Parameters
    ----------
    experiment : Experiment
        From `open_experiment`.
    training : mapping
        ``data/models/<backbone>/training.json``.
    metrics : mapping
        ``data/evaluation/<backbone>/metrics.json``, see `flatten_scores`.
    key : str
        Digest of what the run is made from; another key makes another run.
    dataset : Dataset
        What was trained on.
    digests : mapping of str to str
        Kind of output, such as ``split``, to what ``dvc.lock`` has for it.
    params : mapping
        Sections of params.yaml that the training does not hold itself.
    files : sequence of pathlib.Path
        Files and folders to hang on the run.
    provenance : mapping of str to str
        From `read_provenance`.

    Returns
    -------
    str
        Run id.
    """
    tags = _tag_training(training, provenance, digests)
    n_members = training.get("members")
    made = f"registered, {n_members} members" if n_members else "trained"
    name = _name_run(training, f"depth {training['depth']}", made)
    started = _to_ms(training.get("started"))
    run = begin(experiment, f"training/{key}", name, tags, started, live_key=_name_training(training))
    if run.done:
        return run.id
    # One that was gone on with has begun before.
    ended = max(run.started, _to_ms(training.get("started"))) + _seconds_in_ms(training)
    layers = ", ".join(training.get("unfrozen_layers") or ())
    sizes = {name: training.get(name) for name in ("n_unfrozen_parameters", "seconds")}
    own = {"unfrozen_layers": layers or "none", **(training.get("params") or {})}
    run.log_params({**_describe_training(training), **own}, params)
    run.log_history(training.get("history") or (), ended)
    _finish(run, {**flatten_scores(metrics), **sizes}, dataset, files, ended)
    return run.id


def _name_images(search: Mapping[str, Any]) -> Dataset:
    return Dataset(search["cohort"], search["digests"]["images"], search.get("source", ""))


def _describe_training(training: Mapping[str, Any]) -> dict[str, Any]:
    return {"backbone": training["backbone"], "depth": training["depth"], "model": training["backbone"]}


def _name_training(training: Mapping[str, Any]) -> str:
    """Name a final training by what it is made from: its key before its end, which its own key hangs on."""
    made = [training.get(name) for name in ("backbone", "study", "depth", "params", "code", "members")]
    text = json.dumps(made, sort_keys=True).encode()
    return f"live/{hashlib.md5(text, usedforsecurity=False).hexdigest()}"


def _tag_training(
    training: Mapping[str, Any], provenance: Mapping[str, str], digests: Mapping[str, str]
) -> dict[str, str]:
    """Tag a training; what it says itself of code and environment was so when it was made, not published."""
    own = {f"{ENVIRONMENT}{name}": value for name, value in training.get("environment", {}).items()}
    own |= {"code": training["code"]} if "code" in training else {}
    kind = "registered" if training.get("members") else "training"
    return {**_tag(training, kind, provenance, digests), **own}


def publish_baseline(
    experiment: Experiment,
    name: str,
    metrics: Mapping[str, float],
    *,
    key: str,
    dataset: Dataset,
    digests: Mapping[str, str],
    params: Mapping[str, Any],
    choice: Mapping[str, Any],
    synthetic: bool,
    seconds: float,
    provenance: Mapping[str, str],
) -> str:
    """Log a baseline model beside the networks, unless it is there already, and return the run id.

    `metrics` has its scores under flat names (``accuracy_low``, ``validation_f1_macro``), `choice` its
    hyper-parameters; the other arguments are those of `publish_training`.
    """
    about = {"backbone": name, "synthetic": synthetic}
    tags = {**_tag(about, "baseline", provenance, digests), "backbone": "none"}
    run = begin(experiment, f"baseline/{name}/{key}", _name_run(about, "baseline"), tags)
    if not run.done:
        run.log_params({"model": name, **choice}, params)
        ended = run.started + int(1000 * seconds)
        _finish(run, {**metrics, "seconds": seconds}, dataset, (), ended)
    return run.id


def _finish(
    run: Run, metrics: Mapping[str, Any], dataset: Dataset, files: Sequence[Path], ended: int
) -> None:
    run.log_metrics(metrics, ended)
    run.log_subsets(dataset, "training", "validation", "test")
    run.log_files(files)
    run.end("FINISHED", ended)


def flatten_scores(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Give test scores, their bounds and validation scores one flat set of names.

    Examples
    --------
    >>> flatten_scores({"test": {"ece": 0.1}, "validation": {"ece": 0.2}, "test_interval": {"ece": [0, 0.3]}})
    {'ece': 0.1, 'ece_low': 0, 'ece_high': 0.3, 'validation_ece': 0.2}
    """
    flat = dict(metrics["test"])
    for name, (low, high) in metrics.get("test_interval", {}).items():
        flat[f"{name}_low"], flat[f"{name}_high"] = low, high
    flat |= metrics.get("probabilities", {})
    return {**flat, **{f"validation_{name}": value for name, value in metrics["validation"].items()}}


def _tag(
    about: Mapping[str, Any], kind: str, provenance: Mapping[str, str], digests: Mapping[str, str]
) -> dict[str, str]:
    synthetic = "SYNTHETIC" if about["synthetic"] else "no"
    tags = {"kind": kind, "backbone": about["backbone"], "synthetic": synthetic}
    if "weights" in about:
        tags["weights"] = "RANDOM" if about["weights"]["random"] else "imagenet"
        tags["weights.digest"] = about["weights"].get("digest", "")
    return {**provenance, **{f"dvc.{name}": digest for name, digest in digests.items()}, **tags}


def _name_run(about: Mapping[str, Any], *parts: str) -> str:
    """Name a run with what tells it apart in front, as the UI cuts the end."""
    marks = ["RANDOM weights"] * bool(about.get("weights", {}).get("random"))
    return " · ".join([about["backbone"], *parts, *marks, *["SYNTHETIC"] * about["synthetic"]])


def _to_ms(moment: str | None) -> int:
    return int(1000 * datetime.fromisoformat(moment).timestamp()) if moment else 0


def _seconds_in_ms(about: Mapping[str, Any]) -> int:
    return int(1000 * float(about.get("seconds") or 0))
