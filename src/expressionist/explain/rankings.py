"""Genes ranked by tumour type: what they are ranked by, which come first, and how far a ranking holds."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from expressionist.errors import CohortError
from expressionist.explain.markers import match_markers, recover_own, recovery_matrix
from expressionist.painting import Layout

# What the tables and the gene sets are of; absence is a ranking of its own.
TESTED, ABSENT = "integrated_gradients", "integrated_gradients_low"


def fold_change(log2: np.ndarray, types: np.ndarray, *, n_types: int) -> np.ndarray:
    """Return how much more log2 each type (row) has of a gene than all others, NaN if one side is empty."""
    inside, outside = _summarise(log2, types, n_types)
    return inside[0] - outside[0]


def t_statistic(log2: np.ndarray, types: np.ndarray, *, n_types: int) -> np.ndarray:
    """Return Welch's t of each type (row) against all others; NaN if a side has fewer than two samples."""
    (mean, variance, n), (other_mean, other_variance, n_other) = _summarise(log2, types, n_types)
    error = np.sqrt(variance / n + other_variance / n_other)
    with np.errstate(invalid="ignore"):
        t = (mean - other_mean) / np.where(error > 0, error, np.inf)
    return np.where((n > 1) & (n_other > 1), t, np.nan)


def _summarise(
    log2: np.ndarray, types: np.ndarray, n_types: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Give mean, variance and number of samples of each type, and of all others; NaN where there are none."""
    if log2.ndim != 2 or len(log2) != len(types):
        raise CohortError(
            f"Expression must be (n_samples, n_genes) with a type per sample, but got {log2.shape} and "
            f"{types.shape}. Give the types of these samples."
        )
    groups = [log2[types == number] for number in range(n_types)]
    sums = np.stack([each.sum(axis=0, dtype=np.float64) for each in groups])
    squares = np.stack([np.square(each, dtype=np.float64).sum(axis=0) for each in groups])
    n = np.bincount(types, minlength=n_types)[:, None].astype(np.float64)

    def describe(sums: np.ndarray, squares: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, ...]:
        n = np.where(n > 0, n, np.nan)
        mean = sums / n
        return mean, np.maximum(squares - n * mean**2, 0) / np.maximum(n - 1, 1), n

    return describe(sums, squares, n), describe(
        sums.sum(axis=0) - sums, squares.sum(axis=0) - squares, len(log2) - n
    )


def mean_by_type(values: np.ndarray, types: np.ndarray, n_types: int) -> np.ndarray:
    """Average rows by type, of shape (n_types, n_genes); NaN where a type has none."""
    means = np.full((n_types, values.shape[1]), np.nan, np.float32)
    for place in np.unique(types):
        means[place] = values[types == place].mean(axis=0)
    return means


def rank_types(
    values: np.ndarray, away: np.ndarray, targets: np.ndarray, n_types: int
) -> tuple[np.ndarray, np.ndarray]:
    """Score genes by how much they mark a type to the network: by being high, and by being low.

    The score is the mean attribution over the type's samples minus the mean over types: a gene that speaks
    for every type marks none.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_samples, n_genes)
        Attributions, each sample's to its own type.
    away : numpy.ndarray of shape (n_samples, n_genes)
        How far the expression lies above the reference of the attributions.
    targets : numpy.ndarray of shape (n_samples,)
        Types of the samples.
    n_types : int
        Number of types.

    Returns
    -------
    tuple of two numpy.ndarray of shape (n_types, n_genes)
        Of presence and of absence. Genes that lie on the other side of the reference in the mean of a type
        come after all others; types without a sample are NaN.
    """
    means, above = (mean_by_type(each, targets, n_types) for each in (values, away))
    scores = means - np.nanmean(means, axis=0)
    last = scores - np.ptp(scores, axis=1, keepdims=True) - 1
    return np.where(above > 0, scores, last), np.where(above < 0, scores, last)


def compare_halves(
    values: np.ndarray,
    away: np.ndarray,
    targets: np.ndarray,
    n_types: int,
    n_top: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Count the genes that the rankings of two halves of a type's samples share rank first: (n_types,).

    The arguments are those of `rank_types`; a type with one sample is NaN.
    """
    order = rng.permutation(len(targets))
    seen = np.empty(len(targets), int)
    for place in np.unique(targets):
        rows = order[targets[order] == place]
        seen[rows] = np.arange(len(rows))
    halves = (
        [
            rank_types(values[rows], away[rows], targets[rows], n_types)[0]
            for rows in (np.flatnonzero(seen % 2 == side) for side in (0, 1))
        ]
        if len(targets) > len(np.unique(targets))
        else [np.full((n_types, values.shape[1]), np.nan)] * 2
    )
    return count_shared(*halves, n_top=n_top)


def count_shared(first: np.ndarray, second: np.ndarray, *, n_top: int) -> np.ndarray:
    """Count the genes that both rankings of a type have in front: (n_types,), NaN if one has none."""
    shared = np.full(len(first), np.nan)
    for place, rows in enumerate(zip(first, second, strict=True)):
        if all(np.isfinite(row).all() for row in rows):
            one, other = (np.argsort(-row, kind="stable")[:n_top] for row in rows)
            shared[place] = len(np.intersect1d(one, other))
    return shared


def tabulate_rankings(
    rankings: Mapping[str, np.ndarray],
    values: np.ndarray,
    targets: np.ndarray,
    tumour_types: Sequence[str],
    genes: pd.DataFrame,
    layout: Layout,
    n_top: int,
    merged: Mapping[str, Sequence[str]],
) -> dict[str, pd.DataFrame]:
    """Tabulate the first genes of the types ranked, and the markers among those of each and of the others.

    `values` are attributions by sample, `targets` their types; `genes` are in the order of the `layout`.
    """
    markers = match_markers(genes, merged)
    shown = {place: tumour_types[place] for place in np.unique(targets)}
    own = {name: markers.get(name, np.array([], np.intp)) for name in shown.values()}
    top = [
        _list_top_genes(rankings, place, values[targets == place], genes, layout, own[name], n_top)
        for place, name in shown.items()
    ]
    judged = {name: scores for name, scores in rankings.items() if name != ABSENT}
    return {
        "top_genes": pd.concat(top, keys=[*own], names=["tumour_type"]).reset_index("tumour_type"),
        "recovery": recover_own(judged, shown, own, n_top=n_top),
        "recovery_matrix": recovery_matrix(rankings[TESTED][list(shown)], [*own], own, n_top=n_top),
    }


def _list_top_genes(
    rankings: Mapping[str, np.ndarray],
    place: int,
    values: np.ndarray,
    genes: pd.DataFrame,
    layout: Layout,
    markers: np.ndarray,
    n_top: int,
) -> pd.DataFrame:
    """List the genes that mark a type by being high, and half as many that do by being low."""
    parts = []
    for ranking, speaks, n in ((TESTED, "high", n_top), (ABSENT, "low", -(-n_top // 2))):
        scores = rankings[ranking][place]
        chosen = np.argsort(-scores, kind="stable")[:n]
        facts = {
            "gene": layout.genes[chosen],
            "symbol": genes["symbol"].to_numpy()[chosen],
            "speaks_by_being": speaks,
            "score": scores[chosen],
            "attribution": values[:, chosen].mean(axis=0),
            "n_samples": len(values),
            "share_positive": (values[:, chosen] > 0).mean(axis=0),
            "log2_fold_change": rankings["fold_change"][place, chosen],
            "marker": np.isin(chosen, markers),
            "row": layout.row[chosen],
            "column": layout.column[chosen],
        }
        parts.append(pd.DataFrame(facts))
    return pd.concat(parts, ignore_index=True)
