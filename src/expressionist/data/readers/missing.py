"""Genes that lack values in some samples: dropped, or filled with 0, and counted by tumour type."""

from typing import Any

import numpy as np
import pandas as pd

from expressionist.data.quality import count_dropped
from expressionist.data.readers.row_source import keep_genes
from expressionist.errors import CohortError, name_some


def settle_missing(
    genes: pd.DataFrame, expression: np.ndarray, types: pd.Series, which: str
) -> tuple[pd.DataFrame, np.ndarray, dict[str, Any]]:
    """Drop or fill genes that lack values, and count by tumour type how many genes lack some.

    Parameters
    ----------
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id.
    expression : numpy.ndarray of shape (n_samples, n_genes)
        NaN where a value is missing; may be overwritten.
    types : pandas.Series of length n_samples
        Tumour types.
    which : str
        ``drop`` or ``zero``.

    Returns
    -------
    genes : pandas.DataFrame of length n_kept
    expression : numpy.ndarray of shape (n_samples, n_kept)
    entry : dict
        For quality.json.
    """
    codes, names = pd.factorize(types, sort=True)
    lacks = np.zeros((len(names), len(genes)), bool)
    for gene, values in enumerate(expression.T):
        gaps = np.isnan(values)
        if gaps.any():
            lacks[codes[gaps], gene] = True
    missing = np.asarray(lacks.any(axis=0))
    lacking = {str(name): int(n) for name, n in zip(names, lacks.sum(axis=1), strict=True) if n}
    if which == "zero":
        rule = "gene missing in some samples, filled with 0 (missing: zero)"
        entry = count_dropped(rule, genes.index[missing])
        n_values = int(np.count_nonzero(np.isnan(expression)))
        np.nan_to_num(expression, copy=False, nan=0.0)
        # Zeros where a catalogue had no such gene tell the type as well as the gaps did.
        fate = "They were filled with 0, which can tell types apart as well as the gaps did."
        return genes, expression, entry | {"by_type": lacking, "n_values": n_values, "fate": fate}
    if missing.all():
        raise CohortError(
            f"Some gene must have a value in every kept sample, but got none (genes missing by type: "
            f"{name_some(f'{name} {n}' for name, n in lacking.items())}). Set missing: zero, or drop types."
        )
    entry = count_dropped("gene missing in some kept sample (missing: drop)", genes.index[missing])
    if missing.any():
        genes, expression = genes[~missing], keep_genes(expression, np.flatnonzero(~missing))
    return genes, expression, entry | {"by_type": lacking, "fate": "They were dropped."}
