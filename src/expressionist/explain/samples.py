"""Samples that a registered model is given, explained: a few at a time, until complete, gene by gene."""

import keras
import numpy as np
import pandas as pd

from expressionist.explain.integrated_gradients import Attribution, IntegratedGradients
from expressionist.network import logits_by_branch

# Steps that an explanation begins with, and at most has; the gap that half of the samples may have, and 95 in
# 100. They are asked of every few samples that are explained at once, and so hold for any number of these.
_N_STEPS, _MAX_STEPS, _MEDIAN_GAP, _P95_GAP = 12, 324, 0.01, 0.05


class SampleExplainer:
    """Attributes the logits of samples to their genes by Integrated Gradients.

    Parameters
    ----------
    network : keras.Model
        Whole, at its temperature.
    reference : numpy.ndarray of shape (n_genes,)
        The mean training sample, in log2(x+1) like all expression here.
    """

    def __init__(self, network: keras.Model, reference: np.ndarray) -> None:
        self.reference = reference
        self._rescale = network.get_layer("rescale")
        self._method = IntegratedGradients(logits_by_branch(network))

    def scale(self, log2: np.ndarray) -> np.ndarray:
        """Scale expression (n_samples, n_genes) as the network paints it."""
        return np.asarray(self._rescale(log2))

    def explain(
        self, log2: np.ndarray, targets: np.ndarray, reference: np.ndarray | None = None
    ) -> Attribution:
        """Explain samples, (n_samples, n_genes), at once.

        Parameters
        ----------
        log2 : numpy.ndarray of shape (n_samples, n_genes)
            What to explain.
        targets : numpy.ndarray of shape (n_samples,) or (n_samples, 2)
            Types, or pairs of them: the logit of the first minus that of the second.
        reference : numpy.ndarray of shape (n_genes,), optional
            Where the path begins, if not at the mean training sample.
        """
        start = self.reference if reference is None else reference
        return self._method.converge(
            self.scale(log2),
            self.scale(start[None]),
            targets,
            n_steps=_N_STEPS,
            max_steps=_MAX_STEPS,
            median_gap=_MEDIAN_GAP,
            p95_gap=_P95_GAP,
        )


def list_top_genes(values: np.ndarray, n_top: int) -> pd.DataFrame:
    """List the genes that speak most for what was explained, then those that speak most against it.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_genes,)
        Attributions of one sample.
    n_top : int
        At most so many of each.

    Returns
    -------
    pandas.DataFrame
        Columns ``position`` (of the gene), ``direction`` (``for`` or ``against``), ``rank`` from 1,
        ``attribution`` in logits, and ``share``, signed: of all that is attributed, for and against.

    Examples
    --------
    >>> list_top_genes(np.array([0.5, -2.0, 0.0, 1.5]), 2)[["position", "direction", "share"]].values.tolist()
    [[3, 'for', 0.375], [0, 'for', 0.125], [1, 'against', -0.5]]
    """
    tables = []
    for direction, signed in (("for", values), ("against", -values)):
        order = np.argsort(-signed, kind="stable")[:n_top]
        order = order[signed[order] > 0]
        tables.append(
            pd.DataFrame({"position": order, "direction": direction, "rank": np.arange(len(order)) + 1})
        )
    found = pd.concat(tables, ignore_index=True)
    attribution = values[found["position"]]
    total = max(float(np.abs(values).sum(dtype=np.float64)), 1e-12)
    return found.assign(attribution=attribution, share=attribution / total)
