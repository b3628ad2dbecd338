"""What a prediction loses with the genes that a table lacks, so that the limit is chosen and not guessed."""

from collections.abc import Callable
from typing import Any

import numpy as np

_SHARES = (0.0, 0.025, 0.05, 0.1, 0.2, 0.3)
_N_DRAWS = 3
# Enough to see a loss of a few percent; each draw costs a pass of the network.
_N_SAMPLES = 200


def lose_genes(
    predict: Callable[[np.ndarray], np.ndarray],
    scaled: np.ndarray,
    fill: np.ndarray,
    truth: np.ndarray,
    *,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Remove random genes from samples, fill them as the registered model does, and score what is left.

    Parameters
    ----------
    predict : callable
        Gives logits, (n_samples, n_types), of scaled expression.
    scaled : numpy.ndarray of shape (n_samples, n_genes)
        Validation samples, of which 200 at most are drawn.
    fill : numpy.ndarray of shape (n_genes,)
        The training mean, scaled likewise.
    truth : numpy.ndarray of shape (n_samples,)
        Their types, as columns of the logits.
    rng : numpy.random.Generator
        Draws samples and genes.

    Returns
    -------
    list of dict
        For each share of missing genes ``share``, ``n_missing``, ``n_samples``, and ``accuracy`` and
        ``lowest`` (mean and lowest over three draws).
    """
    chosen = np.sort(rng.permutation(len(scaled))[:_N_SAMPLES])
    scaled, truth, n_genes = scaled[chosen], truth[chosen], scaled.shape[1]
    rows = []
    for share in _SHARES:
        n_missing = round(share * n_genes)
        accuracies = []
        for _ in range(_N_DRAWS if n_missing else 1):
            gappy = scaled.copy()
            lost = rng.permutation(n_genes)[:n_missing]
            gappy[:, lost] = fill[lost]
            accuracies.append(float((predict(gappy).argmax(axis=1) == truth).mean()))
        scores = {"accuracy": float(np.mean(accuracies)), "lowest": min(accuracies)}
        rows.append({"share": share, "n_missing": n_missing, "n_samples": len(truth), **scores})
    return rows
