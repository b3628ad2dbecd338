"""Scores of predicted probabilities against the truth: values, intervals, calibration and paired tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from expressionist.errors import Refusal, name_some
from expressionist.params import EvaluationParams

# In the order of the tables.
METRICS = ("accuracy", "f1_macro", "precision_macro", "balanced_accuracy", "log_loss", "ece")
# Of these, what is 1 where every sample is right.
_RATES = METRICS[:4]

_N_BINS = 15
# The float32 epsilon, for every model alike: a network computes in float32 and a linear model in float64, and
# the smaller zeros of the latter would otherwise cost it more for the same mistake.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
_N_WEIGHTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class McNemar:
    """Samples that only the first, and only the second, model got right, and a two-sided binomial p-value."""

    only_a: int
    only_b: int
    p_value: float


def score(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score predicted probabilities.

    Macro means run over the tumour types in `truth`: a type that nobody has can neither help nor hurt,
    and the balanced accuracy is the macro mean of the recall. A type that is never predicted has precision 0.

    Parameters
    ----------
    probabilities, truth : numpy.ndarray of shape (n_samples, n_types), of shape (n_samples,)
        Rows sum to 1, or they are refused, and the first of equals is predicted; true types, as columns.

    Returns
    -------
    dict of str to float
        All `METRICS`, in [0, 1] except ``log_loss``, in nats, with probabilities of at least 1.2e-7. ``ece``
        is the expected calibration error (Guo et al., ICML 2017): 15 bins of equal width, top probability.

    Examples
    --------
    >>> scores = score(np.array([[0.75, 0.25], [0.75, 0.25], [0.25, 0.75]]), np.array([0, 1, 1]))
    >>> scores["accuracy"], scores["balanced_accuracy"], scores["precision_macro"]
    (0.6666666666666666, 0.75, 0.75)
    """
    probabilities, truth = _check(probabilities, truth)
    columns = _columns(probabilities, truth)
    values = _score_sums(columns.sum(axis=0, keepdims=True), len(truth), probabilities.shape[1])
    return {name: float(value[0]) for name, value in values.items()}


def score_subsets(
    rows: pd.DataFrame, probabilities: np.ndarray, truth: np.ndarray, evaluation: EvaluationParams
) -> dict[str, Any]:
    """Score validation and test samples, the latter with intervals; `rows` are of the split table."""
    validation, test = ((rows["split"] == subset).to_numpy() for subset in ("validation", "test"))
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


def bootstrap(
    probabilities: np.ndarray,
    truth: np.ndarray,
    *,
    n_resamples: int,
    level: float,
    rng: np.random.Generator,
    patients: np.ndarray,
) -> dict[str, tuple[float, float]]:
    """Return (low, high) of all that `score` gives: percentile bootstrap intervals (Efron, Tibshirani 1993).

    `patients` are drawn, each with all samples. Macro means run over the types of a resample. Where all
    samples are right, no resample knows of an error: the lower end is then that of the exact interval of so
    many patients without one (Clopper, Pearson, Biometrika 26, 1934), for macro means as well.
    """
    probabilities, truth = _check(probabilities, truth)
    if len(patients) != len(truth):
        raise Refusal(
            f"Every sample must have a patient, but got {len(patients)} patients for {len(truth)} samples. "
            "Give one patient per sample."
        )
    unit = np.unique(patients, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    columns = _columns(probabilities, truth)
    # A resample is a vector of how often each unit was drawn, and every score is a function of weighted sums:
    # so all resamples are one matrix product; in parts, lest the weights fill the memory.
    sums, n_drawn = [], []
    most = max(1, _N_WEIGHTS_AT_ONCE // len(truth))
    for start in range(0, n_resamples, most):
        n_now = min(most, n_resamples - start)
        drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_now)
        weights = drawn[:, unit].astype(np.float64)
        sums.append(weights @ columns)
        n_drawn.append(weights.sum(axis=1))
    values = _score_sums(np.concatenate(sums), np.concatenate(n_drawn), probabilities.shape[1])
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = {name: np.quantile(value, tails) for name, value in values.items()}
    if (probabilities.argmax(axis=1) == truth).all():
        bounds |= {name: (tails[0] ** (1 / n_units), 1.0) for name in _RATES}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def confusion(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count samples by true type (rows) and predicted type (columns): shape (n_types, n_types).

    Examples
    --------
    >>> confusion(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1])).tolist()
    [[1, 0], [1, 1]]
    """
    probabilities, truth = _check(probabilities, truth)
    n_types = probabilities.shape[1]
    cell = truth * n_types + probabilities.argmax(axis=1)
    return np.bincount(cell, minlength=n_types**2).reshape(n_types, n_types)


def per_type(probabilities: np.ndarray, truth: np.ndarray, types: Sequence[str]) -> pd.DataFrame:
    """Return type, n_samples (that truly have it), precision, recall and f1 of every column of probabilities.

    A type that no sample has was not tested: its scores are NaN, which the macro means of `score` leave out.

    Examples
    --------
    >>> table = per_type(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1]), ["ACC", "BLCA"])
    >>> table.round(2).to_dict("records")[1]
    {'type': 'BLCA', 'n_samples': 2, 'precision': 1.0, 'recall': 0.5, 'f1': 0.67}
    """
    counts = confusion(probabilities, truth)
    if len(types) != len(counts):
        raise Refusal(
            f"Every column of probabilities must be named, but got {len(types)} names for {len(counts)}. "
            "Name the tumour types in the order of the columns."
        )
    n_samples = counts.sum(axis=1)
    scores = _rates(np.diag(counts), n_samples, counts.sum(axis=0))
    measured = {name: np.where(n_samples > 0, value, np.nan) for name, value in scores.items()}
    return pd.DataFrame({"type": list(types), "n_samples": n_samples, **measured})


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> McNemar:
    """Test whether two models are equally often right on the same samples, by McNemar's exact test (1947)."""
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise Refusal(
            f"Both models must be tested on the same samples, but got {a.shape} and {b.shape}. "
            "Give one value per sample for each."
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p_value = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return McNemar(only_a, only_b, float(p_value))


def _check(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(truth)
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1] or 0 in probabilities.shape:
        raise Refusal(
            f"Probabilities must be (n_samples, n_types) with one true type per sample, but got "
            f"{probabilities.shape} and {truth.shape}. Give at least one sample, and one row for each."
        )
    # Tables of probabilities may be rounded, so the sums are held to three digits only.
    off = np.flatnonzero(~((probabilities >= 0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) < 1e-3)))
    if len(off):
        raise Refusal(
            f"Probabilities must be at least 0 and sum to 1 in every row, but {len(off)} rows do not: "
            f"{name_some(off)}. Check whether the model diverged or gave logits."
        )
    if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= probabilities.shape[1]:
        raise Refusal(
            f"True types must be whole numbers from 0 to {probabilities.shape[1] - 1}, but got {truth.min()} "
            f"to {truth.max()} ({truth.dtype}). Number the types by the columns of the probabilities."
        )
    return probabilities, truth.astype(np.intp)


def _columns(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return what each sample adds to the sums of `_score_sums`: (n_samples, 3 n_types + n_bins + 1)."""
    rows, n_types = np.arange(len(truth)), probabilities.shape[1]
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right = predicted == truth
    has_type, given_type = np.eye(n_types)[truth], np.eye(n_types)[predicted]
    # Bins (0, 1/n], (1/n, 2/n] and so on.
    bins = np.clip(np.ceil(confidence * _N_BINS).astype(np.intp) - 1, 0, _N_BINS - 1)
    overconfidence = np.zeros((len(truth), _N_BINS))
    overconfidence[rows, bins] = confidence - right
    loss = -np.log(np.maximum(probabilities[rows, truth], SMALLEST_PROBABILITY))
    return np.hstack([has_type * right[:, None], has_type, given_type, overconfidence, loss[:, None]])


def _score_sums(sums: np.ndarray, n_samples: int | np.ndarray, n_types: int) -> dict[str, np.ndarray]:
    """Turn sums over samples (n_resamples, n_columns) into scores, each of shape (n_resamples,)."""
    n_right, n_true, n_given, overconfidence, loss = np.split(
        sums, [n_types, 2 * n_types, 3 * n_types, 3 * n_types + _N_BINS], axis=1
    )
    rates = _rates(n_right, n_true, n_given)
    macro = {name: np.mean(rate, axis=1, where=n_true > 0) for name, rate in rates.items()}
    return {
        "accuracy": n_right.sum(axis=1) / n_samples,
        "balanced_accuracy": macro["recall"],
        "f1_macro": macro["f1"],
        "precision_macro": macro["precision"],
        "log_loss": loss[:, 0] / n_samples,
        "ece": np.abs(overconfidence).sum(axis=1) / n_samples,
    }


def _rates(n_right: np.ndarray, n_true: np.ndarray, n_given: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall and F1 from counts per type; 0 where the count below is 0."""
    return {
        "precision": n_right / np.maximum(n_given, 1),
        "recall": n_right / np.maximum(n_true, 1),
        "f1": 2 * n_right / np.maximum(n_given + n_true, 1),
    }
