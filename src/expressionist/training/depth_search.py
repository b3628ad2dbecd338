"""The search of one backbone's fine-tune depth: its name, what may be chosen, one trial, and what follows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import sem

from expressionist.files import digest_code
from expressionist.params import NetworkParams, SearchParams, TrainingParams
from expressionist.training.finetuner import FineTuned, FineTuner, Fold
from expressionist.training.loop import Epoch
from expressionist.training.search import Outcome, Space, name_study


def apply_trial(
    choice: Mapping[str, Any], params: TrainingParams, dropout: float
) -> tuple[TrainingParams, float]:
    """Put the rate and the dropout that a trial chose, if it did, in the place of those of params.yaml."""
    rate = choice.get("learning_rate", params.learning_rate)
    return replace(params, learning_rate=rate), choice.get("dropout", dropout)


@dataclass(frozen=True)
class DepthSearch:
    """A search that can be begun, gone on with or joined.

    Parameters
    ----------
    study : str
        Its name, by all that its trials depend on.
    space : Space
        What may be chosen.
    network : NetworkParams
        That of a trial: the classifier of ranks is the same at every depth, and takes no part.
    params : TrainingParams
        How a trial trains, where it does not choose otherwise.
    objective : str
        Metric on the samples that a fold leaves out.
    tuner : FineTuner
        Holds the training and validation samples.
    folds : tuple of Fold
        Of their patients: a trial trains on all but one, and is judged by that, for each of them.
    """

    study: str
    space: Space
    network: NetworkParams
    params: TrainingParams
    objective: str
    tuner: FineTuner
    folds: tuple[Fold, ...]

    def run_trial(
        self,
        choice: Mapping[str, Any],
        on_epoch: Callable[[Epoch], bool],
        *,
        checkpoints: Path,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Outcome:
        """Train as a trial chose, fold after fold; the arguments are those of `FineTuner.fit`.

        The epochs of all folds are counted on.
        """
        params, dropout = apply_trial(choice, self.params, self.network.dropout)
        trained: list[FineTuned] = []
        for fold in self.folds:
            trained.append(
                self.tuner.fit(
                    choice["depth"],
                    dropout,
                    params,
                    checkpoints=checkpoints,
                    branches=self.branches,
                    fold=fold,
                    # Of a trial only the scores are kept, and those are of the mean.
                    shares={},
                    keep=True,
                    on_epoch=partial(_tell, on_epoch, trained),
                    on_progress=on_progress,
                )
            )
            if trained[-1].fit.stopped:
                break
        for each in trained:
            each.forget()
        tuned = trained[-1]
        values = [each.fit.history[-1][f"validation_{self.objective}"] for each in trained]
        facts = {
            "n_unfrozen_layers": len(tuned.unfrozen),
            "n_unfrozen_parameters": tuned.n_unfrozen_parameters,
            "cut": tuned.cut,
            "folds": values,
            "standard_error": float(sem(values)) if len(values) > 1 else None,
        }
        return Outcome(float(np.mean(values)), _count_on(trained), facts, tuned.fit.stopped)

    @property
    def branches(self) -> tuple[str, ...]:
        """What a trial's network sees: the classifier of ranks is the same at every depth."""
        return tuple(name for name in self.tuner.branches if name != "ranks")


def _tell(on_epoch: Callable[[Epoch], bool], before: Sequence[FineTuned], epoch: Epoch) -> bool:
    """Tell an epoch of a fold, counted on from those of the folds before."""
    return on_epoch(_place(epoch, before))


def _place(epoch: Epoch, before: Sequence[FineTuned]) -> Epoch:
    n_before = sum(len(each.fit.history) for each in before)
    return {**epoch, "epoch": n_before + epoch["epoch"], "fold": len(before) + 1}


def _count_on(trained: Sequence[FineTuned]) -> list[Epoch]:
    """Put the epochs of all folds one after the other."""
    return [_place(row, trained[:n]) for n, each in enumerate(trained) for row in each.fit.history]


def plan_search(tuner: FineTuner, training: TrainingParams, search: SearchParams) -> DepthSearch:
    """Say what is to be searched, and name it by all that its trials depend on.

    `search.epochs` replaces the epochs of `training`. The pictures are those without a gain, which knows the
    types of training samples that folds judge by.
    """
    tuner = tuner.without_gain()
    depths = search.depths if search.depths is not None else tuple(range(tuner.last_block_depth() + 1))
    space = Space(depths, search.learning_rate, search.dropout)
    params = replace(training, epochs=search.epochs, members=0)
    network = replace(tuner.network, rank_units=0)
    folds = tuner.deal(search.folds, search.seed)
    facts = {
        "backbone": tuner.backbone,
        "weights": asdict(tuner.weights),
        "network": asdict(network),
        "training": asdict(params),
        "objective": search.objective,
        "code": digest_code("training.depth_search"),
        "images": [tuner.data.training.labelled_digest, tuner.data.validation.labelled_digest],
        "folds": [fold.judging.tolist() for fold in folds],
    }
    study = name_study(f"{tuner.data.about['cohort']}-{tuner.backbone}", facts, space)
    return DepthSearch(study, space, network, params, search.objective, tuner, folds)
