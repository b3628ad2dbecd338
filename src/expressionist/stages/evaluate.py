"""Calibrate one trained network and score it: the only place where a network meets the test samples."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from rich.progress import track
from scipy.special import softmax

from expressionist.calibration import bin_reliability, choose_threshold, fit_temperature, trace_coverage
from expressionist.cohort import AS_IS_UNIT, Cohort
from expressionist.expression import to_log2
from expressionist.figures.drawing import stamp
from expressionist.figures.scores import draw_confusion
from expressionist.metrics import bootstrap, confusion, per_type, score
from expressionist.network import predict_logits
from expressionist.novelty import Novelty
from expressionist.params import EvaluationParams
from expressionist.store import (
    read_cohort,
    read_json,
    read_layout,
    read_split,
    tabulate_predictions,
    write_arrays,
    write_figure,
    write_json,
    write_predictions,
    write_table,
    write_whole,
)

_N_BINS = 15
# A handful of normal samples says more about their patients than about normal tissue.
_FEWEST_NORMALS = 10


def run(
    evaluation: EvaluationParams, *, cohort: Path, split: Path, layout: Path, model: Path, out: Path
) -> None:
    """Write the calibrated network, predictions, scores with intervals, and what the probabilities are worth.

    Temperature, the confidence below which no answer is given and the limit of the novelty score are set on
    validation samples. The whole network is given expression, as a user of the registered model will give it.

    Parameters
    ----------
    evaluation : EvaluationParams
        Bootstrap intervals, wanted accuracy of answers, and false alarms.
    cohort, split, layout, model : pathlib.Path
        Outputs of the stages `prepare`, `split`, `layout` and `train`.
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
    whole.get_layer("temperature").temperature.assign(temperature)
    probabilities = softmax(logits / temperature, axis=1)
    novelty, strangeness = _judge_novelty(found, rows, truth, cohort / "normals.h5ad", evaluation)
    with write_whole(out) as partial:
        partial.mkdir()
        whole.save(partial / "model.keras")
        write_arrays(partial / "novelty.npz", **novelty.to_arrays())
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


def _judge_novelty(
    found: Cohort, rows: pd.DataFrame, truth: np.ndarray, normals_path: Path, evaluation: EvaluationParams
) -> tuple[Novelty, dict[str, Any]]:
    """Fit the novelty score, and count what it flags among test samples, as they are and spoilt."""
    train, validation, test = ((rows["split"] == side).to_numpy() for side in ("train", "validation", "test"))
    log2 = to_log2(found.expression, found.unit)
    normals, types, sides = _read_normals(normals_path, found, rows, log2[train].mean(axis=0))
    shown = normals[sides == "train"]
    novelty = Novelty.fit(
        log2[train],
        truth[train],
        shown if len(shown) >= _FEWEST_NORMALS else None,
        rng=np.random.default_rng(evaluation.seed),
    ).calibrate(log2[validation], false_alarms=evaluation.false_alarms)
    shuffled = np.random.default_rng(evaluation.seed).permuted(log2[test], axis=1)
    unlike = {"validation": log2[validation], "test": log2[test], "shuffled": shuffled}
    if found.unit != AS_IS_UNIT:
        unlike["linear"] = np.exp2(log2[test]) - 1
    hidden = sides != "train"
    if hidden.any():
        unlike["normal"] = normals[hidden]
    flagged = {name: novelty.score(samples) > 1 for name, samples in unlike.items()}
    facts = {
        "false_alarms": evaluation.false_alarms,
        "n_normals_shown": len(shown) if len(shown) >= _FEWEST_NORMALS else 0,
        "flagged": {name: [int(flags.sum()), len(flags)] for name, flags in flagged.items()},
        "flagged_normals": _count_by_type(types[hidden], flagged.get("normal")),
    }
    return novelty, facts


def _read_normals(
    path: Path, found: Cohort, rows: pd.DataFrame, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read normal tissue as log2(x+1) in the cohort's genes, its types, and the sides of its patients."""
    if not path.exists():
        return np.zeros((0, len(means)), np.float32), np.array([]), np.array([])
    normals = read_cohort(path)
    places = normals.genes.index.get_indexer(found.genes.index)
    # As the registered model does it: a gene that is not there has the mean of the training samples.
    log2 = np.tile(means.astype(np.float32), (len(normals.samples), 1))
    log2[:, places >= 0] = to_log2(normals.expression[:, places[places >= 0]], normals.unit)
    side_of = dict(zip(rows["patient"], rows["split"], strict=True))
    # A patient without a tumour sample stands on no side yet.
    sides = np.array([side_of.get(patient, "train") for patient in normals.samples["patient"]])
    return log2, normals.samples["tumour_type"].to_numpy(str), sides


def _count_by_type(types: np.ndarray, flags: np.ndarray | None) -> dict[str, list[int]]:
    if flags is None:
        return {}
    return {
        str(name): [int(flags[types == name].sum()), int((types == name).sum())] for name in np.unique(types)
    }


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
