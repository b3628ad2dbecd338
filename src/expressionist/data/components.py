"""Principal components of a cohort, to look at: what the greatest differences between samples go with."""

import numpy as np
from sklearn.decomposition import PCA

from expressionist.data.expression import choose_genes

# The most variable genes carry the components; more cost time and change little.
_N_GENES = 2000


def project(log2: np.ndarray, n_components: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Project samples on their first principal components, by a randomised decomposition (Halko et al. 2011).

    For looking only: all samples take part, whichever side of a split they are to stand on.

    Parameters
    ----------
    log2 : numpy.ndarray of shape (n_samples, n_genes)
        Expression on a log scale.
    n_components : int
        At most so many; no more than samples or genes allow.
    seed : int
        Of the decomposition.

    Returns
    -------
    points : numpy.ndarray of shape (n_samples, n_found)
        float32 coordinates.
    shares : numpy.ndarray of shape (n_found,)
        Share of the variance of the genes used that each component explains.
    """
    chosen = log2[:, choose_genes(log2, _N_GENES)]
    n_found = min(n_components, *chosen.shape)
    model = PCA(n_found, svd_solver="randomized", random_state=seed)
    points = model.fit_transform(chosen).astype(np.float32)
    return points, model.explained_variance_ratio_


def share_between(points: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the share (0 to 1) of each component's variance that lies between groups (eta squared).

    With many small groups it is high by chance alone. Points are (n_samples, n_components), groups are text.

    Examples
    --------
    >>> points = np.array([[0.0, 1.0], [0.0, 3.0], [2.0, 1.0], [2.0, 3.0]])
    >>> share_between(points, np.array(["a", "a", "b", "b"])).round(6).tolist()
    [1.0, 0.0]
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), points.shape[1]))
    np.add.at(sums, member, centred)
    total = np.square(centred).sum(axis=0)
    return np.square(sums / np.sqrt(sizes)[:, None]).sum(axis=0) / np.where(total > 0, total, 1.0)
