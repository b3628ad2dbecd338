"""Multinomial logistic regression of expression, fitted to the end, and its weights as plain arrays."""

import numpy as np
from scipy.linalg import qr
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

_N_ITERATIONS = 5000
_TOLERANCE = 1e-4


class RowSpace(TransformerMixin, BaseEstimator):
    """Rotate samples onto the row space of the training matrix, where there are many more genes than samples.

    Weights of least loss with an L2 penalty lie in its span, and its orthonormal basis changes no inner
    product: the fitted model is the same (Hastie, Tibshirani, Biostatistics 5, 2004).
    """

    def fit(self, x: np.ndarray, y: object = None) -> "RowSpace":
        """Find the basis; none where it would not pay."""
        n_samples, n_genes = x.shape
        # Below twice the samples the factorisation costs more than it saves.
        self.basis_ = qr(x.T, mode="economic")[0] if n_genes > 2 * n_samples else None
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Rotate samples."""
        return x if self.basis_ is None else x @ self.basis_


def prepare_rows(x: np.ndarray) -> Pipeline:
    """Fit what expression goes through before it is classified."""
    return make_pipeline(StandardScaler(), RowSpace()).fit(x)


def build_logistic(C: float) -> LogisticRegression:
    """Make the classifier of prepared rows; all types weigh the same."""
    return LogisticRegression(C=C, class_weight="balanced", max_iter=_N_ITERATIONS, tol=_TOLERANCE)


def read_logistic(model: LogisticRegression, rows: RowSpace) -> tuple[np.ndarray, np.ndarray]:
    """Read weights of standardised genes (n_genes, n_types seen) and intercepts, a type in each column."""
    weights, intercepts = model.coef_.T, model.intercept_
    if rows.basis_ is not None:
        weights = rows.basis_ @ weights
    if weights.shape[1] == 1:
        return np.hstack([-weights, weights]), np.concatenate([-intercepts, intercepts])
    return weights, intercepts


def place_types(
    seen: np.ndarray, levels: np.ndarray, classes: np.ndarray, scale: np.ndarray, n_types: int
) -> tuple[np.ndarray, np.ndarray]:
    """Place weights of standardised genes and intercepts among all types: weights of genes on their scale.

    A type that is none of the `classes` has no weights, and the intercept -inf.
    """
    weights, intercepts = np.zeros((len(scale), n_types)), np.full(n_types, -np.inf)
    weights[:, classes] = seen / scale[:, None]
    intercepts[classes] = levels
    return weights, intercepts


def fit_logistic(
    x: np.ndarray, types: np.ndarray, *, n_types: int, C: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit logistic regression, and return what makes logits of values as they are: x @ weights + intercepts.

    Parameters
    ----------
    x : numpy.ndarray of shape (n_samples, n_values)
        Expression, on any scale.
    types : numpy.ndarray of shape (n_samples,)
        Numbered from 0; at least two.
    n_types : int
        Of all; the intercept of one that no sample has is -inf.
    C : float
        Freedom of the weights, as scikit-learn counts it.

    Returns
    -------
    weights : numpy.ndarray of shape (n_values, n_types)
    intercepts : numpy.ndarray of shape (n_types,)
    """
    with threadpool_limits(1, user_api="blas"):
        prepare = prepare_rows(x)
        model = build_logistic(C).fit(prepare.transform(x), types)
    standard, rows = (step for _, step in prepare.steps)
    read = read_logistic(model, rows)
    weights, intercepts = place_types(*read, model.classes_, standard.scale_, n_types)
    return weights, intercepts - standard.mean_ @ weights
