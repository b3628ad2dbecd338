"""Train one backbone at the depth that the search chose, and stitch the whole network together."""

import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress

from expressionist.errors import WeightsError
from expressionist.files import read_json, write_json, write_whole
from expressionist.network import assemble
from expressionist.painting import read_layout
from expressionist.params import NetworkParams, TrainingParams, WeightsParams
from expressionist.training import Epoch, open_tuner, settle


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
    """Write `model.keras`, which takes expression, and `training.json`, which says how it came about.

    Parameters
    ----------
    weights, network, training : WeightsParams, NetworkParams, TrainingParams
        Sections of params.yaml.
    backbone : str
        Row of the table of backbones.
    split, layout, images : pathlib.Path
        Outputs of the stages of that name.
    search : pathlib.Path
        JSON of the stage `tune`.
    cache : pathlib.Path
        Folder of the prefix cache and the checkpoints; may be deleted at any time.
    cache_gigabytes : float
        Room that the prefix cache may take.
    scheduler : str or None
        Of the Dask cluster that fills the prefix cache.
    out : pathlib.Path
        Folder to write.

    Raises
    ------
    WeightsError
        If the backbone's weights are no longer those of the search.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    found = read_json(search)
    best = found["best"]
    tuner, tumour_types = open_tuner(
        backbone,
        # What could not be downloaded for the search is not asked for again.
        replace(weights, source=found["weights"]["source"]),
        network,
        split=split,
        layout=layout,
        images=images,
        cache=cache / "prefix",
        cache_gigabytes=cache_gigabytes,
        scheduler=scheduler,
    )
    if tuner.weights.digest != found["weights"]["digest"]:
        raise WeightsError(
            f"{backbone} must start from the weights of its search ({found['weights']['digest'][:12]}), but "
            f"got {tuner.weights.digest[:12]}. Run `dvc repro --force tune@{backbone}`."
        )
    laid, scale, _, about = read_layout(layout)
    params, dropout = settle(best["params"], training, network.dropout)
    with Progress() as progress:
        epochs = progress.add_task(f"{backbone} at depth {best['depth']}: epochs", total=params.epochs)

        def show(epoch: Epoch) -> bool:
            progress.update(epochs, completed=epoch["epoch"])
            return False

        tuned = tuner.fit(best["depth"], dropout, params, checkpoints=cache / "checkpoints", report=show)
    whole = assemble(laid, scale, about["unit"], tuned.front, tuned.division.prefix, tuned.model, tuned.ranks)
    with write_whole(out) as partial:
        partial.mkdir()
        whole.save(partial / "model.keras")
        write_json(
            partial / "training.json",
            {
                "backbone": backbone,
                "depth": best["depth"],
                "strides": tuner.strides,
                "unfrozen_layers": tuned.division.unfrozen,
                "n_unfrozen_parameters": tuned.n_unfrozen_parameters,
                "n_parameters": whole.count_params(),
                "weights": found["weights"],
                "cohort": about["cohort"],
                "synthetic": about["synthetic"],
                "tumour_types": tumour_types,
                "history": tuned.fit.history,
                "started": started.isoformat(),
                "seconds": time.perf_counter() - clock,
                "params": {"network": asdict(network), "training": asdict(params), "dropout": dropout},
                "study": found["study"],
            },
        )
