"""Train the winner again without the picture, with nothing else, and by the reference's protocol."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress
from scipy.special import softmax

from expressionist.data import read_cohort, read_split
from expressionist.evaluation import (
    PICTURE,
    REFERENCE,
    WHOLE,
    fit_temperature,
    judge_picture,
    read_predictions,
    score_variants,
    tabulate_predictions,
)
from expressionist.files import read_json, write_json, write_table, write_whole
from expressionist.network import predict_logits
from expressionist.painting import read_layout, take_painted
from expressionist.params import (
    EvaluationParams,
    NetworkParams,
    TrainingParams,
    WeightsParams,
    follow_reference,
)
from expressionist.training import Epoch, FineTuner, Workspace, open_tuner

# What a variant took; as training.json calls it.
_COSTS = ("n_unfrozen_parameters", "seconds")


@dataclass(frozen=True)
class _Variant:
    """A network, what it sees of samples, and how it is trained."""

    tuner: FineTuner
    branches: tuple[str, ...]
    params: TrainingParams
    dropout: float


def run(
    weights: WeightsParams,
    network: NetworkParams,
    evaluation: EvaluationParams,
    *,
    cohort: Path,
    split: Path,
    layout: Path,
    images: Path,
    models: Path,
    evaluations: Path,
    comparison: Path,
    cache: Path,
    cache_gigabytes: float,
    scheduler: str | None,
    out: Path,
) -> None:
    """Write scores by variant and subset, `ablation.tsv`, and what the picture adds, `ablation.json`.

    All are trained on training samples at the winner's depth, as the winner was or, by the reference's
    protocol, as that says, and calibrated on validation samples. Its own row is what `evaluate` found.
    """
    winner = read_json(comparison)["winner"]
    about = read_json(models / winner / "training.json")
    rows, (laid, *_) = read_split(split), read_layout(layout)
    found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
    held_out = np.flatnonzero(rows["split"] != "train")
    rows = rows.iloc[held_out]
    workspace = Workspace(split, layout, images, cache, cache_gigabytes, scheduler)
    given = replace(weights, source=about["weights"]["source"])
    own, reference = (
        open_tuner(winner, given, each, workspace)
        for each in (network, replace(network, protocol="reference"))
    )
    variants = _list_variants(own, reference, about["params"])
    trained = _train(variants, about, found.expression, held_out, workspace.checkpoints)
    predictions = {WHOLE: read_predictions(evaluations / winner / "predictions.tsv", "validation", "test")}
    predictions |= {
        name: _calibrate(logits, rows, about["tumour_types"]) for name, (logits, _) in trained.items()
    }
    costs = {WHOLE: {name: about[name] for name in _COSTS}} | {
        name: cost for name, (_, cost) in trained.items()
    }
    table = score_variants(predictions, evaluation)
    spent = pd.DataFrame.from_dict(costs, orient="index")
    rest = " + ".join(name for name in own.branches if name != PICTURE)
    facts = {"backbone": winner, "depth": about["depth"]}
    facts |= judge_picture(winner, predictions, table, rest, evaluation)
    with write_whole(out) as partial:
        partial.mkdir()
        write_table(partial / "ablation.tsv", table.join(spent, on="variant"), index=False)
        write_json(partial / "ablation.json", facts)
    Console(markup=False).print(facts["said"])


def _list_variants(own: FineTuner, reference: FineTuner, chosen: Mapping[str, Any]) -> dict[str, _Variant]:
    """List what is to be trained, by name: nothing that the winner is itself, and nothing twice."""
    rest = tuple(name for name in own.branches if name != PICTURE)
    parts = [*((name,) for name in own.branches), rest]
    params, dropout = TrainingParams(**chosen["training"]), chosen["dropout"]
    variants = {
        " + ".join(seen): _Variant(own, seen, params, dropout)
        for seen in parts
        if seen and seen != own.branches
    }
    if own.network.protocol != reference.network.protocol:
        rates = follow_reference(params)
        variants[REFERENCE] = _Variant(reference, reference.branches, rates, reference.network.dropout)
    return variants


def _train(
    variants: Mapping[str, _Variant],
    about: Mapping[str, Any],
    expression: np.ndarray,
    held_out: np.ndarray,
    checkpoints: Path,
) -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """Train each on training samples; return the logits of those held out, and what it took."""
    trained, kept = {}, []
    with Progress() as progress:
        told = f"{about['backbone']} at depth {about['depth']}, {len(variants)} variants: epochs"
        epochs = progress.add_task(told, total=sum(each.params.epochs for each in variants.values()))

        def show(_: Epoch) -> bool:
            progress.advance(epochs)
            return False

        for name, each in variants.items():
            clock = time.perf_counter()
            tuned = each.tuner.fit(
                about["depth"],
                each.dropout,
                each.params,
                checkpoints=checkpoints,
                branches=each.branches,
                keep=True,
                on_epoch=show,
            )
            kept.append(tuned)
            logits = predict_logits(each.tuner.assemble(tuned), expression, held_out)
            costs = (tuned.n_unfrozen_parameters, time.perf_counter() - clock)
            trained[name] = logits, dict(zip(_COSTS, costs, strict=True))
    for tuned in kept:
        tuned.forget()
    return trained


def _calibrate(
    logits: np.ndarray, rows: pd.DataFrame, tumour_types: list[str]
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, list[str]]:
    """Give a variant the temperature that suits validation samples, and return its predictions."""
    truth = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    validation = (rows["split"] == "validation").to_numpy()
    probabilities = softmax(logits / fit_temperature(logits[validation], truth[validation]), axis=1)
    answers = tabulate_predictions(rows, probabilities, tumour_types).iloc[:, :4]
    return answers, probabilities, truth, tumour_types
