"""Two models on the same test samples: how far one leads in macro-F1, and the doubt about that."""

import numpy as np
import pandas as pd

from expressionist.errors import Refusal


def compare_answers(
    ours: pd.DataFrame, theirs: pd.DataFrame, *, level: float, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Say how far one model leads another in macro-F1, with a paired percentile bootstrap interval.

    Parameters
    ----------
    ours, theirs : pandas.DataFrame of length n_samples
        Indexed by sample, in any order: ``patient``, ``tumour_type`` and ``predicted``.
    level : float
        Of the interval, such as 0.95.
    n_resamples : int
        Of the patients, who are drawn with all their samples, the same for both models (Efron, Tibshirani
        1993).
    rng : numpy.random.Generator
        What draws.

    Returns
    -------
    lead, low, high : float
        Macro-F1 of the first less that of the second. Macro means run over the types of a resample.

    Raises
    ------
    Refusal
        If the samples, or their types, are not the same.
    """
    theirs = theirs.reindex(ours.index)
    if len(ours) == 0 or not ours["tumour_type"].equals(theirs["tumour_type"]):
        raise Refusal(
            f"Models must be compared on the same samples, but got {len(ours)} with other names or types. "
            "Test both on one split."
        )
    unit, patients = pd.factorize(ours["patient"])
    n_units, shares = len(patients), np.full(len(patients), 1 / len(patients))
    drawn = rng.multinomial(n_units, shares, size=n_resamples)
    # The first row is the samples as they are.
    weights = np.vstack([np.ones(n_units), drawn])[:, unit]
    lead = _score(ours, weights) - _score(theirs, weights)
    low, high = np.quantile(lead[1:], [(1 - level) / 2, (1 + level) / 2])
    return float(lead[0]), float(low), float(high)


def _score(answers: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    """Score macro-F1 for every row of weights, of shape (n_rows, n_samples)."""
    truth, predicted = (pd.get_dummies(answers[name]) for name in ("tumour_type", "predicted"))
    given = predicted.reindex(columns=truth.columns, fill_value=False).to_numpy(float)
    true = truth.to_numpy(float)
    n_right, n_true, n_given = (weights @ part for part in (true * given, true, given))
    f1 = 2 * n_right / np.maximum(n_true + n_given, 1)
    return np.mean(f1, axis=1, where=n_true > 0)
