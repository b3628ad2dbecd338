"""Faithfulness: what a prediction loses with the genes that an explanation names, and what they give."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

_N_GENES = (20, 50, 100, 300)


def replace_genes(
    predict: Callable[[np.ndarray], np.ndarray],
    samples: np.ndarray,
    others: np.ndarray,
    targets: np.ndarray,
    orders: Mapping[str, np.ndarray],
    *,
    on_progress: Callable[[int], object] = lambda _: None,
) -> pd.DataFrame:
    """Replace the first genes of each sample by those of another, and the other way round.

    Parameters
    ----------
    predict : callable
        Scaled expression (n_samples, n_genes) → probabilities (n_samples, n_types).
    samples, others : numpy.ndarray of shape (n_samples, n_genes)
        What is explained, and what stands for each without its genes. Others must not be the reference that
        attributions start from, which would favour these: take samples of other types.
    targets : numpy.ndarray of shape (n_samples,)
        Types whose probability is followed.
    orders : mapping of str to numpy.ndarray of shape (n_samples, n_genes)
        Positions of genes, the first to be replaced in front.
    on_progress : callable
        Told how many samples were predicted.

    Returns
    -------
    pandas.DataFrame
        A row per ``curve`` (``deletion``: the sample loses its first genes; ``insertion``: the other gets
        them), ``order``, ``n_genes`` (0, 20, 50, 100, 300) and ``sample`` (its row), with
        ``probability``.
    """
    rows = np.arange(len(samples))
    counts = [n for n in _N_GENES if n < samples.shape[1]]
    starts = {"deletion": (samples, others), "insertion": (others, samples)}
    found = []
    for curve, (whole, source) in starts.items():
        untouched = predict(whole)[rows, targets]
        on_progress(len(samples))
        for order, places in orders.items():
            given = whole.copy()
            curves = [untouched]
            for before, after in zip([0, *counts], counts, strict=False):
                moved = places[:, before:after]
                np.put_along_axis(given, moved, np.take_along_axis(source, moved, axis=1), axis=1)
                curves.append(predict(given)[rows, targets])
                on_progress(len(samples))
            found += [
                pd.DataFrame(
                    {"curve": curve, "order": order, "n_genes": n, "sample": rows, "probability": values}
                )
                for n, values in zip([0, *counts], curves, strict=True)
            ]
    return pd.concat(found, ignore_index=True)


def average_curves(curves: pd.DataFrame, *, n_resamples: int, level: float, seed: int) -> pd.DataFrame:
    """Average what `replace_genes` returns over the samples, with percentile bootstrap intervals.

    Parameters
    ----------
    curves : pandas.DataFrame
        As `replace_genes` returns it.
    n_resamples, level, seed : int, float, int
        Of the bootstrap: samples are drawn, the same for all curves.

    Returns
    -------
    pandas.DataFrame
        A row per ``curve``, ``order`` and ``n_genes``, with ``probability``, ``low`` and ``high``.
    """
    keys = ["curve", "order", "n_genes"]
    by_sample = curves.pivot(index=keys, columns="sample", values="probability")
    n_samples = by_sample.shape[1]
    drawn = np.random.default_rng(seed).multinomial(n_samples, np.full(n_samples, 1 / n_samples), n_resamples)
    resampled = by_sample.to_numpy() @ drawn.T / n_samples
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=1)
    means = by_sample.mean(axis=1).rename("probability").to_frame().assign(low=low, high=high)
    return means.loc[pd.MultiIndex.from_frame(curves[keys].drop_duplicates())].reset_index()
