"""Train one backbone at the depth that the search chose, and stitch the whole network together."""

import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress

from expressionist.errors import WeightsError
from expressionist.files import read_json, write_json, write_whole
from expressionist.params import NetworkParams, TrainingParams, WeightsParams
from expressionist.pipeline import train_best
from expressionist.training import Epoch, Workspace, open_tuner


def run(
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    *,
    backbone: str,
    split: Path,
    layout: Path,
    images: Path,
    search: Path,
    cache: Path,
    cache_gigabytes: float,
    scheduler: str | None,
    out: Path,
) -> None:
    """Write `model.keras`, which takes expression, and `training.json`, which says how it came about."""
    started, clock = datetime.now(UTC), time.perf_counter()
    found = read_json(search)
    best = found["best"]
    workspace = Workspace(split, layout, images, cache, cache_gigabytes, scheduler)
    # What could not be downloaded for the search is not asked for again.
    tuner = open_tuner(backbone, replace(weights, source=found["weights"]["source"]), network, workspace)
    if tuner.weights.digest != found["weights"]["digest"]:
        raise WeightsError(
            f"{backbone} must start from the weights of its search ({found['weights']['digest'][:12]}), but "
            f"got {tuner.weights.digest[:12]}. Run `dvc repro --force tune@{backbone}`."
        )
    with Progress() as progress:
        epochs = progress.add_task(f"{backbone} at depth {best['depth']}: epochs", total=training.epochs)

        def show(epoch: Epoch) -> bool:
            progress.update(epochs, completed=epoch["epoch"])
            return False

        tuned, params = train_best(tuner, best, training, network, workspace.checkpoints, on_epoch=show)
    whole = tuner.assemble(tuned)
    about = {
        "backbone": backbone,
        "depth": tuned.depth,
        "strides": tuner.strides,
        "unfrozen_layers": tuned.unfrozen,
        "n_unfrozen_parameters": tuned.n_unfrozen_parameters,
        "n_parameters": whole.count_params(),
        "weights": found["weights"],
        "cohort": tuner.data.about["cohort"],
        "synthetic": tuner.data.about["synthetic"],
        "tumour_types": tuner.data.tumour_types,
        "history": tuned.fit.history,
        "started": started.isoformat(),
        "seconds": time.perf_counter() - clock,
        "params": {"network": asdict(network), "training": asdict(params), "dropout": tuned.dropout},
        "study": found["study"],
    }
    with write_whole(out) as partial:
        partial.mkdir()
        whole.save(partial / "model.keras")
        write_json(partial / "training.json", about)
