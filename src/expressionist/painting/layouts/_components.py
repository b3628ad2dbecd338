"""Genes as points: the leading components of their standardised profiles."""

import numpy as np

_N_COMPONENTS = 50


def project_genes(expression: np.ndarray, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return genes as points whose inner products are close to the correlations of their expression.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        Left alone.
    chosen : numpy.ndarray of shape (n_chosen,)
        Positions of the genes wanted; none of them constant.
    rng : numpy.random.Generator
        Starts the search for the components.

    Returns
    -------
    numpy.ndarray of shape (n_chosen, n_components)
        The leading components (at most 50) of the genes' standardised profiles, strongest first.

    Examples
    --------
    >>> expression = np.array([[0, 1, 0.1], [1, 0, 1], [0.5, 0.5, 0.55]], "float32")
    >>> points = project_genes(expression, np.array([0, 1, 2]), np.random.default_rng(1))
    >>> (points @ points.T).round(1)[0].tolist()
    [1.0, -1.0, 1.0]
    """
    # Here, as in every module that a method with options loads: params are checked without scikit-learn.
    from sklearn.utils.extmath import randomized_svd

    profiles = expression.T[chosen].astype(np.float32, copy=False)
    profiles -= profiles.mean(axis=1, keepdims=True)
    profiles /= np.sqrt(np.einsum("gs,gs->g", profiles, profiles, dtype=np.float64))[:, None]
    n_components = min(_N_COMPONENTS, *profiles.shape)
    if n_components == 0:
        return np.zeros((len(chosen), 0))
    left, strengths, _ = randomized_svd(profiles, n_components, random_state=int(rng.integers(2**31)))
    return np.asarray(left * strengths, np.float64)


def lead(components: np.ndarray) -> np.ndarray:
    """Return the first two components of every gene.

    Parameters
    ----------
    components : numpy.ndarray of shape (n_genes, n_components)
        As `project_genes` returns them.

    Returns
    -------
    numpy.ndarray of shape (n_genes, 2)
        0 where there are fewer than two.

    Examples
    --------
    >>> lead(np.array([[3.0], [4.0]])).tolist()
    [[3.0, 0.0], [4.0, 0.0]]
    """
    points = np.zeros((len(components), 2))
    points[:, : components.shape[1]] = components[:, :2]
    return points
