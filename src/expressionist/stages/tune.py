"""Search the fine-tune depth of one backbone."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from expressionist.errors import ParamsError, name_some
from expressionist.files import md5, read_json, write_json
from expressionist.network import explain_random
from expressionist.params import NetworkParams, SearchParams, TrainingParams, WeightsParams
from expressionist.tracking import open_experiment, open_store, publish_search, publish_trial, read_provenance
from expressionist.training import (
    DepthSearch,
    Epoch,
    FineTuner,
    Outcome,
    Space,
    Train,
    find_best_trial,
    join_search,
    name_local_storage,
    open_tuner,
    plan_search,
    run_search,
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
    """Write every trial and the best one; each trial appears in MLflow as soon as it is finished.

    Parameters
    ----------
    weights, network, training, search : WeightsParams, NetworkParams, TrainingParams, SearchParams
        Sections of params.yaml; `search.epochs` replaces the epochs of `training`.
    backbone : str
        Row of the table of backbones.
    split, layout, images : pathlib.Path
        Outputs of the stages of that name.
    cache : pathlib.Path
        Folder of the prefix cache, the study and the checkpoints; may be deleted at any time.
    cache_gigabytes : float
        Room that the prefix cache may take.
    scheduler : str or None
        Of the Dask cluster that fills the prefix cache.
    out : pathlib.Path
        JSON to write.
    root, tracking_uri : pathlib.Path, str or None
        Checkout with `mlruns/`, or an MLflow server to use instead.
    """
    found = _prepare(
        weights,
        network,
        training,
        search,
        backbone,
        split=split,
        layout=layout,
        images=images,
        cache=cache,
        cache_gigabytes=cache_gigabytes,
        scheduler=scheduler,
    )
    tuner, about = found.tuner, found.about
    about_search = {
        "study": found.study,
        "backbone": backbone,
        "cohort": about["cohort"],
        "synthetic": about["synthetic"],
        "weights": {
            **asdict(tuner.weights),
            "random": tuner.weights.random,
            "asked": weights.source,
        },
        "objective": search.objective,
        "space": asdict(found.space),
        "digests": {
            "split": md5(split),
            "layout": md5(layout),
            "images": md5(images),
        },
        # What names the study, beside the space, and no more: how far a study is taken, and where it is
        # stored, may change while it goes on, and MLflow lets no param change.
        "params": {
            "network": asdict(network),
            "training": asdict(found.params),
            "search": {"epochs": search.epochs, "objective": search.objective},
        },
        "tumour_types": found.tumour_types,
    }
    # As the stage `register` will read it: MLflow takes a tuple and JSON's list for two values of one param.
    record: dict[str, Any] = json.loads(json.dumps(about_search))
    experiment = open_experiment(open_store(root, tracking_uri), about["cohort"])
    provenance = read_provenance(root)
    _announce(backbone, found, weights.source)
    trials = run_search(
        found.study,
        found.space,
        found.train,
        storage=search.storage or name_local_storage(cache),
        objective=search.objective,
        n_trials=search.n_trials,
        prune=search.prune,
        seed=search.seed,
        record=lambda trial: publish_trial(experiment, record, trial, provenance=provenance),
        wait=_tell_once("Waiting for {} trials of other workers"),
    )
    record |= {"trials": trials, "best": find_best_trial(trials, search.objective)}
    write_json(out, record)
    publish_search(experiment, record, provenance=provenance)


def join(
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
    scheduler: str | None = None,
    patience: float,
) -> int:
    """Run trials of a search that `run` has begun in another process, here or on another machine.

    Parameters
    ----------
    weights, network, training, search, backbone, split, layout, images, cache, cache_gigabytes, scheduler
        As in `run`; all but the last three must be the same there, since a search is named by a digest
        of them.
    patience : float
        Seconds to wait for the search to begin.

    Returns
    -------
    int
        Number of trials that were run here. MLflow learns of them from `run`.

    Raises
    ------
    ParamsError
        If the images are not there, the database cannot be used, or the search has not begun in time.
    """
    if missing := [str(path) for path in (split, layout, images) if not path.exists()]:
        raise ParamsError(
            f"A worker must have what it trains on, but got no {name_some(missing)}. Run it after `dvc "
            "pull` or `dvc repro images`."
        )
    found = _prepare(
        weights,
        network,
        training,
        search,
        backbone,
        split=split,
        layout=layout,
        images=images,
        cache=cache,
        cache_gigabytes=cache_gigabytes,
        scheduler=scheduler,
    )
    _announce(backbone, found, weights.source)
    storage = search.storage or name_local_storage(cache)
    return join_search(found.study, found.space, found.train, storage=storage, patience=patience)


@dataclass(frozen=True)
class _Prepared:
    study: str
    space: Space
    params: TrainingParams
    tuner: FineTuner
    train: Train
    tumour_types: list[str]
    about: Mapping[str, Any]


def _prepare(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    backbone: str,
    *,
    split: Path,
    layout: Path,
    images: Path,
    cache: Path,
    cache_gigabytes: float,
    scheduler: str | None,
) -> _Prepared:
    """Open what is trained on, and name the study by all that its trials depend on."""
    about = read_json(layout / "layout.json")
    tuner, tumour_types = open_tuner(
        backbone,
        weights,
        network,
        split=split,
        layout=layout,
        images=images,
        cache=cache / "prefix",
        cache_gigabytes=cache_gigabytes,
        scheduler=scheduler,
    )
    planned = plan_search(tuner, network, training, search, about["cohort"])
    train = _trainer(planned, cache / "checkpoints")
    return _Prepared(planned.study, planned.space, planned.params, tuner, train, tumour_types, about)


def _tell_once(line: str) -> Callable[[int], None]:
    """Make a function that prints a number, but not the same one again and again."""
    console, told = Console(), set[int]()

    def tell(number: int) -> None:
        if number not in told:
            told.add(number)
            console.print(line.format(number))

    return tell


def _announce(backbone: str, found: _Prepared, asked: str) -> None:
    console = Console()
    console.print(f"{backbone}: depths {', '.join(map(str, found.space.depths))}; study {found.study}")
    if found.tuner.weights.random:
        console.print(
            f"[bold yellow]{backbone} runs on RANDOM weights[/], {explain_random(asked)}. "
            "Everything made from it says so."
        )


def _trainer(planned: DepthSearch, checkpoints: Path) -> Train:
    """Make the function that trains one trial, with a progress bar and a checkpoint of its own."""

    def train(choice: Mapping[str, Any], report: Callable[[Epoch], bool]) -> Outcome:
        name = ", ".join(f"{key} {value:.4g}" for key, value in choice.items())
        with Progress() as progress:
            n_images = len(planned.tuner.training.types) + len(planned.tuner.validation.types)
            frozen = progress.add_task(f"{name}: frozen prefix", total=n_images)
            epochs = progress.add_task(f"{name}: epochs", total=planned.params.epochs)

            def show(epoch: Epoch) -> bool:
                progress.update(epochs, completed=epoch["epoch"])
                return report(epoch)

            return planned.run_trial(
                choice,
                checkpoints=checkpoints,
                report=show,
                advance=lambda n: progress.advance(frozen, n),
            )

    return train
