"""How the genes of another cohort lie beside those of the training samples."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from expressionist.evaluation.footprint import LEVELS, Footprint

_SIDES = ("low", "median", "high")
# In log2(x+1): genes that hardly vary in training samples must not lead the list by rounding.
LEAST_RANGE = 0.5


def tabulate_shift(
    footprint: Footprint, log2: np.ndarray, truth: np.ndarray, genes: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Compare the genes of another cohort with those of the training samples, the most shifted first.

    A cohort of few types differs in every gene that tells types apart. So the shift of a gene is the mean of
    what is left when each sample's type, where the model knows it, has been taken into account.

    Parameters
    ----------
    footprint : Footprint
        Of the training samples.
    log2 : numpy.ndarray of shape (n_samples, n_genes)
        The cohort, in log2(x+1) and the network's genes.
    truth : numpy.ndarray of shape (n_samples,)
        Positions of the types in the model's; -1 for other types.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, with ``symbol``.

    Returns
    -------
    table : pandas.DataFrame of length n_genes
        ``gene``, ``symbol``, quantiles (5, 50 and 95%) of both cohorts, ``shift`` in log2, and ``spreads``:
        the shift in units of the training samples' 5 to 95% range, or of `LEAST_RANGE` where that is wider.
    facts : dict
        ``n_matched``: samples whose type was taken into account; ``shift``: the median gene's without its
        sign; ``n_shifted``: genes shifted by half of their range or more; ``share_outside``: genes whose
        median lies outside the range, for which the cohort's types suffice as a reason.
    """
    here, trained = np.quantile(log2, LEVELS, axis=0), footprint.quantiles
    expected = footprint.means[truth[truth >= 0]]
    matched = np.isfinite(expected[:, 0])
    shift = (log2[truth >= 0] - expected)[matched].mean(axis=0) if matched.any() else here[1] - trained[1]
    spreads = shift / np.maximum(trained[2] - trained[0], LEAST_RANGE)
    columns = {f"trained_{side}": row for side, row in zip(_SIDES, trained, strict=True)}
    columns |= dict(zip(_SIDES, here, strict=True))
    about = {"gene": genes.index.astype(str), "symbol": genes["symbol"].astype(str).to_numpy()}
    table = pd.DataFrame({**about, **columns, "shift": shift, "spreads": spreads})
    facts = {
        "n_matched": int(matched.sum()),
        "shift": float(np.median(np.abs(shift))),
        "n_shifted": int((np.abs(spreads) >= 0.5).sum()),
        "share_outside": float(((here[1] < trained[0]) | (here[1] > trained[2])).mean()),
    }
    order = np.argsort(-np.abs(spreads), kind="stable")
    return table.iloc[order].reset_index(drop=True), facts


def align_ranks(log2: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Give the genes of every sample the values of a reference, by their rank within the sample.

    This is quantile normalisation to a fixed target (Bolstad et al., Bioinformatics 19:185, 2003): it takes
    away what moves all genes of a sample alike, whatever the other samples are.

    Parameters
    ----------
    log2 : numpy.ndarray of shape (n_samples, n_genes)
        In log2(x+1).
    reference : numpy.ndarray of shape (n_genes,)
        Ascending: the mean of the sorted training samples.

    Returns
    -------
    numpy.ndarray of shape (n_samples, n_genes)
        float32; genes of equal expression stay equal.

    Examples
    --------
    >>> align_ranks(np.array([[5.0, 0.0, 9.0], [2.0, 2.0, 1.0]]), np.array([1.0, 2.0, 4.0])).tolist()
    [[2.0, 1.0, 4.0], [3.0, 3.0, 1.0]]
    """
    places = rankdata(log2, axis=1) - 1
    return np.interp(places, np.arange(len(reference)), reference).astype(np.float32)
