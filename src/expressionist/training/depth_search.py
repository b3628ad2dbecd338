"""The search of one backbone's fine-tune depth: its name, what may be chosen, one trial, and what follows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from expressionist.files import digest_code
from expressionist.params import NetworkParams, SearchParams, TrainingParams
from expressionist.training.finetuner import FineTuner
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
        Metric on validation samples.
    tuner : FineTuner
        Holds the training and validation samples.
    """

    study: str
    space: Space
    network: NetworkParams
    params: TrainingParams
    objective: str
    tuner: FineTuner

    def run_trial(
        self,
        choice: Mapping[str, Any],
        on_epoch: Callable[[Epoch], bool],
        *,
        checkpoints: Path,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Outcome:
        """Train as a trial chose; the arguments are those of `FineTuner.fit`."""
        params, dropout = apply_trial(choice, self.params, self.network.dropout)
        tuned = self.tuner.fit(
            choice["depth"],
            dropout,
            params,
            checkpoints=checkpoints,
            ranks=False,
            on_epoch=on_epoch,
            on_progress=on_progress,
        )
        facts = {
            "n_unfrozen_layers": len(tuned.unfrozen),
            "n_unfrozen_parameters": tuned.n_unfrozen_parameters,
            "cut": tuned.cut,
        }
        value = tuned.fit.history[-1][f"validation_{self.objective}"]
        return Outcome(value, tuned.fit.history, facts, tuned.fit.stopped)


def plan_search(
    tuner: FineTuner, network: NetworkParams, training: TrainingParams, search: SearchParams
) -> DepthSearch:
    """Say what is to be searched, and name it by all that its trials depend on.

    `search.epochs` replaces the epochs of `training`.
    """
    depths = search.depths if search.depths is not None else tuple(range(tuner.last_block_depth() + 1))
    space = Space(depths, search.learning_rate, search.dropout)
    params, network = replace(training, epochs=search.epochs), replace(network, rank_units=0)
    facts = {
        "backbone": tuner.backbone,
        "weights": asdict(tuner.weights),
        "network": asdict(network),
        "training": asdict(params),
        "objective": search.objective,
        "code": digest_code("training.depth_search"),
        "images": [tuner.data.training.labelled_digest, tuner.data.validation.labelled_digest],
    }
    study = name_study(f"{tuner.data.about['cohort']}-{tuner.backbone}", facts, space)
    return DepthSearch(study, space, network, params, search.objective, tuner)
