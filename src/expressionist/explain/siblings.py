"""Siblings: what tells the most confused pairs of types apart, and what pulled a sample over."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from expressionist.explain.integrated_gradients import Attribution

# Explains samples (n_samples, n_genes), from one reference each, by pairs of types (n_samples, 2).
ExplainPairs = Callable[[np.ndarray, np.ndarray, np.ndarray], Attribution]


def find_confused(predictions: pd.DataFrame, n_pairs: int) -> list[tuple[str, str]]:
    """Find the pairs of types that are most often taken for each other, either way, most often first.

    Parameters
    ----------
    predictions : pandas.DataFrame
        Columns ``tumour_type`` and ``predicted``.
    n_pairs : int
        At most so many; fewer if fewer were confused.

    Examples
    --------
    >>> table = pd.DataFrame({"tumour_type": ["COAD", "READ", "UVM"], "predicted": ["READ", "COAD", "UVM"]})
    >>> find_confused(table, 3)
    [('COAD', 'READ')]
    """
    wrong = predictions[predictions["predicted"] != predictions["tumour_type"]]
    pairs = pd.Series(
        [tuple(sorted(pair)) for pair in zip(wrong["tumour_type"], wrong["predicted"], strict=True)]
    )
    return [(str(one), str(other)) for one, other in pairs.value_counts(sort=True).index[:n_pairs]]


def tell_apart(
    explain: ExplainPairs,
    scaled: np.ndarray,
    types: np.ndarray,
    means: np.ndarray,
    pairs: Sequence[tuple[int, int]],
    genes: pd.DataFrame,
    n_top: int,
) -> pd.DataFrame:
    """List the genes by which samples of one type rise over a rival, on the way from the rival's mean.

    Parameters
    ----------
    explain : callable
        Explains pairs of types.
    scaled, types : numpy.ndarray of shape (n_samples, n_genes), (n_samples,)
        Training samples and their types.
    means : numpy.ndarray of shape (n_types, n_genes)
        Mean training sample of every type.
    pairs : sequence of (int, int)
        Types.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, with ``symbol``.
    n_top : int
        Genes listed on each side of a pair.

    Returns
    -------
    pandas.DataFrame
        Columns ``type`` and ``rival`` (positions), ``gene``, ``symbol``, ``attribution`` (mean over the
        type's samples, in logits), ``share_positive`` and ``higher`` (whether the type has more of it).
    """
    tables = []
    for pair in pairs:
        for one, other in (pair, pair[::-1]):
            rows = np.flatnonzero(types == one)
            if not len(rows):
                continue
            found = explain(
                scaled[rows], np.tile(means[other], (len(rows), 1)), np.tile([one, other], (len(rows), 1))
            )
            values = found.values.mean(axis=0)
            first = np.argsort(-values, kind="stable")[:n_top]
            facts = {
                "type": one,
                "rival": other,
                "gene": genes.index[first],
                "symbol": genes["symbol"].to_numpy()[first],
                "attribution": values[first],
                "share_positive": (found.values[:, first] > 0).mean(axis=0),
                "higher": means[one, first] > means[other, first],
            }
            tables.append(pd.DataFrame(facts))
    columns = ["type", "rival", "gene", "symbol", "attribution", "share_positive", "higher"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def explain_errors(
    explain: ExplainPairs,
    scaled: np.ndarray,
    names: Sequence[str],
    pairs: np.ndarray,
    means: np.ndarray,
    genes: pd.DataFrame,
    n_top: int,
) -> pd.DataFrame:
    """List the genes that pulled misclassified samples from their type to that predicted.

    Parameters
    ----------
    explain : callable
        Explains pairs of types.
    scaled, names, pairs : array (n_samples, n_genes), sequence of str, array (n_samples, 2)
        The samples, their names, and of each the type predicted and its own.
    means, genes, n_top
        As for `tell_apart`. The way begins at the mean of the sample's own type.

    Returns
    -------
    pandas.DataFrame
        Columns ``sample``, ``predicted`` and ``type`` (positions), ``gene``, ``symbol``, ``attribution`` (of
        the logit predicted minus that of its own type), ``higher`` (than in the mean of its own type), and
        the sample's ``relative_gap``.
    """
    if not len(names):
        return pd.DataFrame(
            columns=["sample", "predicted", "type", "gene", "symbol", "attribution", "higher", "relative_gap"]
        )
    found, tables = explain(scaled, means[pairs[:, 1]], pairs), []
    for row, name in enumerate(names):
        first = np.argsort(-found.values[row], kind="stable")[:n_top]
        facts = {
            "sample": name,
            "predicted": pairs[row, 0],
            "type": pairs[row, 1],
            "gene": genes.index[first],
            "symbol": genes["symbol"].to_numpy()[first],
            "attribution": found.values[row, first],
            "higher": scaled[row, first] > means[pairs[row, 1], first],
            "relative_gap": found.gap[row],
        }
        tables.append(pd.DataFrame(facts))
    return pd.concat(tables, ignore_index=True)
