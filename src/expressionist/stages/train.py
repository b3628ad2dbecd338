"""Train one backbone at the depth that the search chose, and stitch the whole network together."""

import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from expressionist.errors import WeightsError
from expressionist.files import digest_code, md5, read_json, write_json, write_whole
from expressionist.params import NetworkParams, TrainingParams, WeightsParams
from expressionist.pipeline import train_best
from expressionist.tracking import (
    Dataset,
    LiveRun,
    begin_training,
    open_live,
    read_environment,
    read_provenance,
)
from expressionist.training import Epoch, Workspace, apply_trial, open_tuner


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
    root: Path,
    tracking_uri: str | None,
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
    params, dropout = apply_trial(best["params"], training, network.dropout)
    known: dict[str, Any] = {
        "backbone": backbone,
        "depth": best["depth"],
        "strides": tuner.strides,
        "weights": found["weights"],
        "cohort": tuner.data.about["cohort"],
        "synthetic": tuner.data.about["synthetic"],
        "tumour_types": tuner.data.tumour_types,
        "started": started.isoformat(),
        "params": {"network": asdict(network), "training": asdict(params), "dropout": dropout},
        "study": found["study"],
        "code": digest_code("training.finetuner"),
        "environment": read_environment(root),
    }
    digests = {**found["digests"], "search": md5(search)}
    begin = partial(
        begin_training,
        training=known,
        dataset=Dataset(known["cohort"], digests["images"], str(images)),
        digests=digests,
        provenance=read_provenance(root),
    )
    with (
        open_live(root, tracking_uri, known["cohort"], Console(markup=False).print) as live,
        Progress() as progress,
    ):
        epochs = progress.add_task(f"{backbone} at depth {best['depth']}: epochs", total=training.epochs)
        run = LiveRun(live, begin)

        def show(epoch: Epoch) -> bool:
            progress.update(epochs, completed=epoch["epoch"])
            run.log(epoch)
            return False

        tuned = train_best(tuner, best, training, network, workspace.checkpoints, on_epoch=show)
        run.end("FINISHED")
    whole = tuner.assemble(tuned)
    about = known | {
        "unfrozen_layers": tuned.unfrozen,
        "shares": tuned.shares,
        "n_unfrozen_parameters": tuned.n_unfrozen_parameters,
        "n_parameters": whole.count_params(),
        "history": tuned.fit.history,
        "seconds": time.perf_counter() - clock,
    }
    with write_whole(out) as folder:
        folder.mkdir()
        whole.save(folder / "model.keras")
        write_json(folder / "training.json", about)
