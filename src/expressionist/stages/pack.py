"""Pack the winner into a folder that predicts by itself: what is registered, and what DVC gives away."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import LINEAR_UNITS
from expressionist.evaluation import read_predictions
from expressionist.files import read_json, read_table, write_table, write_whole
from expressionist.painting import read_layout
from expressionist.params import RegistryParams
from expressionist.tracking import (
    ANSWERS_FILE,
    CARD_FILE,
    FOOTPRINT_FILE,
    LINEAR_FILE,
    NOVELTY_FILE,
    Served,
    flatten_scores,
    seal,
    write_card,
    write_served,
)

_OF_SPREAD = ("_mean", "_sd", "_lead_p_value")


def run(
    registry: RegistryParams,
    *,
    layout: Path,
    refit: Path,
    novelty: Path,
    comparison: Path,
    out: Path,
) -> None:
    """Put beside the winning network its temperature, genes, card and what judges other cohorts, and seal it.

    `expressionist predict --model` takes the folder as it is.
    """
    winner = read_json(comparison / "comparison.json")["winner"]
    model, evaluation = refit / "models" / winner, refit / "evaluation" / winner
    with write_whole(out) as partial:
        partial.mkdir()
        told = {
            "verdict": _read_verdict(refit, comparison),
            "tested": _read_tested(winner, evaluation, comparison),
            # Of baseline models as they are packed: learned from validation patients, too.
            "tested_again": read_json(refit / "refit.json").get("tested", {}),
        }
        served = _describe(model, evaluation, layout, registry.missing_genes, told)
        write_served(partial, served)
        judges = novelty / NOVELTY_FILE, novelty / FOOTPRINT_FILE, refit / LINEAR_FILE
        for path in (model / "model.keras", *judges):
            shutil.copyfile(path, partial / path.name)
        write_table(partial / ANSWERS_FILE, _list_answers(evaluation), index=False)
        metrics, by_type = read_json(evaluation / "metrics.json"), read_table(evaluation / "per_type.tsv")
        (partial / CARD_FILE).write_text(write_card(served, metrics, by_type), encoding="utf-8")
        seal(partial)


def _describe(
    model: Path, evaluation: Path, layout: Path, missing_genes: float, told: Mapping[str, Any]
) -> Served:
    """Put together what is known of the network: what it takes and gives, and how it was tested."""
    _, scale, genes, about = read_layout(layout)
    training, calibration = read_json(model / "training.json"), read_json(evaluation / "probabilities.json")
    log2 = scale.low + scale.span * genes["mean"].to_numpy(np.float32)
    fill = np.exp2(log2) - 1 if about["unit"] in LINEAR_UNITS else log2
    return Served(
        genes=genes.assign(fill=fill),
        tumour_types=tuple(training["tumour_types"]),
        unit=about["unit"],
        missing_genes=missing_genes,
        synthetic=about["synthetic"],
        weights="RANDOM" if training["weights"]["random"] else "imagenet",
        cohort=about["cohort"],
        **{name: calibration[name] for name in ("abstain_below", "temperature")},
        about={
            **{name: training[name] for name in ("backbone", "depth")},
            "members": training.get("members", 0),
            "merged": about["merged"],
            "flagged": {name: calibration["flagged"][name] for name in ("validation", "test")},
            "n_limiting": calibration["n_limiting"],
            **told,
        },
    )


def _read_verdict(refit: Path, comparison: Path) -> str:
    """Read who leads: of what is registered, or, where nothing was trained again, of what was compared."""
    again = read_json(refit / "refit.json").get("said")
    return str(again or read_json(comparison / "comparison.json")["verdict"])


def _read_tested(winner: str, evaluation: Path, comparison: Path) -> dict[str, dict[Any, float]]:
    """Read the scores of all models that were compared; of the winner, those of what is registered."""
    tested = _read_scores(comparison / "comparison.tsv")
    again = flatten_scores(read_json(evaluation / "metrics.json"))
    return tested | {
        winner: {**tested[winner], **{name: again[name] for name in tested[winner] if name in again}}
    }


def _read_scores(path: Path) -> dict[str, dict[Any, float]]:
    """Read the scores of all models on the first split: of the spread over all, no served model hangs."""
    table = read_table(path, index="model")
    of_spread = [name for name in table if name == "n_splits" or str(name).endswith(_OF_SPREAD)]
    rows = table.drop(columns=of_spread).T
    return {str(name): pd.to_numeric(rows[name], errors="coerce").dropna().to_dict() for name in rows}


def _list_answers(evaluation: Path) -> pd.DataFrame:
    """List what the network answered on test samples and whether it was right; no row names its sample."""
    rows, probabilities, _, _ = read_predictions(evaluation / "predictions.tsv", "test")
    facts = {"predicted": rows["predicted"], "probability": probabilities.max(axis=1)}
    answers = pd.DataFrame(facts).assign(right=rows["predicted"] == rows["tumour_type"])
    return answers.sort_values(["predicted", "probability"], ascending=[True, False])
