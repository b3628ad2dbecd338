"""The search of one backbone's fine-tune depth: its name, what may be chosen, one trial, and what follows."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from expressionist.files import digest_code
from expressionist.params import NetworkParams, SearchParams, TrainingParams
from expressionist.training.finetuner import FineTuner
from expressionist.training.loop import Epoch, settle
from expressionist.training.search import Outcome, Space, name_study


@dataclass(frozen=True)
class DepthSearch:
    """A search that can be begun, gone on with or joined.

    Parameters
    ----------
    study : str
        Its name, by all that its trials depend on.
    space : Space
        What may be chosen.
    params : TrainingParams
        How a trial trains, where it does not choose otherwise.
    dropout : float
        Likewise.
    objective : str
        Metric on validation samples.
    tuner : FineTuner
        Holds the training and validation samples.
    """

    study: str
    space: Space
    params: TrainingParams
    dropout: float
    objective: str
    tuner: FineTuner

    def run_trial(
        self,
        choice: Mapping[str, Any],
        *,
        checkpoints: Path,
        report: Callable[[Epoch], bool] = lambda _: False,
        advance: Callable[[int], object] = lambda _: None,
    ) -> Outcome:
        """Train as a trial chose.

        Parameters
        ----------
        choice : mapping
            A point of the space. The classifier of ranks is the same at every depth, and takes no part.
        checkpoints, report, advance
            As for `FineTuner.fit`.

        Returns
        -------
        Outcome
            What the study keeps of it.
        """
        params, dropout = settle(choice, self.params, self.dropout)
        tuned = self.tuner.fit(
            choice["depth"],
            dropout,
            params,
            checkpoints=checkpoints,
            ranks=False,
            report=report,
            advance=advance,
        )
        facts = {
            "n_unfrozen_layers": len(tuned.division.unfrozen),
            "n_unfrozen_parameters": tuned.n_unfrozen_parameters,
            "cut": tuned.division.cut.layer,
        }
        value = tuned.fit.last[f"validation_{self.objective}"]
        return Outcome(value, tuned.fit.history, facts, tuned.fit.stopped)


def plan_search(
    tuner: FineTuner, network: NetworkParams, training: TrainingParams, search: SearchParams, cohort: str
) -> DepthSearch:
    """Say what is to be searched, and name it by all that its trials depend on.

    Parameters
    ----------
    tuner : FineTuner
        As `open_tuner` gives it.
    network, training, search : NetworkParams, TrainingParams, SearchParams
        Sections of params.yaml; `search.epochs` replaces the epochs of `training`.
    cohort : str
        Its name, by which a person recognises the study.
    """
    depths = search.depths if search.depths is not None else tuple(range(tuner.last_block_depth() + 1))
    space = Space(depths, search.learning_rate, search.dropout)
    params = replace(training, epochs=search.epochs)
    facts = {
        "backbone": tuner.backbone,
        "weights": asdict(tuner.weights),
        "network": asdict(replace(network, rank_units=0)),
        "channels": tuner.channels,
        "training": asdict(params),
        "objective": search.objective,
        "code": digest_code("training.depth_search"),
        "images": [tuner.training.labelled_digest, tuner.validation.labelled_digest],
    }
    study = name_study(f"{cohort}-{tuner.backbone}", facts, space)
    return DepthSearch(study, space, params, network.dropout, search.objective, tuner)


def name_local_storage(folder: Path) -> str:
    """Make a folder, and return the URL of the SQLite file for studies in it."""
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder.resolve() / 'studies.db'}"
