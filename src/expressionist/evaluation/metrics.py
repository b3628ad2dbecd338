"""Scores of predicted probabilities against the truth: values, intervals, calibration and paired tests."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from expressionist.errors import Refusal, name_some

METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "precision_macro", "log_loss", "ece")

_N_BINS = 15
# The float32 epsilon, for every model alike: a network computes in float32 and a linear model in float64, and
# the smaller zeros of the latter would otherwise cost it more for the same mistake.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
_N_WEIGHTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two models on the same samples.

    Parameters
    ----------
    only_a, only_b : int
        Samples that only the first, and only the second, model got right.
    p_value : float
        Two-sided exact binomial p-value of such a split, were both models equally good.
    """

    only_a: int
    only_b: int
    p_value: float


def score(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score predicted probabilities.

    Macro means run over the tumour types in `truth`: a type that nobody has can neither help nor hurt,
    and the balanced accuracy is the macro mean of the recall. A type that is never predicted has precision 0.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Rows sum to 1. The predicted type is the most probable one, the first of equals.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.

    Returns
    -------
    dict of str to float
        The keys of `METRICS`, in [0, 1] except ``log_loss``, in nats, for which probabilities below 1.2e-7
        count as 1.2e-7. ``ece`` is the expected calibration error: 15 bins of equal width, top probability.

    Raises
    ------
    Refusal
        If `probabilities` and `truth` do not fit together or are not probabilities and types.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017.

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


def bootstrap(
    probabilities: np.ndarray,
    truth: np.ndarray,
    *,
    n_resamples: int,
    level: float,
    rng: np.random.Generator,
    patients: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """Return percentile bootstrap intervals of everything that `score` gives.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Predicted probabilities.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.
    n_resamples : int
        Number of resamples, at least 1.
    level : float
        Coverage, such as 0.95.
    rng : numpy.random.Generator
        Draws the resamples.
    patients : numpy.ndarray of shape (n_samples,), optional
        Patient of every sample. If given, patients are drawn instead of samples, each with all samples, since
        those of one patient are not independent.

    Returns
    -------
    dict of str to tuple of float
        (low, high) by metric. Macro means run over the types that a resample contains.

    Raises
    ------
    Refusal
        If the arrays do not fit together, or are not probabilities and types.

    References
    ----------
    Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).

    Examples
    --------
    >>> truth = np.array([0, 1, 2, 2])
    >>> bootstrap(np.eye(3)[truth], truth, n_resamples=9, level=0.9, rng=np.random.default_rng(0))["accuracy"]
    (1.0, 1.0)
    """
    probabilities, truth = _check(probabilities, truth)
    if patients is not None and len(patients) != len(truth):
        raise Refusal(
            f"Every sample must have a patient, but got {len(patients)} patients for {len(truth)} samples. "
            "Give one patient per sample."
        )
    unit = np.arange(len(truth)) if patients is None else np.unique(patients, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    columns = _columns(probabilities, truth)
    # A resample is a vector of how often each unit was drawn, and every score is a function of weighted sums:
    # so all resamples are one matrix product; in parts, lest the weights fill the memory.
    sums, n_drawn = [], []
    for n_now in _parts(n_resamples, max(1, _N_WEIGHTS_AT_ONCE // len(truth))):
        weights = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_now)[:, unit].astype(
            np.float64
        )
        sums.append(weights @ columns)
        n_drawn.append(weights.sum(axis=1))
    values = _score_sums(np.concatenate(sums), np.concatenate(n_drawn), probabilities.shape[1])
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = {name: np.quantile(value, tails) for name, value in values.items()}
    return {name: (float(low), float(high)) for name, (low, high) in bounds.items()}


def confusion(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count samples by true and predicted type.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Predicted probabilities.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.

    Returns
    -------
    numpy.ndarray of shape (n_types, n_types)
        Counts, true types in rows and predicted types in columns.

    Raises
    ------
    Refusal
        If the arrays do not fit together, or are not probabilities and types.

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
    """Return precision, recall and F1 of every tumour type.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Predicted probabilities.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.
    types : sequence of str
        Name of every column.

    Returns
    -------
    pandas.DataFrame of length n_types
        Columns type, n_samples (that truly have it), precision, recall, f1. A type that no sample has was not
        tested: its scores are NaN. The macro means of `score` are the means over the others.

    Raises
    ------
    Refusal
        If the arrays do not fit together, or are not probabilities and types.

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


def reliability(probabilities: np.ndarray, truth: np.ndarray, n_bins: int = _N_BINS) -> pd.DataFrame:
    """Return how often predictions of a given confidence are right: the reliability diagram.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (n_samples, n_types)
        Predicted probabilities.
    truth : numpy.ndarray of shape (n_samples,)
        True types, as columns of `probabilities`.
    n_bins : int
        Number of bins of equal width, (0, 1/n], (1/n, 2/n] and so on.

    Returns
    -------
    pandas.DataFrame
        Indexed by bin (from 0), empty ones left out; columns confidence (mean top probability), accuracy and
        n_samples.

    Raises
    ------
    Refusal
        If the arrays do not fit together, or are not probabilities and types.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017.

    Examples
    --------
    >>> table = reliability(np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), np.array([0, 1, 1]), n_bins=4)
    >>> table.round(2).to_dict("index")[3]
    {'confidence': 0.85, 'accuracy': 0.5, 'n_samples': 2}
    """
    probabilities, truth = _check(probabilities, truth)
    samples = pd.DataFrame(
        {
            "bin": _bin(probabilities, n_bins),
            "confidence": probabilities.max(axis=1),
            "right": probabilities.argmax(axis=1) == truth,
        }
    )
    return samples.groupby("bin").agg(
        confidence=("confidence", "mean"), accuracy=("right", "mean"), n_samples=("right", "size")
    )


def mcnemar(correct_a: np.ndarray, correct_b: np.ndarray) -> McNemar:
    """Test whether two models are equally often right on the same samples.

    Parameters
    ----------
    correct_a, correct_b : numpy.ndarray of shape (n_samples,)
        Whether each model got each sample right, samples in the same order.

    Returns
    -------
    McNemar
        Samples that only one got right, and the exact binomial p-value (1 if there is none).

    Raises
    ------
    Refusal
        If the arrays differ in length.

    References
    ----------
    McNemar: Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12, 1947. Dietterich: Approximate statistical tests for comparing supervised classification
    learning algorithms, Neural Computation 10, 1998.

    Examples
    --------
    >>> mcnemar(np.array([True, True, True, True]), np.array([False, False, False, True]))
    McNemar(only_a=3, only_b=0, p_value=0.25)
    """
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


def _parts(total: int, most: int) -> list[int]:
    """Split a number into parts of a given size and what remains."""
    return [most] * (total // most) + ([total % most] if total % most else [])


def _bin(probabilities: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the calibration bin of every sample, of shape (n_samples,)."""
    return np.clip(np.ceil(probabilities.max(axis=1) * n_bins).astype(np.intp) - 1, 0, n_bins - 1)


def _columns(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return what each sample adds to the sums of `_score_sums`: (n_samples, 3 n_types + n_bins + 1)."""
    n_samples, n_types = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    right = predicted == truth
    has_type, given_type = np.eye(n_types)[truth], np.eye(n_types)[predicted]
    overconfidence = np.zeros((n_samples, _N_BINS))
    overconfidence[np.arange(n_samples), _bin(probabilities, _N_BINS)] = probabilities.max(axis=1) - right
    loss = -np.log(np.maximum(probabilities[np.arange(n_samples), truth], SMALLEST_PROBABILITY))
    return np.hstack([has_type * right[:, None], has_type, given_type, overconfidence, loss[:, None]])


def _score_sums(sums: np.ndarray, n_samples: int | np.ndarray, n_types: int) -> dict[str, np.ndarray]:
    """Turn sums over samples (n_resamples, n_columns) into scores, each of shape (n_resamples,)."""
    n_right, n_true, n_given, overconfidence, loss = np.split(
        sums, [n_types, 2 * n_types, 3 * n_types, 3 * n_types + _N_BINS], axis=1
    )
    present = n_true > 0
    macro = {
        name: np.mean(rate, axis=1, where=present) for name, rate in _rates(n_right, n_true, n_given).items()
    }
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
