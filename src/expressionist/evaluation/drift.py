"""Drift: whether what a version is asked, and answers, is still like its own samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, fisher_exact, mannwhitneyu

# Fewer predictions say too little to claim anything.
FEWEST = 30
# More days than that are shown by weeks.
_MOST_DAYS = 21
_N_DRAWS = 9_999
_SHARES = ("abstain", "unlike_training", "missing")


@dataclass(frozen=True, eq=False)
class OwnSamples:
    """What a version keeps of its own samples.

    `answers` have ``predicted`` and ``probability`` of every test sample, `n_flagged` of them are flagged as
    unlike the training samples (None in a version that does not say), answers below `abstain_below` are none,
    and `trained` counts training samples by type. None of them lacks a gene.
    """

    answers: pd.DataFrame
    n_flagged: int | None
    abstain_below: float
    trained: Mapping[str, int]

    @property
    def marks(self) -> dict[str, tuple[int, int]]:
        """How many of how many test samples have each mark, where that is known."""
        n = len(self.answers)
        found = {"abstain": (int((self.answers["probability"] < self.abstain_below).sum()), n)}
        if self.n_flagged is not None:
            found["unlike_training"] = self.n_flagged, n
        return found | {"missing": (0, n)}


def judge_drift(log: pd.DataFrame, own: OwnSamples, *, level: float, seed: int) -> dict[str, Any]:
    """Compare logged predictions with a version's own samples, as a whole and by day or week.

    Shares are tested by Fisher's exact test and probabilities by Mann and Whitney's, against test samples;
    the types predicted by permutation of the chi-squared statistic, against training samples. A test counts
    as shifted if its p-value, times the number of tests (Bonferroni), is below 1 less the level.

    Parameters
    ----------
    log : pandas.DataFrame of length n_samples
        ``time`` (UTC), ``tumour_type``, ``probability``, ``abstain``, ``unlike_training``,
        ``n_missing_genes``; of one version.
    own : OwnSamples
        What to compare with.
    level : float
        Of intervals (Wilson's) and tests, such as 0.95.
    seed : int
        Of the permutations.

    Returns
    -------
    dict
        ``by`` (``day`` or ``week``), ``fewest``, ``own``, ``all`` and ``bins``: a row each with ``begin``,
        ``n_samples``, a share with its interval per mark, quartiles of the ``probability`` and median and
        maximum of ``n_missing_genes``; ``types``: a row per type with its shares and counts; ``tests``: a row
        each with ``begin`` (None: of all), ``measure``, ``p_value`` as adjusted, and ``shifted``.
    """
    log = log.assign(missing=log["n_missing_genes"] > 0)
    days = log["time"].dt.tz_convert("UTC").dt.tz_localize(None).dt.normalize()
    by = "day" if (days.max() - days.min()).days < _MOST_DAYS else "week"
    begins = days if by == "day" else days - pd.to_timedelta(days.dt.dayofweek, unit="D")
    parts = {f"{begin:%Y-%m-%d}": rows for begin, rows in log.groupby(begins)}
    rng = np.random.default_rng(seed)
    tests = _test(None, log, own, rng)
    # A single bin is all there is.
    for begin, rows in parts.items() if len(parts) > 1 else ():
        tests += _test(begin, rows, own, rng)
    for test in tests:
        test["p_value"] = min(1.0, test["p_value"] * len(tests))
        test["shifted"] = test["p_value"] < 1 - level
    return {
        "by": by,
        "fewest": FEWEST,
        "own": _describe_own(own, level),
        "all": _describe(None, log, level),
        "bins": [_describe(begin, rows, level) for begin, rows in parts.items()],
        "types": _count_types(log, own),
        "tests": tests,
    }


def _describe(begin: str | None, rows: pd.DataFrame, level: float) -> dict[str, Any]:
    found: dict[str, Any] = {"begin": begin, "n_samples": len(rows)}
    for mark in _SHARES:
        found |= _bound(mark, int(rows[mark].sum()), len(rows), level)
    missing = rows["n_missing_genes"]
    found |= _find_quartiles(rows["probability"])
    return found | {"n_missing_median": float(missing.median()), "n_missing_most": int(missing.max())}


def _describe_own(own: OwnSamples, level: float) -> dict[str, Any]:
    found: dict[str, Any] = {"n_samples": len(own.answers), "n_trained": sum(own.trained.values())}
    for mark, (n, total) in own.marks.items():
        found |= _bound(mark, n, total, level)
    return found | _find_quartiles(own.answers["probability"])


def _bound(mark: str, n: int, total: int, level: float) -> dict[str, float]:
    low, high = binomtest(n, total).proportion_ci(level, method="wilson")
    return {mark: n / total, f"{mark}_low": float(low), f"{mark}_high": float(high)}


def _find_quartiles(probability: pd.Series) -> dict[str, float]:
    low, middle, high = np.quantile(probability, [0.25, 0.5, 0.75]).tolist()
    return {"probability": middle, "probability_low": low, "probability_high": high}


def _test(
    begin: str | None, rows: pd.DataFrame, own: OwnSamples, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Test every measure on some predictions, if they are enough."""
    if len(rows) < FEWEST:
        return []
    n = len(rows)
    found = {}
    for mark, (n_own, total) in own.marks.items():
        here = int(rows[mark].sum())
        found[mark] = float(fisher_exact([[here, n - here], [n_own, total - n_own]]).pvalue)
    found["probability"] = float(mannwhitneyu(rows["probability"], own.answers["probability"]).pvalue)
    types = rows["tumour_type"].value_counts().reindex(list(own.trained), fill_value=0)
    found["types"] = _permute(types.to_numpy(), np.array(list(own.trained.values())), rng)
    return [{"begin": begin, "measure": name, "p_value": p_value} for name, p_value in found.items()]


def _permute(here: np.ndarray, trained: np.ndarray, rng: np.random.Generator) -> float:
    """Give the p-value of two rows of counts being drawn from one urn."""
    both = here + trained
    draws = rng.multivariate_hypergeometric(both, here.sum(), size=_N_DRAWS)
    expected = np.maximum(both * here.sum() / both.sum(), 1e-12)
    off, drawn_off = (np.square(each - expected) / expected for each in (here, draws))
    n_as_far = int((drawn_off.sum(axis=1) >= off.sum() * (1 - 1e-9)).sum())
    return (1 + n_as_far) / (1 + _N_DRAWS)


def _count_types(log: pd.DataFrame, own: OwnSamples) -> list[dict[str, Any]]:
    """Count the types predicted here and those of training samples, the most shifted first."""
    here = log["tumour_type"].value_counts()
    n_trained = sum(own.trained.values())
    rows = [
        {
            "type": name,
            "n_samples": int(here.get(name, 0)),
            "share": float(here.get(name, 0)) / len(log),
            "n_trained": n,
            "trained": n / n_trained,
        }
        for name, n in own.trained.items()
    ]
    return sorted(rows, key=lambda row: -abs(row["share"] - row["trained"]))
