"""Optuna: which depth (and which of the head's few other knobs), from a study that survives a kill."""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from expressionist.training import FALLING, Epoch

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# Stored with every trial, so that a search that goes on can tell a killed trial from a running one.
_PROCESS = "process"


@dataclass(frozen=True)
class Space:
    """What may be chosen.

    Parameters
    ----------
    depths : tuple of int
        Fine-tune depths.
    learning_rate, dropout : tuple of float or None
        (low, high), the first on a log scale; None leaves the value of params.yaml.
    """

    depths: tuple[int, ...]
    learning_rate: tuple[float, ...] | None = None
    dropout: tuple[float, ...] | None = None

    @property
    def exhaustive(self) -> bool:
        """Whether the space can be tried out whole."""
        return self.learning_rate is None and self.dropout is None

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Let the sampler choose."""
        choice: dict[str, Any] = {"depth": trial.suggest_categorical("depth", list(self.depths))}
        if self.learning_rate is not None:
            choice["learning_rate"] = trial.suggest_float("learning_rate", *self.learning_rate, log=True)
        if self.dropout is not None:
            choice["dropout"] = trial.suggest_float("dropout", *self.dropout)
        return choice


@dataclass(frozen=True)
class Outcome:
    """What the training of one trial came to.

    Parameters
    ----------
    value : float
        Objective of the last epoch on validation rows.
    history : list of dict
        A row per epoch.
    facts : mapping
        What else to record, such as the number of unfrozen parameters.
    pruned : bool
        Whether the training was broken off.
    """

    value: float
    history: list[Epoch]
    facts: Mapping[str, Any] = field(default_factory=dict)
    pruned: bool = False


def name_study(prefix: str, facts: Mapping[str, Any], space: Space) -> str:
    """Name a study by a hash of all that its trials depend on, so that old trials never mix with new data.

    Parameters
    ----------
    prefix : str
        What a person recognises it by.
    facts : mapping
        JSON-able: digests of data and weights, params of network and training, the objective.
    space : Space
        What may be chosen.
    """
    content = json.dumps([facts, asdict(space)], sort_keys=True).encode()
    return f"{prefix}-{hashlib.sha256(content).hexdigest()[:12]}"


def run_search(
    study_name: str,
    space: Space,
    train: Callable[[Mapping[str, Any], Callable[[Epoch], bool]], Outcome],
    *,
    storage: str,
    objective: str,
    n_trials: int,
    prune: bool,
    seed: int,
    record: Callable[[dict[str, Any]], object] = lambda _: None,
) -> list[dict[str, Any]]:
    """Run a search to its end, going on where an earlier one was killed.

    Parameters
    ----------
    study_name : str
        As `name_study` gives it.
    space : Space
        Tried out whole while it holds only depths; sampled by TPE otherwise.
    train : callable
        Takes a choice and a function to be told every epoch's row, which returns True to break off.
    storage : str
        Database URL.
    objective : str
        A metric of `metrics.score` on validation rows; chooses the direction.
    n_trials : int
        Finished (complete or pruned) trials to reach, at most as many as there are choices.
    prune : bool
        Whether to break off trials that lie behind the median of the others.
    seed : int
        Of the sampler.
    record : callable
        Told every trial of this run once it is finished, in the form of the returned records.

    Returns
    -------
    list of dict
        All trials of the study, killed ones too: number, state, depth, params, value, seconds, started,
        history and the facts of its outcome.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=study_name,
        storage=storage,
        load_if_exists=True,
        direction="minimize" if objective in FALLING else "maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2)
        if prune
        else optuna.pruners.NopPruner(),
    )
    if space.exhaustive:
        n_trials = min(n_trials, len(space.depths))
    # The deepest first: the frozen activations of shallower depths are computed from those of deeper ones.
    wanted = [{"depth": depth} for depth in sorted(space.depths, reverse=True)] if space.exhaustive else []
    _queue(study, wanted[:n_trials])

    def run_trial(trial: optuna.Trial) -> float:
        trial.set_user_attr(_PROCESS, _this_process())
        choice = space.suggest(trial)

        def report(epoch: Epoch) -> bool:
            trial.report(epoch[f"validation_{objective}"], int(epoch["epoch"]))
            return bool(trial.should_prune())

        outcome = train(choice, report)
        trial.set_user_attr("history", outcome.history)
        trial.set_user_attr("facts", dict(outcome.facts))
        if outcome.pruned:
            raise optuna.TrialPruned
        return outcome.value

    def stop_when_enough(study: optuna.Study, trial: FrozenTrial) -> None:
        record(describe(trial))
        if not wants_more():
            study.stop()

    def wants_more() -> bool:
        # What another process runs is missing from the finished ones, but a space is tried out only once.
        left = not space.exhaustive or study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return bool(left) and _count_finished(study) < n_trials

    if wants_more():
        study.optimize(run_trial, callbacks=[stop_when_enough])
    return [describe(trial) for trial in study.trials if trial.state != TrialState.WAITING]


def describe(trial: FrozenTrial) -> dict[str, Any]:
    """Put a trial into the form in which it is stored, logged and shown.

    Parameters
    ----------
    trial : optuna.trial.FrozenTrial
        Finished or killed.
    """
    seconds = trial.duration.total_seconds() if trial.duration else None
    return {
        "number": trial.number,
        "state": trial.state.name,
        "depth": trial.params.get("depth"),
        "params": trial.params,
        "value": trial.value,
        "seconds": seconds,
        "started": trial.datetime_start.isoformat() if trial.datetime_start else None,
        "history": trial.user_attrs.get("history", []),
        **trial.user_attrs.get("facts", {}),
    }


def find_best_trial(trials: Sequence[dict[str, Any]], objective: str) -> dict[str, Any]:
    """Return the best complete trial; of equals the one with the smallest depth, which is the cheapest."""
    complete = [trial for trial in trials if trial["state"] == TrialState.COMPLETE.name]
    sign = 1 if objective in FALLING else -1
    return min(complete, key=lambda trial: (sign * trial["value"], trial["depth"], trial["number"]))


def _count_finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=_FINISHED))


def _this_process() -> list[Any]:
    return [socket.gethostname(), os.getpid()]


def _queue(study: optuna.Study, wanted: Sequence[Mapping[str, Any]]) -> None:
    """Give up trials whose process is gone from here; queue what is wanted or has only ever failed."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        host, process = trial.user_attrs.get(_PROCESS, (socket.gethostname(), None))
        if host == socket.gethostname() and not _is_alive(process):
            study.tell(trial.number, state=TrialState.FAIL)
    trials = study.get_trials(deepcopy=False)
    # A waiting trial has no params yet; what it was queued with stands in its system attributes.
    settled = [
        trial.system_attrs.get("fixed_params", trial.params)
        for trial in trials
        if trial.state != TrialState.FAIL
    ]
    failed = [trial.params for trial in trials if trial.state == TrialState.FAIL and trial.params]
    for choice in [*failed, *wanted]:
        if choice not in settled:
            study.enqueue_trial(dict(choice))
            settled.append(dict(choice))


def _is_alive(process: int | None) -> bool:
    if process is None or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
