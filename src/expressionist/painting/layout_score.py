"""How good a layout is: how much of the genes' correlation it keeps, and what it does with its pixels."""

import numpy as np
from sklearn.manifold import trustworthiness

from expressionist.painting.layout import Layout

_N_GENES_ASKED = 2000
_N_NEIGHBOURS = 10
_N_SAMPLES_AT_ONCE = 256


def score_layout(
    scaled: np.ndarray,
    pixel: np.ndarray,
    shape: tuple[int, int],
    *,
    held_out: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, float | None]:
    """Score a layout, the same way for all methods.

    Parameters
    ----------
    scaled, held_out : numpy.ndarray of shape (n_samples, n_genes)
        Scaled expression of samples that the layout was made from, and of some that it has not seen.
    pixel, shape
        As of a `Layout`.
    seed : int
        Draws the 2,000 genes that trustworthiness is measured on, where there are more.

    Returns
    -------
    dict of str to float or None
        ``neighbour_correlation``: mean correlation of two genes on pixels beside or above one another,
        without constant genes; ``neighbour_correlation_held_out``: the same over `held_out`.
        ``trustworthiness``, 0 to 1: how far those that are near in the image are also near by correlation
        (Venna and Kaski 2001, doi:10.1007/3-540-44668-0_68, with 10 neighbours). ``pixels_used``: share of
        the pixels that hold a gene. ``genes_alone``: share of the genes that share their pixel with no other.
        None stands for what cannot be told, such as a correlation without any neighbours.

    Examples
    --------
    >>> scaled = np.array([[0, 0.1, 1, 0.9], [1, 1, 0, 0], [0.4, 0.5, 0.6, 0.5]], "float32")
    >>> score = score_layout(scaled, np.array([0, 1, 2, 3]), (1, 5))
    >>> round(score["neighbour_correlation"], 2), score["pixels_used"], score["genes_alone"]
    (0.33, 0.8, 1.0)
    """
    layout = Layout(np.arange(scaled.shape[1]), pixel, shape, "")
    overlap = layout.overlap
    unseen = None if held_out is None else _correlate_neighbours(held_out, layout)
    return {
        "neighbour_correlation": _correlate_neighbours(scaled, layout),
        "neighbour_correlation_held_out": unseen,
        "trustworthiness": _trust(scaled, layout, seed),
        "pixels_used": float((overlap > 0).mean()),
        "genes_alone": float((overlap == 1).sum() / len(pixel)),
    }


def _correlate_neighbours(scaled: np.ndarray, layout: Layout) -> float | None:
    """Return the mean correlation of two genes on adjacent pixels, over all such pairs of varying genes."""
    mean = scaled.mean(axis=0, dtype=np.float64)
    varying = scaled.min(axis=0) < scaled.max(axis=0) if len(scaled) else np.zeros(len(mean), bool)
    # Correlations are inner products of standardised profiles, and so are sums of them of sums of profiles:
    # the images of the standardised samples hold all that is asked for, however crowded their pixels.
    power = np.zeros(len(mean))
    for rows in _blocks(scaled):
        power += np.square(rows - mean).sum(axis=0)
    norm = np.where(varying, np.sqrt(power), np.inf)
    total = sum(_sum_products(_add_up((rows - mean) / norm, layout)) for rows in _blocks(scaled))
    n_pairs = _sum_products(_add_up(varying[None].astype(np.float64), layout))
    return float(np.clip(total / n_pairs, -1, 1)) if n_pairs else None


def _blocks(scaled: np.ndarray) -> list[np.ndarray]:
    return [scaled[first : first + _N_SAMPLES_AT_ONCE] for first in range(0, len(scaled), _N_SAMPLES_AT_ONCE)]


def _add_up(values: np.ndarray, layout: Layout) -> np.ndarray:
    """Return, per row and pixel, the sum over the pixel's genes: shape (n_rows, height, width)."""
    return layout.paint(values)[..., 0] * layout.overlap


def _sum_products(images: np.ndarray) -> float:
    across = np.einsum("nhw,nhw->", images[:, :, 1:], images[:, :, :-1], dtype=np.float64)
    down = np.einsum("nhw,nhw->", images[:, 1:], images[:, :-1], dtype=np.float64)
    return float(across + down)


def _trust(scaled: np.ndarray, layout: Layout, seed: int) -> float | None:
    varying = np.flatnonzero(scaled.min(axis=0) < scaled.max(axis=0))
    if len(varying) > _N_GENES_ASKED:
        varying = np.sort(np.random.default_rng(seed).choice(varying, _N_GENES_ASKED, replace=False))
    # The measure is defined for less than half as many neighbours as genes.
    n_neighbours = min(_N_NEIGHBOURS, (len(varying) - 1) // 2)
    if n_neighbours < 1:
        return None
    places = np.stack([layout.row[varying], layout.column[varying]], axis=1)
    profiles = scaled[:, varying].T
    return float(trustworthiness(profiles, places, n_neighbors=n_neighbours, metric="correlation"))
