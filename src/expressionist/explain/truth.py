"""Rankings judged by a simulator's truth: every gene that it raised in a type, graded by how far."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from expressionist.errors import Refusal
from expressionist.explain.markers import order_hits

_N_TOP = (10, 20, 50, 100, 200)
_LEAST = (0.5, 1.0, 2.0)
_COLUMNS = "tumour_type ranking truth n_true chance average_precision n_top n_found precision recall".split()


def judge_truth(
    rankings: Mapping[str, np.ndarray],
    effect: np.ndarray,
    planted: Mapping[str, np.ndarray],
    types: Mapping[int, str],
) -> pd.DataFrame:
    """Judge rankings by the genes that were planted in a type, and by all that were raised in it.

    Parameters
    ----------
    rankings : mapping of str to numpy.ndarray of shape (n_types, n_genes)
        Scores, higher for what speaks more for a type; types where they are not finite are left out. Of equal
        scores, what is to be found is ranked last.
    effect : numpy.ndarray of shape (n_types, n_genes)
        How much more log2 a gene truly has in a type than in all others.
    planted : mapping of str to numpy.ndarray
        Tumour type → positions of the markers planted in it, as of `match_markers`; none where it is missing.
    types : mapping of int to str
        The rows that are judged, and their tumour types.

    Returns
    -------
    pandas.DataFrame
        A row per ``tumour_type``, ``ranking``, ``truth`` and ``n_top``, the number of genes ranked first that
        are looked at: 10, 20, 50, 100, 200, or all if there are fewer. The truth is ``planted``,
        ``raised_0.5``, ``raised_1`` or ``raised_2``: genes raised by at least so much, planted or not. Of its
        ``n_true`` genes ``n_found`` are among the first: ``precision`` of `n_top`, ``recall`` of `n_true`.
        ``chance`` is the precision of genes drawn at random, ``average_precision`` the mean over the true
        genes of the precision where each stands, the same for every `n_top`. NaN where nothing is true.

    Raises
    ------
    Refusal
        If a ranking has other genes than the truth.
    """
    rows = []
    for place, name in types.items():
        truths = _list_truths(effect[place], planted.get(name, np.array([], np.intp)))
        for ranking, scores in rankings.items():
            if scores.shape != effect.shape:
                raise Refusal(
                    f"The truth must be of the types and genes of a ranking, {scores.shape}, but got "
                    f"{effect.shape} for {ranking}. Take the truth of the genes ranked."
                )
            for truth, is_true in truths.items() if np.isfinite(scores[place]).all() else ():
                hits = order_hits(scores[place], is_true)
                rows += [(name, ranking, truth, *judged) for judged in _judge(hits)]
    return pd.DataFrame(rows, columns=_COLUMNS)


def _list_truths(effect: np.ndarray, planted: np.ndarray) -> dict[str, np.ndarray]:
    """Mark the genes that each truth holds of one type."""
    raised = {f"raised_{least:g}": effect >= least for least in _LEAST}
    return {"planted": np.isin(np.arange(len(effect)), planted), **raised}


def _judge(hits: np.ndarray) -> list[tuple[float, ...]]:
    """Count hits among the first of a ranking: `_COLUMNS` from ``n_true`` on, a row per number of genes."""
    found = np.cumsum(hits)
    n_genes, n_true = len(hits), int(found[-1])
    precision = found / np.arange(1, n_genes + 1)
    average = precision[hits].mean() if n_true else np.nan
    rows: list[tuple[float, ...]] = []
    for n_top in np.unique(np.minimum(_N_TOP, n_genes)):
        n_found = found[n_top - 1]
        recall = n_found / n_true if n_true else np.nan
        rows.append((n_true, n_true / n_genes, average, n_top, n_found, precision[n_top - 1], recall))
    return rows


def average_over_types(judged: pd.DataFrame, *, n_resamples: int, level: float, seed: int) -> pd.DataFrame:
    """Average what `judge_truth` returns over the types, with percentile bootstrap intervals.

    Parameters
    ----------
    judged : pandas.DataFrame
        As `judge_truth` returns it.
    n_resamples, level, seed : int, float, int
        Of the bootstrap: types are drawn, the same for all rankings.

    Returns
    -------
    pandas.DataFrame
        A row per ``ranking``, ``truth`` and ``n_top``, in the order in which they came, with the means
        ``n_true``, ``chance``, ``precision``, ``recall`` and ``average_precision``; the last three also with
        ``_low`` and ``_high``. Types where they are NaN are left out of them.
    """
    keys, scores = ["ranking", "truth", "n_top"], ["precision", "recall", "average_precision"]
    order = pd.MultiIndex.from_frame(judged[keys].drop_duplicates())
    means = judged.groupby(keys)[["n_true", "chance", *scores]].mean().loc[order]
    n_types = judged["tumour_type"].nunique()
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_types, np.full(n_types, 1 / n_types), size=n_resamples)
    for score in scores:
        by_type = judged.pivot(index="tumour_type", columns=keys, values=score)[order].to_numpy(float)
        known = np.isfinite(by_type)
        with np.errstate(invalid="ignore"):  # nothing is known of any of the types drawn
            resampled = drawn @ np.where(known, by_type, 0) / (drawn @ known)
        tails = pd.DataFrame(resampled).quantile([(1 - level) / 2, (1 + level) / 2])
        means[f"{score}_low"], means[f"{score}_high"] = tails.to_numpy()
    return means.reset_index()
