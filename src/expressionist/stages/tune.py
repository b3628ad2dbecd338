"""Search the fine-tune depth of one backbone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from expressionist.errors import ParamsError, name_some
from expressionist.files import md5, write_json
from expressionist.network import explain_random
from expressionist.params import NetworkParams, SearchParams, TrainingParams, WeightsParams
from expressionist.pipeline import search_depth
from expressionist.tracking import open_experiment, open_store, publish_search, publish_trial, read_provenance
from expressionist.training import (
    DepthSearch,
    Epoch,
    Outcome,
    Train,
    Workspace,
    find_best_trial,
    join_search,
    open_tuner,
    plan_search,
)


def run(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    *,
    backbone: str,
    split: Path,
    layout: Path,
    images: Path,
    cache: Path,
    cache_gigabytes: float,
    scheduler: str | None,
    out: Path,
    root: Path,
    tracking_uri: str | None,
) -> None:
    """Write every trial and the best one as JSON; each trial appears in MLflow as soon as it is finished."""
    workspace = Workspace(split, layout, images, cache, cache_gigabytes, scheduler)
    planned = _plan(weights, network, training, search, backbone, workspace)
    tuner = planned.tuner
    about = {
        "study": planned.study,
        "backbone": backbone,
        "cohort": tuner.data.about["cohort"],
        "synthetic": tuner.data.about["synthetic"],
        "weights": {**asdict(tuner.weights), "random": tuner.weights.random, "asked": weights.source},
        "objective": search.objective,
        "space": asdict(planned.space),
        "digests": {"split": md5(split), "layout": md5(layout), "images": md5(images)},
        # What names the study, besides the space, and no more: how far a study is taken, and where it is
        # stored, may change while it goes on, and MLflow lets no param change.
        "params": {
            "network": asdict(planned.network),
            "training": asdict(planned.params),
            "search": {"epochs": search.epochs, "objective": search.objective},
        },
        "tumour_types": tuner.data.tumour_types,
    }
    # As the stage `register` will read it: MLflow takes a tuple and JSON's list for two values of one param.
    record: dict[str, Any] = json.loads(json.dumps(about))
    experiment = open_experiment(open_store(root, tracking_uri), record["cohort"])
    provenance = read_provenance(root)
    trials = search_depth(
        planned,
        search,
        _trainer(planned, workspace.checkpoints),
        search.storage or workspace.name_storage(),
        on_trial=lambda trial: publish_trial(experiment, record, trial, provenance=provenance),
        on_progress=_tell_once("Waiting for {} trials of other workers"),
    )
    record |= {"trials": trials, "best": find_best_trial(trials, search.objective)}
    write_json(out, record)
    publish_search(experiment, record, provenance=provenance)


def join(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    workspace: Workspace,
    *,
    backbone: str,
    patience: float,
) -> int:
    """Run trials of a search that `run` has begun in another process, here or on another machine.

    All but the last must be the same there, since a search is named by a digest of them. Waits `patience`
    seconds for the search to begin, and returns the number of trials that were run here.
    """
    needed = (workspace.split, workspace.layout, workspace.images)
    if missing := [str(path) for path in needed if not path.exists()]:
        raise ParamsError(
            f"A worker must have what it trains on, but got no {name_some(missing)}. Run it after `dvc "
            "pull` or `dvc repro images`."
        )
    planned = _plan(weights, network, training, search, backbone, workspace)
    train, storage = _trainer(planned, workspace.checkpoints), search.storage or workspace.name_storage()
    return join_search(planned.study, planned.space, train, storage=storage, patience=patience)


def _plan(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    backbone: str,
    workspace: Workspace,
) -> DepthSearch:
    """Open what is trained on, plan the search and say so."""
    planned = plan_search(open_tuner(backbone, weights, network, workspace), network, training, search)
    console = Console()
    console.print(f"{backbone}: depths {', '.join(map(str, planned.space.depths))}; study {planned.study}")
    if planned.tuner.weights.random:
        console.print(
            f"[bold yellow]{backbone} runs on RANDOM weights[/], {explain_random(weights.source)}. "
            "Everything made from it says so."
        )
    return planned


def _tell_once(line: str) -> Callable[[int], None]:
    """Make a function that prints a number, but not the same one again and again."""
    console, told = Console(), set[int]()

    def tell(number: int) -> None:
        if number not in told:
            told.add(number)
            console.print(line.format(number))

    return tell


def _trainer(planned: DepthSearch, checkpoints: Path) -> Train:
    """Make the function that trains one trial, with a progress bar and a checkpoint of its own."""

    def train(choice: Mapping[str, Any], on_epoch: Callable[[Epoch], bool]) -> Outcome:
        name = ", ".join(f"{key} {value:.4g}" for key, value in choice.items())
        with Progress() as progress:
            data = planned.tuner.data
            n_images = len(data.training.types) + len(data.validation.types)
            frozen = progress.add_task(f"{name}: frozen prefix", total=n_images)
            epochs = progress.add_task(f"{name}: epochs", total=planned.params.epochs)

            def show(epoch: Epoch) -> bool:
                progress.update(epochs, completed=epoch["epoch"])
                return on_epoch(epoch)

            return planned.run_trial(
                choice, show, checkpoints=checkpoints, on_progress=lambda n: progress.advance(frozen, n)
            )

    return train
