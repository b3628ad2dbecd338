"""Genes ranked by tumour type: what they are ranked by, and which come first and last."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from expressionist.errors import CohortError
from expressionist.explain.markers import match_markers, recover_own, recovery_matrix
from expressionist.painting import Layout


def fold_change(log2: np.ndarray, types: np.ndarray, *, n_types: int) -> np.ndarray:
    """Return how much more log2 each type (row) has of a gene than all others, NaN if one side is empty."""
    if log2.ndim != 2 or len(log2) != len(types):
        raise CohortError(
            f"Expression must be (n_samples, n_genes) with a type per sample, but got {log2.shape} and "
            f"{types.shape}. Give the types of these samples."
        )
    sums = np.stack([log2[types == number].sum(axis=0, dtype=np.float64) for number in range(n_types)])
    n_samples = np.bincount(types, minlength=n_types)[:, None]
    defined = (n_samples > 0) & (n_samples < len(types))
    inside = sums / np.maximum(n_samples, 1)
    outside = (sums.sum(axis=0) - sums) / np.maximum(len(types) - n_samples, 1)
    return np.where(defined, inside - outside, np.nan)


def mean_by_type(values: np.ndarray, types: np.ndarray, n_types: int) -> np.ndarray:
    """Average rows by type, of shape (n_types, n_genes); NaN where a type has none."""
    means = np.full((n_types, values.shape[1]), np.nan, np.float32)
    for place in np.unique(types):
        means[place] = values[types == place].mean(axis=0)
    return means


def rank_genes(
    values: Mapping[str, np.ndarray], targets: np.ndarray, log2: np.ndarray, types: np.ndarray, n_types: int
) -> dict[str, np.ndarray]:
    """Rank genes by attributions and, beside the controls, by fold change: each of shape (n_types, n_genes).

    The attributions are of samples of the types `targets`; `log2` and `types` are those of training samples.
    """
    return {
        "integrated_gradients": mean_by_type(values["mean"], targets, n_types),
        "zero_reference": mean_by_type(values["zero"], targets, n_types),
        "random_weights": mean_by_type(values["random"], targets, n_types),
        "fold_change": fold_change(log2, types, n_types=n_types),
    }


def tabulate_rankings(
    rankings: Mapping[str, np.ndarray],
    values: np.ndarray,
    targets: np.ndarray,
    tumour_types: Sequence[str],
    genes: pd.DataFrame,
    layout: Layout,
    n_top: int,
) -> dict[str, pd.DataFrame]:
    """Tabulate the first genes of the types explained, and the markers among those of each and of the others.

    `values` are attributions by sample, `targets` their types; `genes` are in the order of the `layout`.
    """
    markers = match_markers(genes)
    shown = {place: tumour_types[place] for place in np.unique(targets)}
    own = {name: markers.get(name, np.array([], np.intp)) for name in shown.values()}
    top = [
        _list_top_genes(rankings, place, values[targets == place], genes, layout, own[name], n_top)
        for place, name in shown.items()
    ]
    return {
        "top_genes": pd.concat(top, keys=[*own], names=["tumour_type"]).reset_index("tumour_type"),
        "recovery": recover_own(rankings, shown, own, n_top=n_top),
        "recovery_matrix": recovery_matrix(
            rankings["integrated_gradients"][list(shown)], [*own], own, n_top=n_top
        ),
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
    """List the genes that speak most for a type, and half as many that speak most against it."""
    means = rankings["integrated_gradients"][place]
    order = np.argsort(-means, kind="stable")
    chosen = np.concatenate([order[:n_top], order[-(n_top // 2) :][::-1]])
    return pd.DataFrame(
        {
            "gene": layout.genes[chosen],
            "symbol": genes["symbol"].to_numpy()[chosen],
            "attribution": means[chosen],
            "n_samples": len(values),
            "share_positive": (values[:, chosen] > 0).mean(axis=0),
            "log2_fold_change": rankings["fold_change"][place, chosen],
            "zero_reference": rankings["zero_reference"][place, chosen],
            "marker": np.isin(chosen, markers),
            "row": layout.row[chosen],
            "column": layout.column[chosen],
        }
    )
