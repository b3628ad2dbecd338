"""Optuna: which depth (and which of the head's few other knobs), from a study that survives a kill."""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import sem

from expressionist.errors import ParamsError, name_some
from expressionist.training.loop import Epoch
from expressionist.training.studies import Locks, Studies, open_studies

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
# Kept with a trial: whose it is, and how long it took; and with a study: how far it is to be taken.
_WORKER, _SECONDS, _TERMS = "worker", "seconds", "terms"
_SECONDS_BETWEEN_LOOKS = 1.0
# All other metrics are shares.
_LOWER_IS_BETTER = ("log_loss", "ece")


@dataclass(frozen=True)
class Space:
    """What may be chosen: depths, and ranges (low, high) of rate and dropout; None leaves params.yaml's."""

    depths: tuple[int, ...]
    learning_rate: tuple[float, ...] | None = None
    dropout: tuple[float, ...] | None = None

    @property
    def exhaustive(self) -> bool:
        """Whether the space can be tried out whole."""
        return self.learning_rate is None and self.dropout is None

    def holds(self, choice: Mapping[str, Any]) -> bool:
        """Whether a choice is complete; that of a trial which was killed while it chose is not."""
        ranges = {"learning_rate": self.learning_rate, "dropout": self.dropout}
        return set(choice) == {"depth", *(name for name, bounds in ranges.items() if bounds is not None)}

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
    """What the training of one trial came to: the objective of its last epoch, and a row per epoch.

    `facts` are what else to record; `pruned` is whether the training was broken off.
    """

    value: float
    history: list[Epoch]
    facts: Mapping[str, Any] = field(default_factory=dict)
    pruned: bool = False


Train = Callable[[Mapping[str, Any], Callable[[Epoch], bool]], Outcome]


def name_study(prefix: str, facts: Mapping[str, Any], space: Space) -> str:
    """Name a study by a hash of all that its trials depend on: old trials never mix with new data."""
    content = json.dumps([facts, asdict(space)], sort_keys=True).encode()
    # MLflow is asked for it in quotes, and a terminal shows it: of a cohort called by a file, what is plain.
    prefix = re.sub(r"[^\w.-]", "_", prefix)
    return f"{prefix}-{hashlib.sha256(content).hexdigest()[:12]}"


def run_search(
    study_name: str,
    space: Space,
    train: Train,
    *,
    storage: str,
    objective: str,
    n_trials: int,
    prune: bool,
    seed: int,
    on_begin: Callable[[dict[str, Any]], object] = lambda _: None,
    on_trial: Callable[[dict[str, Any]], object] = lambda _: None,
    on_progress: Callable[[int], object] = lambda _: None,
) -> list[dict[str, Any]]:
    """Run a search to its end, going on where an earlier one was killed, together with those who join it.

    Parameters
    ----------
    study_name : str
        As `name_study` gives it.
    space : Space
        Tried out whole while it holds only depths; sampled by TPE otherwise.
    train : callable
        Takes a choice and a function to be told every epoch's row, which returns True to break off.
    storage : str
        Database URL, as `open_studies` takes it.
    objective : str
        A metric of `metrics.score` on validation rows; chooses the direction.
    n_trials : int
        Finished (complete or pruned) trials to reach, at most as many as there are choices.
    prune : bool
        Whether to break off trials that lie behind the median of the others.
    seed : int
        Of the sampler.
    on_begin : callable
        Given every trial that `train` is about to be called for.
    on_trial : callable
        Given every finished trial once, whoever ran it, in the form of the returned records.
    on_progress : callable
        Told the number of trials that others still run, time and again while nothing else is left to do.

    Returns
    -------
    list of dict
        All trials of the study, killed ones too: number, state, depth, params, value, seconds, started,
        history and the facts of its outcome.

    Raises
    ------
    ParamsError
        If the database cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    terms = _Terms(objective, n_trials, prune, seed)
    recorded: set[int] = set()

    def record_new() -> None:
        for trial in study.get_trials(deepcopy=False, states=_FINISHED):
            if trial.number not in recorded:
                recorded.add(trial.number)
                on_trial(describe(trial))

    with open_studies(storage) as studies:
        with studies.locks.hold(study_name):
            study = optuna.create_study(
                study_name=study_name,
                storage=studies.storage,
                load_if_exists=True,
                direction="minimize" if objective in _LOWER_IS_BETTER else "maximize",
                pruner=terms.pruner,
            )
            study.set_user_attr(_TERMS, asdict(terms))
        worker = _Worker(study, space, terms, studies.locks, on_begin)
        while n_running := worker.run_trials(train, record_new):
            on_progress(n_running)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            record_new()
        record_new()
        return [describe(trial) for trial in study.trials if trial.state != TrialState.WAITING]


def join_search(
    study_name: str,
    space: Space,
    train: Train,
    *,
    storage: str,
    patience: float,
    on_begin: Callable[[dict[str, Any]], object] = lambda _: None,
) -> int:
    """Run trials of a search that another process has begun, until none is left that nobody runs.

    Waits `patience` seconds for the search to begin; the other arguments are those of `run_search`. Returns
    the number of trials that were run here.

    Raises
    ------
    ParamsError
        If the database cannot be used, or the search has not begun in time.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    n_run = 0

    def count() -> None:
        nonlocal n_run
        n_run += 1

    with open_studies(storage) as studies:
        study = _await_study(study_name, studies, patience)
        terms = _Terms(**study.user_attrs[_TERMS])
        study.pruner = terms.pruner
        _Worker(study, space, terms, studies.locks, on_begin).run_trials(train, count)
    return n_run


def _await_study(study_name: str, studies: Studies, patience: float) -> optuna.Study:
    end = time.monotonic() + patience
    while True:
        with studies.locks.hold(study_name):  # a study that is being made has no terms yet
            known = optuna.get_all_study_names(studies.storage)
            if study_name in known:
                return optuna.load_study(study_name=study_name, storage=studies.storage)
        if time.monotonic() >= end:
            raise ParamsError(
                f"A search must have begun before it is joined, but got no study {study_name} in a database "
                f"that has {name_some(sorted(known)) or 'none'}. Begin it by `dvc repro`, with the same "
                "params.yaml, images, weights and code as here."
            )
        time.sleep(_SECONDS_BETWEEN_LOOKS)


@dataclass(frozen=True)
class _Terms:
    """What the process that runs a search settles for all who join it; kept with the study."""

    objective: str
    n_trials: int
    prune: bool
    seed: int

    @property
    def pruner(self) -> optuna.pruners.BasePruner:
        if self.prune:
            # Not from fewer than five trials: of the depths of one block some would go for a hair's breadth.
            return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2)
        return optuna.pruners.NopPruner()

    def make_sampler(self, n_settled: int) -> optuna.samplers.BaseSampler:
        """Make a sampler that draws the same for the same trial, whoever runs it and after whatever kills."""
        seed = hashlib.sha256(f"{self.seed}/{n_settled}".encode()).digest()[:4]
        return optuna.samplers.TPESampler(seed=int.from_bytes(seed))


class _Worker:
    """One process at work on a study."""

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        terms: _Terms,
        locks: Locks,
        on_begin: Callable[[dict[str, Any]], object],
    ) -> None:
        self.study, self.space, self.terms, self.locks = study, space, terms, locks
        self.on_begin = on_begin
        self.name = uuid.uuid4().hex
        locks.keep(self.name)

    def run_trials(self, train: Train, after: Callable[[], object]) -> int:
        """Run trials while there are any that nobody runs; return how many others are running then."""
        while True:
            # Whoever takes a trial does it alone: two who look at once would both see the same one missing.
            with self.locks.hold(self.study.study_name):
                self._give_up_orphans()
                taken = self._take()
                n_running = len(self._list(TrialState.RUNNING))
            if taken is None:
                return n_running
            self._run(*taken, train)
            after()

    def _list(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _give_up_orphans(self) -> None:
        """Fail the trials whose process is gone; one without a worker was never even taken in full."""
        for trial in self._list(TrialState.RUNNING):
            worker = trial.user_attrs.get(_WORKER)
            if worker is None or not self.locks.is_held(worker):
                self.study.tell(trial.number, state=TrialState.FAIL)

    def _take(self) -> tuple[optuna.Trial, dict[str, Any]] | None:
        """Begin the next trial, if one is left."""
        settled = [trial.params for trial in self._list(*_FINISHED, TrialState.RUNNING)]
        if len(settled) >= self.terms.n_trials:
            return None
        if self.space.exhaustive:
            # The deepest first: activations of shallower depths are computed from those of deeper ones.
            wanted = [{"depth": depth} for depth in sorted(self.space.depths, reverse=True)]
        else:
            wanted = [trial.params for trial in self._list(TrialState.FAIL) if self.space.holds(trial.params)]
        left = [choice for choice in wanted if choice not in settled]
        if self.space.exhaustive and not left:
            return None
        # One that waits was queued by a process that was killed before it could begin.
        if left and not self._list(TrialState.WAITING):
            self.study.enqueue_trial(left[0])
        self.study.sampler = self.terms.make_sampler(len(settled))
        trial = self.study.ask()
        choice = self.space.suggest(trial)
        trial.set_user_attr(_WORKER, self.name)
        return trial, choice

    def _run(self, trial: optuna.Trial, choice: Mapping[str, Any], train: Train) -> None:
        def report(epoch: Epoch) -> bool:
            trial.report(epoch[f"validation_{self.terms.objective}"], int(epoch["epoch"]))
            return bool(trial.should_prune())

        self.on_begin(describe(self.study.get_trials(deepcopy=False)[trial.number]))
        begun = time.monotonic()
        try:
            outcome = train(choice, report)
            trial.set_user_attr(_SECONDS, time.monotonic() - begun)
            trial.set_user_attr("history", outcome.history)
            trial.set_user_attr("facts", dict(outcome.facts))
            if outcome.pruned:
                self.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
            else:
                self.study.tell(trial, outcome.value, state=TrialState.COMPLETE, skip_if_finished=True)
        except optuna.exceptions.UpdateFinishedTrialError:
            # Cut off from the database, this process was given up by the others: their second try counts.
            return


def describe(trial: FrozenTrial) -> dict[str, Any]:
    """Put a finished or killed trial into the form in which it is stored, logged and shown."""
    return {
        "number": trial.number,
        "state": trial.state.name,
        "depth": trial.params.get("depth"),
        "params": trial.params,
        "value": trial.value,
        # Of a trial that was given up only the clock tells, which may have been set back since.
        "seconds": trial.user_attrs.get(
            _SECONDS, max(0.0, trial.duration.total_seconds()) if trial.duration else None
        ),
        "started": trial.datetime_start.isoformat() if trial.datetime_start else None,
        "history": trial.user_attrs.get("history", []),
        **trial.user_attrs.get("facts", {}),
    }


def compare_trials(trials: Sequence[dict[str, Any]], objective: str) -> list[dict[str, Any]]:
    """Say of every complete trial how far it is behind the best, and the standard error of that.

    Trials are held against each other fold by fold: that one fold is harder than another is not counted as
    doubt about depths, as all were tried on it.

    Examples
    --------
    >>> folds = {0: [0.33, 0.23], 1: [0.30, 0.20]}
    >>> trials = [{"state": "COMPLETE", "value": np.mean(each), "folds": each} for each in folds.values()]
    >>> [(round(each["behind"], 2), round(each["error"], 2)) for each in compare_trials(trials, "log_loss")]
    [(0.03, 0.0), (0.0, 0.0)]
    """
    sign = 1 if objective in _LOWER_IS_BETTER else -1
    best = min(filter(_is_complete, trials), key=lambda trial: sign * trial["value"])

    def compare(trial: dict[str, Any]) -> dict[str, Any]:
        lost = sign * np.subtract(trial["folds"], best["folds"])
        return {**trial, "behind": float(lost.mean()), "error": float(sem(lost))}

    return [compare(trial) if _is_complete(trial) else trial for trial in trials]


def find_best_trial(trials: Sequence[dict[str, Any]], objective: str) -> dict[str, Any]:
    """Return the shallowest complete trial within one standard error of the best (Breiman et al. 1984).

    That is the error of the best one's mean over folds: what other patients would move it by is worth no
    layer. Of one depth it is the best; of equals the first.
    """
    complete = [trial for trial in compare_trials(trials, objective) if _is_complete(trial)]
    best = min(complete, key=lambda trial: trial["behind"])
    near = [trial for trial in complete if trial["behind"] <= (best.get("standard_error") or 0)]
    return min(near, key=lambda trial: (trial["depth"], trial["behind"], trial["number"]))


def _is_complete(trial: Mapping[str, Any]) -> bool:
    return bool(trial["state"] == TrialState.COMPLETE.name)
