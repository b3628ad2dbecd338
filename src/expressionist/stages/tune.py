"""Search the fine-tune depth of one backbone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from expressionist.errors import ParamsError, name_some
from expressionist.files import md5, write_json
from expressionist.network import explain_random
from expressionist.params import NetworkParams, SearchParams, TrainingParams, WeightsParams
from expressionist.pipeline import search_depth
from expressionist.tracking import (
    Live,
    LiveRun,
    begin_search,
    begin_trial,
    open_live,
    publish_search,
    publish_trial,
    read_provenance,
)
from expressionist.training import (
    DepthSearch,
    Epoch,
    Outcome,
    Train,
    Workspace,
    compare_trials,
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
    """Write every trial and the best one as JSON; MLflow shows each while it goes on."""
    workspace = Workspace(split, layout, images, cache, cache_gigabytes, scheduler)
    planned = _plan(weights, network, training, search, backbone, workspace)
    record = _describe(planned, weights, search, workspace)
    told = _tell_of(record, images, root)
    with open_live(root, tracking_uri, record["cohort"], Console(markup=False).print) as live:
        live.tell(partial(begin_search, **told))
        train, on_begin = _trainer(planned, workspace.checkpoints, live, told)
        trials = search_depth(
            planned,
            search,
            train,
            search.storage or workspace.name_storage(),
            on_begin=on_begin,
            on_trial=lambda trial: live.tell(partial(publish_trial, trial=trial, **told)),
            on_progress=_tell_once("Waiting for {} trials of other workers"),
        )
        best = find_best_trial(trials, search.objective)
        found = {"trials": compare_trials(trials, search.objective), "best": best}
        write_json(out, record | found)
        live.tell(partial(publish_search, **(told | {"search": told["search"] | found})))


def _describe(
    planned: DepthSearch, weights: WeightsParams, search: SearchParams, workspace: Workspace
) -> dict[str, Any]:
    """Say what is searched, before a trial is run."""
    tuner = planned.tuner
    about = {
        "study": planned.study,
        "backbone": tuner.backbone,
        "cohort": tuner.data.about["cohort"],
        "synthetic": tuner.data.about["synthetic"],
        "weights": {**asdict(tuner.weights), "random": tuner.weights.random, "asked": weights.source},
        "objective": search.objective,
        "space": asdict(planned.space),
        "digests": {name: md5(getattr(workspace, name)) for name in ("split", "layout", "images")},
        # What names the study, besides the space, and no more: how far a study is taken, and where it is
        # stored, may change while it goes on, and MLflow lets no param change.
        "params": {
            "network": asdict(planned.network),
            "training": asdict(planned.params),
            "search": {name: getattr(search, name) for name in ("epochs", "folds", "seed", "objective")},
        },
        "tumour_types": tuner.data.tumour_types,
    }
    # As the stage `register` will read it: MLflow takes a tuple and JSON's list for two values of one param.
    return json.loads(json.dumps(about))


def join(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    workspace: Workspace,
    *,
    backbone: str,
    patience: float,
    root: Path,
    tracking_uri: str | None,
) -> int:
    """Run trials of a search that `run` has begun in another process, here or on another machine.

    All but the last three must be the same there, since a search is named by a digest of them. Waits
    `patience` seconds for the search to begin, and returns the number of trials that were run here. MLflow is
    told where it knows of the search.
    """
    needed = (workspace.split, workspace.layout, workspace.images)
    if missing := [str(path) for path in needed if not path.exists()]:
        raise ParamsError(
            f"A worker must have what it trains on, but got no {name_some(missing)}. Run it after `dvc "
            "pull` or `dvc repro images`."
        )
    planned = _plan(weights, network, training, search, backbone, workspace)
    record = _describe(planned, weights, search, workspace)
    told = _tell_of(record, workspace.images, root)
    # The store's SQLite is for one machine, as that of a search: from another, only a server is told.
    near = None if (search.storage or "").startswith("postgresql") else root
    with open_live(near, tracking_uri, record["cohort"], Console(markup=False).print, joined=True) as live:
        train, on_begin = _trainer(planned, workspace.checkpoints, live, told)
        storage = search.storage or workspace.name_storage()
        return join_search(
            planned.study, planned.space, train, storage=storage, patience=patience, on_begin=on_begin
        )


def _tell_of(record: Mapping[str, Any], images: Path, root: Path) -> dict[str, Any]:
    """Put together what MLflow is told of every trial."""
    return {"search": {**record, "source": str(images)}, "provenance": read_provenance(root)}


def _plan(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    backbone: str,
    workspace: Workspace,
) -> DepthSearch:
    """Open what is trained on, plan the search and say so."""
    planned = plan_search(open_tuner(backbone, weights, network, workspace), training, search)
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


def _trainer(
    planned: DepthSearch, checkpoints: Path, live: Live, told: Mapping[str, Any]
) -> tuple[Train, Callable[[Mapping[str, Any]], object]]:
    """Make the function that trains one trial, with a progress bar, a checkpoint and a live run of its own.

    The second one is told beforehand which trial that is.
    """
    begun: dict[str, Any] = {}

    def train(choice: Mapping[str, Any], on_epoch: Callable[[Epoch], bool]) -> Outcome:
        name = ", ".join(f"{key} {value:.4g}" for key, value in choice.items())
        run = LiveRun(live, partial(begin_trial, trial=dict(begun), live=True, **told))
        with Progress() as progress:
            data = planned.tuner.data
            n_folds = len(planned.folds)
            n_images = n_folds * (len(data.training.types) + len(data.validation.types))
            frozen = progress.add_task(f"{name}: frozen prefix", total=n_images)
            epochs = progress.add_task(f"{name}: epochs", total=n_folds * planned.params.epochs)

            def show(epoch: Epoch) -> bool:
                progress.update(epochs, completed=epoch["epoch"])
                run.log(epoch)
                return on_epoch(epoch)

            outcome = planned.run_trial(
                choice, show, checkpoints=checkpoints, on_progress=lambda n: progress.advance(frozen, n)
            )
        run.end()
        return outcome

    return train, begun.update
