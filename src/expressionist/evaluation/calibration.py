"""Probabilities that mean something: temperature, reliability, and when to give no answer."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from expressionist.evaluation.metrics import score
from expressionist.evaluation.organ_systems import ABSTAIN, answer_by_organ

_LOG_RANGE = (-3.0, 3.0)
_N_BINS = 15


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Find the temperature of least log-loss: probabilities are softmax(logits / temperature).

    It moves no prediction, only the confidence in it, and is to be fitted on samples that the logits, of
    shape (n_samples, n_types), were not fitted on (Guo et al., ICML 2017). It lies between 0.05 and 20, above
    1 where the logits were too sure of themselves, and is 1 without samples. Its logarithm is held near 0 by
    a normal prior of spread 1: few samples, all of them right, would else make every probability 1.

    Examples
    --------
    >>> logits = np.array([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]] * 100)
    >>> temperature = fit_temperature(logits, np.array([0, 0, 0, 1] * 100))
    >>> round(float(1 / (1 + np.exp(-9 / temperature))), 2)
    0.75
    """
    if not len(truth):
        return 1.0
    logits, rows = np.asarray(logits, dtype=np.float64), np.arange(len(truth))

    def weigh(level: float) -> float:
        return float(level**2 / 2 - log_softmax(logits / np.exp(level), axis=1)[rows, truth].sum())

    return float(np.exp(minimize_scalar(weigh, bounds=_LOG_RANGE, method="bounded").x))


def fit_shares(logits: Sequence[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Find the shares, which add up to 1, by which the sum of classifiers' logits has the least log-loss.

    Their logarithms are held together by a normal prior of spread 1, so that few samples move them little.
    They are to be fitted on samples that the logits, each of shape (n_samples, n_types), were not fitted on,
    and are equal without samples. How sure the sum is of itself is the temperature's matter.

    Examples
    --------
    >>> right, wrong = np.eye(2)[[0, 1] * 50], np.eye(2)[[1, 0] * 50]
    >>> fit_shares([right, wrong], np.array([0, 1] * 50)).round(1).tolist()
    [0.7, 0.3]
    """
    stacked, rows = np.asarray(logits, dtype=np.float64), np.arange(len(truth))
    equal = np.full(len(stacked), -np.log(len(stacked)))
    if not len(truth):
        return np.exp(equal)

    def weigh(levels: np.ndarray) -> float:
        found = log_softmax(np.tensordot(np.exp(levels), stacked, 1), axis=1)[rows, truth]
        return float(((levels - levels.mean()) ** 2).sum() / 2 - found.sum())

    limits = [(low + equal[0], high + equal[0]) for low, high in [_LOG_RANGE] * len(stacked)]
    levels = minimize(weigh, equal, method="L-BFGS-B", bounds=limits).x
    return np.exp(levels) / np.exp(levels).sum()


def judge_probabilities(
    logits: np.ndarray,
    temperature: float,
    truth: np.ndarray,
    validation: np.ndarray,
    unlike: np.ndarray,
    accuracy: float,
    organ_systems: Sequence[str],
) -> dict[str, Any]:
    """Say what the probabilities are worth, before and after scaling, and choose when to abstain.

    The samples are those for `validation`, where that is true, and for test. On the former the confidence is
    set below which no answer is given, so that answers reach the wanted `accuracy`. Where `unlike` is true
    none is given either, whatever the confidence. `organ_systems` are those of the types: by them some of
    what is not answered can be.
    """
    before, after = softmax(logits, axis=1), softmax(logits / temperature, axis=1)
    threshold = choose_threshold(after[validation], truth[validation], accuracy)
    facts: dict[str, Any] = {"temperature": temperature, "abstain_below": threshold}
    for subset, chosen in (("validation", validation), ("test", ~validation)):
        raw, scaled, true = before[chosen], after[chosen], truth[chosen]
        raw_scores, scores = score(raw, true), score(scaled, true)
        answered = (scaled.max(axis=1) >= threshold) & ~unlike[chosen]
        right, left = scaled.argmax(axis=1) == true, ~answered & ~unlike[chosen]
        facts[subset] = {
            "n_samples": int(chosen.sum()),
            "ece_before": raw_scores["ece"],
            "ece_after": scores["ece"],
            "log_loss_before": raw_scores["log_loss"],
            "log_loss_after": scores["log_loss"],
            "answered": float(answered.mean()),
            "answered_accuracy": float(right[answered].mean()) if answered.any() else None,
            "n_unlike": int(unlike[chosen].sum()),
            "by_organ_system": _count_by_organ(scaled[left], true[left], organ_systems, threshold),
            "reliability_before": bin_reliability(raw, true, _N_BINS).to_dict("list"),
            "reliability_after": bin_reliability(scaled, true, _N_BINS).to_dict("list"),
        }
    facts["coverage"] = trace_coverage(after[~validation], truth[~validation]).to_dict("list")
    return facts


def _count_by_organ(
    probabilities: np.ndarray, truth: np.ndarray, organ_systems: Sequence[str], threshold: float
) -> dict[str, int]:
    """Count samples too uncertain to name a type: all, those answered by organ system, those rightly."""
    found = answer_by_organ(probabilities, organ_systems, organ_systems, threshold)
    given = (found["answer"] != ABSTAIN).to_numpy()
    right = given & (found["organ_system"].to_numpy() == np.asarray(organ_systems, dtype=object)[truth])
    return {"n_uncertain": len(given), "n_answered": int(given.sum()), "n_right": int(right.sum())}


def flatten_facts(facts: dict[str, Any]) -> dict[str, float]:
    """Give what is worth following from version to version, of these facts and of novelty, flat names."""
    flat = {name: facts[name] for name in ("temperature", "abstain_below")}
    names = ("ece_before", "ece_after", "answered", "answered_accuracy")
    flat |= {name: facts["test"][name] for name in names if facts["test"][name] is not None}
    return flat | {f"flagged_{name}": n / total for name, (n, total) in facts["flagged"].items() if total}


def bin_reliability(probabilities: np.ndarray, truth: np.ndarray, n_bins: int) -> pd.DataFrame:
    """Compare confidence with the share of right predictions, the least confident bin first.

    Bins hold equally many samples (Nixon et al., CVPR workshops 2019), and there are no more than samples.
    """
    confidence, right = _rank(probabilities, truth)
    # From the most confident to the least, as `_rank` gives them; shown the other way round.
    bins = [part for part in np.array_split(np.arange(len(confidence))[::-1], n_bins) if len(part)]
    means = [(float(confidence[part].mean()), float(right[part].mean()), len(part)) for part in bins]
    return pd.DataFrame(means, columns=["confidence", "share_right", "n_samples"])


def trace_coverage(probabilities: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    """Return share and accuracy of samples answered (El-Yaniv, Wiener, JMLR 11, 2010), surest first."""
    confidence, right = _rank(probabilities, truth)
    answered = np.arange(1, len(confidence) + 1)
    coverage, accuracy = answered / len(confidence), np.cumsum(right) / answered
    curve = pd.DataFrame({"threshold": confidence, "coverage": coverage, "accuracy": accuracy})
    return curve.drop_duplicates("threshold", keep="last").reset_index(drop=True)


def choose_threshold(probabilities: np.ndarray, truth: np.ndarray, accuracy: float) -> float:
    """Choose the lowest confidence, of those of the samples, that reaches an accuracy; 1 if none does."""
    curve = trace_coverage(probabilities, truth)
    enough = curve[curve["accuracy"] >= accuracy]
    # Even where all may be answered, what is less sure than each of these was tried on none.
    return 1.0 if enough.empty else float(enough["threshold"].iloc[-1])


def format_threshold(probability: float) -> str:
    """Write a threshold in per cent: never above what it is, and not as 100% where it lies below.

    >>> format_threshold(0.7961), format_threshold(0.99998), format_threshold(1.0)
    ('79.6%', '99.998%', '100.0%')
    """
    below = 1 - probability
    digits = max(1, math.ceil(-math.log10(below)) - 2) if below > 0 else 1
    scale = 10**digits
    return f"{math.floor(100 * probability * scale + 1e-6) / scale:.{digits}f}%"


def _rank(probabilities: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence, and whether the prediction is right, from the most confident sample to the least."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    order = np.argsort(-confidence, kind="stable")
    return confidence[order], right[order]
