"""Clusters of co-expressed genes: something to colour a layout by that no layout method has made itself."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

# As many as there are colours that are told apart with any colour vision.
_N_CLUSTERS = 9
_N_COMPONENTS = 20


def cluster_genes(scaled: np.ndarray, *, seed: int) -> np.ndarray:
    """Divide genes into clusters that rise and fall together in training rows, of shape (n_samples, n_genes).

    k-means (Lloyd 1982, doi:10.1109/TIT.1982.1056489) on the 20 leading components of the genes' standardised
    profiles, so that near means correlated. Each gene gets the number of its cluster: 1 for the largest, and
    so on to 9 at most; 0 for constant genes.

    Examples
    --------
    >>> scaled = np.array([[0, 1, 0.1, 1, 0.5], [1, 0, 1, 0.1, 0.5], [0, 1, 0, 1, 0.5]], "float32")
    >>> clusters = cluster_genes(np.tile(scaled, 9), seed=1)
    >>> clusters[4], clusters[0] == clusters[5], clusters[0] == clusters[1]
    (np.int64(0), np.True_, np.False_)
    """
    clusters = np.zeros(scaled.shape[1], np.int64)
    varying = np.flatnonzero(scaled.min(axis=0) < scaled.max(axis=0))
    if not len(varying):
        return clusters
    profiles = scaled[:, varying].T.astype(np.float64)
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.linalg.norm(profiles, axis=1, keepdims=True)
    n_components = min(_N_COMPONENTS, *profiles.shape)
    n_clusters = min(_N_CLUSTERS, len(np.unique(profiles.round(6), axis=0)))
    # Threads add up in any order, and the same params must give the same bytes.
    with threadpool_limits(1):
        left, strengths, _ = randomized_svd(profiles, n_components, random_state=seed)
        found = KMeans(n_clusters, n_init=1, random_state=seed).fit_predict(left * strengths)
    by_size = np.argsort(-np.bincount(found, minlength=n_clusters), kind="stable")
    clusters[varying] = np.argsort(by_size)[found] + 1
    return clusters
