"""How much scores move from split to split, and whether one model leads another in spite of it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import t as student

METRICS = ("accuracy", "f1_macro", "precision_macro", "balanced_accuracy", "log_loss", "ece")
# Those whose spread is told.
SPREAD = ("accuracy", "f1_macro")
_DIGITS = 8


def choose_rivals(scores: pd.DataFrame, opponents: Sequence[str]) -> pd.DataFrame:
    """Take, of every split, the opponent with the best macro-F1 on that split's validation samples.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns ``repeat``, ``model``, ``validation_f1_macro`` and the metrics on test samples.
    opponents : sequence of str
        Of equals the first of them is taken.

    Returns
    -------
    pandas.DataFrame of length n_splits
        Their rows, indexed by repeat.

    Examples
    --------
    >>> keys = ["repeat", "model", "validation_f1_macro"]
    >>> scores = pd.DataFrame([(1, "a", 0.8), (1, "b", 0.9), (2, "a", 0.7), (2, "b", 0.7)], columns=keys)
    >>> choose_rivals(scores, ["a", "b"])["model"].tolist()
    ['b', 'a']
    """
    among = scores.set_index("model").loc[list(opponents)].reset_index()
    best = among.groupby("repeat")["validation_f1_macro"].idxmax()
    return among.loc[best].set_index("repeat")


def summarise(scores: pd.DataFrame, opponents: Sequence[str]) -> pd.DataFrame:
    """Give every model the mean and spread of its scores, and of its lead over the best opponent of a split.

    Splits of one cohort share most of their training samples, so that their scores are no independent draws.
    The p-value is that of the corrected resampled t-test, which makes up for it with a variance that does not
    fall below n_test / n_train of that between splits, however many there are.

    Parameters
    ----------
    scores : pandas.DataFrame of length n_splits * n_models
        As for `choose_rivals`, with ``n_train`` and ``n_test``; every model on the same two splits or more.
    opponents : sequence of str
        Models that a lead is measured against, chosen split by split on validation samples.

    Returns
    -------
    pandas.DataFrame of length n_models
        Indexed by model, in the order of their first rows: ``n_splits``; of every metric in `SPREAD` the
        ``_mean`` and ``_sd`` (n - 1), ``_lead_mean``, ``_lead_sd`` and ``_lead_p_value``, which is NaN where
        the lead is the same in all splits.

    References
    ----------
    Nadeau, Bengio: Inference for the Generalization Error, Machine Learning 52:239 (2003).

    Examples
    --------
    >>> scores = pd.DataFrame({"repeat": [1, 1, 2, 2], "model": ["net", "svm"] * 2, "n_train": 80})
    >>> scores = scores.assign(n_test=10, validation_f1_macro=1, f1_macro=1, accuracy=[0.9, 0.8, 0.8, 0.8])
    >>> summarise(scores, ["svm"]).loc["net", ["accuracy_mean", "accuracy_lead_mean"]].round(3).tolist()
    [0.85, 0.05]
    """
    rivals = choose_rivals(scores, opponents)
    ratio = float((scores["n_test"] / scores["n_train"]).mean())
    rows = {}
    for model, own in scores.groupby("model", sort=False):
        own = own.set_index("repeat")
        facts: dict[str, float] = {"n_splits": len(own)}
        for metric in SPREAD:
            # A table keeps nine digits; what is equal but for them must not pass for a lead.
            lead = (own[metric] - rivals[metric]).round(_DIGITS)
            facts[f"{metric}_mean"], facts[f"{metric}_sd"] = own[metric].mean(), own[metric].std(ddof=1)
            facts[f"{metric}_lead_mean"] = round(float(lead.mean()), _DIGITS) + 0.0  # no minus before a zero
            facts[f"{metric}_lead_sd"] = lead.std(ddof=1)
            facts[f"{metric}_lead_p_value"] = correct_p_value(lead.to_numpy(), ratio)
        rows[model] = facts
    return pd.DataFrame.from_dict(rows, orient="index").astype({"n_splits": int})


def correct_p_value(leads: np.ndarray, ratio: float) -> float:
    """Test whether leads are 0 on average, by the corrected resampled t-test of Nadeau and Bengio (2003).

    Parameters
    ----------
    leads : numpy.ndarray of shape (n_splits,)
        Differences of two models' scores on the same splits; two or more.
    ratio : float
        Number of test samples by that of training samples.

    Returns
    -------
    float
        Two-sided; NaN where all leads are the same, so that there is no spread to hold them against.

    Examples
    --------
    >>> leads = np.array([0.01, 0.02, 0.03, 0.02])
    >>> round(correct_p_value(leads, 0.0), 4), round(correct_p_value(leads, 0.125), 4)
    (0.0163, 0.028)
    """
    variance = leads.var(ddof=1)
    if variance < np.finfo(float).eps ** 2:
        return float("nan")
    statistic = leads.mean() / np.sqrt((1 / len(leads) + ratio) * variance)
    return float(2 * student.sf(abs(statistic), df=len(leads) - 1))
