"""Calibrate one trained network and score it: the only place where a network meets the test samples."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from rich.progress import track
from scipy.special import softmax

from expressionist.data import read_cohort, read_split
from expressionist.evaluation import (
    bin_reliability,
    bootstrap,
    choose_threshold,
    confusion,
    fit_temperature,
    per_type,
    score,
    tabulate_predictions,
    trace_coverage,
    write_predictions,
)
from expressionist.files import read_json, write_json, write_table, write_whole
from expressionist.network import predict_logits
from expressionist.painting import read_layout
from expressionist.params import EvaluationParams
from expressionist.report import draw_confusion, stamp, write_figure

_N_BINS = 15


def run(
    evaluation: EvaluationParams,
    *,
    cohort: Path,
    split: Path,
    layout: Path,
    model: Path,
    novelty: Path,
    out: Path,
) -> None:
    """Write predictions, scores with intervals, the temperature, and what the probabilities are worth.

    Temperature and the confidence below which no answer is given are set on validation samples. The whole
    network is given expression, as a user of the registered model will give it.

    Parameters
    ----------
    evaluation : EvaluationParams
        Bootstrap intervals, and wanted accuracy of answers.
    cohort, split, layout, model, novelty : pathlib.Path
        Outputs of the stages `prepare`, `split`, `layout`, `train` and `novelty`; of the last `novelty.json`
        alone.
    out : pathlib.Path
        Folder to write.
    """
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, *_ = read_layout(layout)
    about = read_json(model / "training.json")
    tumour_types = about["tumour_types"]
    found = found.take(
        found.samples.index.get_indexer(rows.index), found.genes.index.get_indexer(pd.Index(laid.genes))
    )
    truth = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    sides = rows["split"].to_numpy()
    held_out, validation = sides != "train", sides[sides != "train"] == "validation"
    whole = keras.saving.load_model(model / "model.keras", compile=False)
    logits = predict_logits(
        whole,
        found.expression,
        np.flatnonzero(held_out),
        watch=lambda starts: track(starts, description=f"{about['backbone']}: predicting"),
    )
    temperature = fit_temperature(logits[validation], truth[held_out][validation])
    probabilities = softmax(logits / temperature, axis=1)
    strangeness = read_json(novelty)
    with write_whole(out) as partial:
        partial.mkdir()
        write_predictions(
            partial / "predictions.tsv", tabulate_predictions(rows[held_out], probabilities, tumour_types)
        )
        scores = _score(probabilities, truth[held_out], rows[held_out], evaluation)
        calibration = _calibrate(logits, temperature, truth[held_out], validation, evaluation)
        write_json(partial / "probabilities.json", calibration | strangeness)
        scores["probabilities"] = _flatten(calibration | strangeness)
        write_json(partial / "metrics.json", scores)
        test = ~validation
        _write_errors(partial, probabilities[test], truth[held_out][test], about)


def _score(
    probabilities: np.ndarray, truth: np.ndarray, rows: pd.DataFrame, evaluation: EvaluationParams
) -> dict[str, Any]:
    validation, test = ((rows["split"] == side).to_numpy() for side in ("validation", "test"))
    return {
        "validation": score(probabilities[validation], truth[validation]),
        "test": score(probabilities[test], truth[test]),
        "test_interval": bootstrap(
            probabilities[test],
            truth[test],
            n_resamples=evaluation.n_resamples,
            level=evaluation.level,
            rng=np.random.default_rng(evaluation.seed),
            patients=rows["patient"].to_numpy()[test],
        ),
        "n_test": int(test.sum()),
    }


def _calibrate(
    logits: np.ndarray,
    temperature: float,
    truth: np.ndarray,
    validation: np.ndarray,
    evaluation: EvaluationParams,
) -> dict[str, Any]:
    """Say what the probabilities are worth, before and after scaling, and choose when to abstain."""
    before, after = softmax(logits, axis=1), softmax(logits / temperature, axis=1)
    threshold = choose_threshold(after[validation], truth[validation], evaluation.answered_accuracy)
    facts: dict[str, Any] = {"temperature": temperature, "abstain_below": threshold}
    for side, chosen in (("validation", validation), ("test", ~validation)):
        answered = after[chosen].max(axis=1) >= threshold
        right = after[chosen].argmax(axis=1) == truth[chosen]
        facts[side] = {
            "n_samples": int(chosen.sum()),
            "ece_before": score(before[chosen], truth[chosen])["ece"],
            "ece_after": score(after[chosen], truth[chosen])["ece"],
            "log_loss_before": score(before[chosen], truth[chosen])["log_loss"],
            "log_loss_after": score(after[chosen], truth[chosen])["log_loss"],
            "answered": float(answered.mean()),
            "answered_accuracy": float(right[answered].mean()) if answered.any() else None,
            "reliability_before": bin_reliability(before[chosen], truth[chosen], _N_BINS).to_dict("list"),
            "reliability_after": bin_reliability(after[chosen], truth[chosen], _N_BINS).to_dict("list"),
        }
    facts["coverage"] = trace_coverage(after[~validation], truth[~validation]).to_dict("list")
    return facts


def _flatten(facts: dict[str, Any]) -> dict[str, float]:
    """Give what is worth following from version to version one flat set of names."""
    flat = {name: facts[name] for name in ("temperature", "abstain_below")}
    names = ("ece_before", "ece_after", "answered", "answered_accuracy")
    flat |= {name: facts["test"][name] for name in names if facts["test"][name] is not None}
    return flat | {f"flagged_{name}": n / total for name, (n, total) in facts["flagged"].items() if total}


def _write_errors(folder: Path, probabilities: np.ndarray, truth: np.ndarray, about: dict[str, Any]) -> None:
    tumour_types = about["tumour_types"]
    counts = confusion(probabilities, truth)
    write_table(folder / "confusion.tsv", pd.DataFrame(counts, index=tumour_types, columns=tumour_types))
    figure = stamp(
        draw_confusion(counts, tumour_types),
        synthetic=about["synthetic"],
        random_weights=about["weights"]["random"],
    )
    write_figure(folder / "confusion.png", figure)
    write_table(folder / "per_type.tsv", per_type(probabilities, truth, tumour_types), index=False)
