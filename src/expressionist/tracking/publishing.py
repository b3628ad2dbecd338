"""What MLflow shows: searches, trainings and baseline models, published once each from what DVC keeps."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from expressionist.files import find_origin
from expressionist.tracking.experiments import ask_git, describe_experiment
from expressionist.tracking.runs import Dataset, Run, begin
from expressionist.tracking.store import Experiment

# A trial that was pruned is not a failure: somebody stopped it.
_OUTSIDE = "none: run outside DVC, so no dvc.lock need have these digests"
_STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}


def read_provenance(root: Path) -> dict[str, str]:
    """Read which code a run comes from, and whether DVC ran it.

    Returns ``git_commit`` (also under the name that MLflow's UI shows), ``git_dirty`` (true | false; tracked
    files only), ``DVC_STAGE`` and the tags of `describe_experiment`; what cannot be known is absent. Outside
    DVC, ``DVC_STAGE`` says so.
    """
    # An experiment's commit and params are those of its own folder, though its runs lie in the checkout.
    root = Path() if find_origin(Path()) else root
    facts = {"DVC_STAGE": os.environ.get("DVC_STAGE") or _OUTSIDE, **describe_experiment(root)}
    commit = ask_git(root, "rev-parse", "--verify", "HEAD")
    if commit:
        facts["git_commit"] = facts["mlflow.source.git.commit"] = commit
        changes = ask_git(root, "status", "--porcelain", "--untracked-files=no")
        if changes is not None:
            facts["git_dirty"] = "true" if changes else "false"
    return facts


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
        The record of the search (``data/search/<backbone>.json``); its trials and its best are not read, so
        that it may still be going on.
    trial : mapping
        The trial's entry in it. PRUNED gives a KILLED run, FAIL a FAILED one.
    provenance : mapping of str to str
        From `read_provenance`.

    Returns
    -------
    str
        Run id.
    """
    parent = _begin_search(experiment, search, _to_ms(trial.get("started")), provenance)
    tags = {
        **_tag(search, "trial", provenance, search["digests"]),
        "trial.state": trial["state"],
        "trial.number": str(trial["number"]),
        "mlflow.parentRunId": parent.id,
    }
    name = f"{_name_run(search, trial['depth'])} #{trial['number']}"
    run = begin(experiment, f"{search['study']}/{trial['number']}", name, tags, _to_ms(trial.get("started")))
    if run.done:
        return run.id
    ended = run.started + _seconds_in_ms(trial)
    sizes = {name: trial.get(name) for name in ("n_unfrozen_layers", "n_unfrozen_parameters", "seconds")}
    run.log_params({"backbone": search["backbone"], "depth": trial["depth"]}, trial.get("params") or {})
    history = trial.get("history") or []
    run.log_history(history, ended)
    # The scores of the last epoch are named as those of a final training.
    last = history[-1] if history else {}
    scores = {name: value for name, value in last.items() if name.startswith("validation_")}
    run.log_metrics({**scores, **sizes}, ended)
    run.log_dataset(Dataset(search["cohort"], search["digests"]["images"]))
    run.end(_STATUS[trial["state"]], ended)
    return run.id


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
    experiment: Experiment, search: Mapping[str, Any], started: int, provenance: Mapping[str, str]
) -> Run:
    tags = {**_tag(search, "search", provenance, search["digests"]), "study": search["study"]}
    run = begin(experiment, search["study"], f"{_name_run(search)} search", tags, started)
    if run.fresh:
        _log_search(run, search)
    return run


def _log_search(run: Run, search: Mapping[str, Any]) -> None:
    about = {name: search[name] for name in ("backbone", "objective", "study", "space")}
    run.log_params(about, search.get("params") or {})
    run.log_dataset(Dataset(search["cohort"], search["digests"]["images"]))


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
    tags = _tag(training, "training", provenance, digests)
    name = _name_run(training, training["depth"])
    run = begin(experiment, f"training/{key}", name, tags, _to_ms(training.get("started")))
    if run.done:
        return run.id
    ended = run.started + _seconds_in_ms(training)
    first = {"backbone": training["backbone"], "depth": training["depth"], "model": training["backbone"]}
    layers = ", ".join(training.get("unfrozen_layers") or ())
    sizes = {name: training.get(name) for name in ("n_unfrozen_parameters", "seconds")}
    own = {"unfrozen_layers": layers or "none", **(training.get("params") or {})}
    run.log_params({**first, **own}, params)
    run.log_history(training.get("history") or (), ended)
    _finish(run, {**flatten_scores(metrics), **sizes}, dataset, files, ended)
    return run.id


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
    run = begin(experiment, f"baseline/{name}/{key}", _name_run(about), tags)
    if not run.done:
        run.log_params({"model": name, **choice}, params)
        ended = run.started + int(1000 * seconds)
        _finish(run, {**metrics, "seconds": seconds}, dataset, (), ended)
    return run.id


def _finish(
    run: Run, metrics: Mapping[str, Any], dataset: Dataset, files: Sequence[Path], ended: int
) -> None:
    run.log_metrics(metrics, ended)
    run.log_dataset(dataset)
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
    return {**provenance, **{f"dvc.{name}": digest for name, digest in digests.items()}, **tags}


def _name_run(about: Mapping[str, Any], depth: int | None = None) -> str:
    at = "" if depth is None else f" depth {depth}"
    random_weights = " RANDOM weights" if about.get("weights", {}).get("random") else ""
    return f"{about['backbone']}{at}{random_weights}{' SYNTHETIC' if about['synthetic'] else ''}"


def _to_ms(moment: str | None) -> int:
    return int(1000 * datetime.fromisoformat(moment).timestamp()) if moment else 0


def _seconds_in_ms(about: Mapping[str, Any]) -> int:
    return int(1000 * float(about.get("seconds") or 0))
