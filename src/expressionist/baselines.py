"""The honest opponents: linear, tree and neighbour models on the same expression matrix and split."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.linalg import qr
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from expressionist.calibration import fit_temperature
from expressionist.errors import CohortError, ParamsError
from expressionist.metrics import score

_N_ITERATIONS = 5000
_TOLERANCE = 1e-4
_N_TREES = 200
_N_COMPONENTS = 100


class Transformer(Protocol):
    """What prepares expression for a classifier: a fitted scikit-learn transformer."""

    def transform(self, x: np.ndarray, /) -> np.ndarray:
        """Return prepared expression, a row per sample."""


class Classifier(Protocol):
    """What an opponent is: a scikit-learn classifier, with ``predict_proba`` or ``decision_function``."""

    classes_: np.ndarray

    def fit(self, x: np.ndarray, types: np.ndarray, /) -> "Classifier":
        """Learn the types of prepared expression."""


@dataclass(frozen=True)
class Fold:
    """The samples of one side of the split.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        float32, in log2(x+1); scaled to [0, 1] serves too, but gives the nearest neighbours other distances.
    types : numpy.ndarray of shape (n_samples,)
        Tumour types, numbered from 0.
    """

    expression: np.ndarray
    types: np.ndarray


@dataclass(frozen=True)
class Opponent:
    """One kind of opponent: a row of `OPPONENTS`.

    Parameters
    ----------
    title : str
        What tables and figures call it.
    prepare : callable
        (training expression, seed) → fitted scikit-learn transformer of expression.
    build : callable
        (seed, hyper-parameters as keywords) → unfitted scikit-learn classifier. One that has a
        ``decision_function`` and no ``predict_proba`` gets probabilities as `fit_opponent` says.
    choices : tuple of mapping
        Hyper-parameters to choose from, the simplest model first: of equals the first is chosen.
    """

    title: str
    prepare: Callable[[np.ndarray, int], Transformer]
    build: Callable[..., Classifier]
    choices: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class FittedOpponent:
    """An opponent fitted on training samples, its hyper-parameters chosen on validation samples.

    Parameters
    ----------
    name : str
        Its word in `OPPONENTS`.
    choice : dict
        Hyper-parameters chosen on validation samples, the temperature among them where there is one.
    validation_f1_macro : float
        What they reached there.
    n_types : int
        Number of tumour types, those without training samples included.
    prepare, model : object
        Fitted transformer and classifier.
    """

    name: str
    choice: dict[str, Any]
    validation_f1_macro: float
    n_types: int
    prepare: Transformer
    model: Classifier

    def predict_proba(self, expression: np.ndarray) -> np.ndarray:
        """Predict tumour types.

        Parameters
        ----------
        expression : numpy.ndarray of shape (n_samples, n_genes)
            In the unit and gene order of the training expression.

        Returns
        -------
        numpy.ndarray of shape (n_samples, n_types)
            float64 probabilities; 0 for a type without training samples.
        """
        scores = self.prepare.transform(expression)
        return _probabilities(self.model, scores, self.n_types, self.choice.get("temperature", 1.0))


def fit_opponent(name: str, training: Fold, validation: Fold, *, n_types: int, seed: int) -> FittedOpponent:
    """Fit an opponent on training samples and choose its hyper-parameters on validation samples.

    Everything that is fitted (standardisation, rotation, components, classifier) sees training samples only,
    and the chosen model is not fitted again with the validation samples: it learns from what the network
    learns from. Of the choices, the one with the best macro-F1 on validation samples is kept. A classifier
    without probabilities (the linear SVM) gets softmax(decisions / temperature), with the temperature of
    least log-loss on validation samples; it moves no prediction, only its confidence.

    Parameters
    ----------
    name : str
        A word in `OPPONENTS`.
    training, validation : Fold
        The two sides; the same genes in the same order.
    n_types : int
        Number of tumour types.
    seed : int
        Of what is random in it.

    Returns
    -------
    FittedOpponent
        Predicts probabilities for all `n_types` tumour types.

    Raises
    ------
    ParamsError
        If there is no such opponent.
    CohortError
        If the folds do not fit together, or there are fewer than two tumour types to learn.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017 (temperature).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> types = np.arange(60) % 3
    >>> fold = Fold((rng.normal(size=(60, 5)) + 4 * np.eye(3, 5)[types]).astype(np.float32), types)
    >>> fitted = fit_opponent("logistic_regression", fold, fold, n_types=4, seed=0)
    >>> fitted.predict_proba(fold.expression[:3]).argmax(axis=1).tolist()
    [0, 1, 2]
    """
    if name not in OPPONENTS:
        raise ParamsError(f"An opponent must be one of {', '.join(OPPONENTS)}, but got {name!r}. Choose one.")
    _check(training, validation, n_types)
    opponent = OPPONENTS[name]
    # One BLAS thread: the sums then do not depend on the number of cores, and on busy cores the many small
    # products of L-BFGS took up to 15 times as long with two threads as with one.
    with threadpool_limits(1, user_api="blas"):
        prepare = opponent.prepare(training.expression, seed)
        prepared = [Fold(prepare.transform(fold.expression), fold.types) for fold in (training, validation)]
        tried = [
            _fit_choice(name, choice, prepare, *prepared, n_types=n_types, seed=seed)
            for choice in opponent.choices
        ]
    return max(tried, key=lambda fitted: fitted.validation_f1_macro)


def _fit_choice(
    name: str,
    hyper_parameters: Mapping[str, Any],
    prepare: Transformer,
    training: Fold,
    validation: Fold,
    *,
    n_types: int,
    seed: int,
) -> FittedOpponent:
    """Fit one choice of hyper-parameters; the folds hold prepared expression."""
    model = OPPONENTS[name].build(seed, **hyper_parameters).fit(training.expression, training.types)
    choice = dict(hyper_parameters)
    if not hasattr(model, "predict_proba"):
        choice["temperature"] = _fit_temperature(
            _decide(model, validation.expression), model.classes_, validation.types
        )
    probabilities = _probabilities(model, validation.expression, n_types, choice.get("temperature", 1.0))
    return FittedOpponent(
        name=name,
        choice=choice,
        validation_f1_macro=score(probabilities, validation.types)["f1_macro"],
        n_types=n_types,
        prepare=prepare,
        model=model,
    )


def _check(training: Fold, validation: Fold, n_types: int) -> None:
    for fold in (training, validation):
        if fold.expression.ndim != 2 or len(fold.expression) != len(fold.types) or not len(fold.types):
            raise CohortError(
                f"A fold must have expression (n_samples, n_genes) and a type per sample, but got "
                f"{fold.expression.shape} and {fold.types.shape}. Check the split."
            )
        if fold.types.min() < 0 or fold.types.max() >= n_types:
            raise CohortError(
                f"Types must be numbered from 0 to {n_types - 1}, but got {fold.types.min()} to "
                f"{fold.types.max()}. Number them by the tumour types of the whole cohort."
            )
    if training.expression.shape[1] != validation.expression.shape[1]:
        raise CohortError(
            f"Both folds must have the same genes, but got {training.expression.shape[1]} in training and "
            f"{validation.expression.shape[1]} in validation. Choose the genes before splitting off a fold."
        )
    if len(np.unique(training.types)) < 2:
        raise CohortError(
            "Training samples must have at least two tumour types, but got one. Add samples of others."
        )


def _probabilities(model: Classifier, scores: np.ndarray, n_types: int, temperature: float) -> np.ndarray:
    """Return probabilities with a column for every type, whether the model has seen it or not."""
    if hasattr(model, "predict_proba"):
        seen = np.asarray(model.predict_proba(scores), dtype=np.float64)
        seen /= seen.sum(axis=1, keepdims=True)
    else:
        seen = softmax(_decide(model, scores) / temperature, axis=1)
    every = np.zeros((len(scores), n_types))
    every[:, model.classes_] = seen
    return every


def _decide(model: Classifier, scores: np.ndarray) -> np.ndarray:
    decide: Callable[[np.ndarray], np.ndarray] = getattr(model, "decision_function")  # noqa: B009
    decisions = np.asarray(decide(scores), dtype=np.float64)
    return decisions if decisions.ndim == 2 else np.column_stack([-decisions, decisions])


def _fit_temperature(decisions: np.ndarray, classes: np.ndarray, types: np.ndarray) -> float:
    known = np.isin(types, classes)  # no temperature can make a type likely that the model has never seen
    return fit_temperature(decisions[known], np.searchsorted(classes, types[known]))


class _RowSpace(TransformerMixin, BaseEstimator):
    """Rotate samples onto the row space of the training matrix, where there are many more genes than samples.

    The weights that minimise any loss with an L2 penalty lie in the span of the training rows, and an
    orthonormal basis of the span changes neither inner products nor norms: the fitted model is the same,
    with n_samples weights per type in place of n_genes. Hastie, Tibshirani: Efficient quadratic
    regularization for expression arrays, Biostatistics 5, 2004.
    """

    def fit(self, x: np.ndarray, y: object = None) -> "_RowSpace":
        n_samples, n_genes = x.shape
        # Below twice the samples the factorisation costs more than it saves.
        self.basis_ = qr(x.T, mode="economic")[0] if n_genes > 2 * n_samples else None
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        return x if self.basis_ is None else x @ self.basis_


class _LinearSVM:
    """Linear one-against-rest SVM with squared hinge loss, balanced, all types fitted at once by L-BFGS.

    The objective is that of LIBLINEAR (Fan et al., JMLR 9, 2008), ½ ‖w‖² + C Σ max(0, 1 - y f(x))² with
    weighted samples, but with the intercept unpenalised. Solving all types together makes every step two
    matrix products; type after type, as scikit-learn's LinearSVC does it, took more than ten times as long on
    7,000 samples x 680 genes x 32 types.
    """

    def __init__(self, C: float) -> None:
        self.C = C

    def fit(self, x: np.ndarray, types: np.ndarray) -> "_LinearSVM":
        x = x.astype(np.float64)  # in float32 the line search runs into rounding before the gradient is flat
        self.classes_ = np.unique(types)
        sign = np.where(types[:, None] == self.classes_, 1.0, -1.0)
        penalty = 2 * self.C * compute_sample_weight("balanced", types)[:, None]
        shape = (x.shape[1] + 1, len(self.classes_))

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(shape)
            inside = np.maximum(0.0, 1 - sign * (x @ weights[:-1] + weights[-1]))
            slope = -penalty * sign * inside
            gradient = np.vstack([x.T @ slope + weights[:-1], slope.sum(axis=0)])
            loss = 0.5 * np.sum(penalty * inside**2) + 0.5 * np.sum(weights[:-1] ** 2)
            return float(loss), gradient.ravel()

        start = np.zeros(shape).ravel()
        # Gradients scale with C and the number of samples; so must what counts as flat.
        flat_enough = _TOLERANCE * np.abs(objective(start)[1]).max()
        options = {"maxiter": _N_ITERATIONS, "gtol": flat_enough, "ftol": 0.0, "maxfun": 2 * _N_ITERATIONS}
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        if not found.success:
            warnings.warn(
                f"The linear SVM did not converge: {found.message}", ConvergenceWarning, stacklevel=2
            )
        self.weights_ = found.x.reshape(shape)
        return self

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        return x @ self.weights_[:-1] + self.weights_[-1]


class _Forest(RandomForestClassifier):
    """A random forest that grows on all cores and predicts on one, so that sums have one order."""

    def fit(self, x: np.ndarray, types: np.ndarray) -> "_Forest":
        super().fit(x, types)
        self.n_jobs = 1
        return self


class _Neighbours(KNeighborsClassifier):
    """Shares of types among the neighbours and one more, that has each type at its share.

    Plain shares give probability 0 to most types, and so an infinite log-loss for a finite surprise. The
    extra neighbour never overrules the others; it settles their ties in favour of the more frequent type.
    """

    def fit(self, x: np.ndarray, types: np.ndarray) -> "_Neighbours":
        super().fit(x, types)
        self.share_ = np.unique(types, return_counts=True)[1] / len(types)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return (self.n_neighbors * super().predict_proba(x) + self.share_) / (self.n_neighbors + 1)


def _prepare_linear(expression: np.ndarray, seed: int) -> Transformer:
    return make_pipeline(StandardScaler(), _RowSpace()).fit(expression)


def _prepare_trees(expression: np.ndarray, seed: int) -> Transformer:
    return FunctionTransformer().fit(expression)  # trees see the order of values only: nothing to scale


def _prepare_neighbours(expression: np.ndarray, seed: int) -> Transformer:
    # Not standardised: distances should be ruled by the genes that vary. On tcga-mirna-32 the validation
    # macro-F1 was 0.91 so, and 0.88 at best standardised (30, 50 or 100 components).
    return PCA(min(_N_COMPONENTS, *expression.shape), random_state=seed).fit(expression)


def _build_logistic(seed: int, *, C: float) -> LogisticRegression:
    return LogisticRegression(C=C, class_weight="balanced", max_iter=_N_ITERATIONS, tol=_TOLERANCE)


def _build_svm(seed: int, *, C: float) -> _LinearSVM:
    return _LinearSVM(C)


def _build_forest(seed: int, *, min_samples_leaf: int) -> _Forest:
    return _Forest(
        n_estimators=_N_TREES,
        min_samples_leaf=min_samples_leaf,
        class_weight="balanced",
        n_jobs=-1,
        random_state=seed,
    )


def _build_neighbours(seed: int, *, n_neighbours: int) -> _Neighbours:
    return _Neighbours(n_neighbours)


OPPONENTS: dict[str, Opponent] = {
    "logistic_regression": Opponent(
        title="logistic regression",
        prepare=_prepare_linear,
        build=_build_logistic,
        choices=tuple({"C": C} for C in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)),
    ),
    "linear_svm": Opponent(
        title="linear SVM",
        prepare=_prepare_linear,
        build=_build_svm,
        choices=tuple({"C": C} for C in (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)),
    ),
    "random_forest": Opponent(
        title="random forest",
        prepare=_prepare_trees,
        build=_build_forest,
        choices=({"min_samples_leaf": 3}, {"min_samples_leaf": 1}),
    ),
    "k_nearest_neighbours": Opponent(
        title="k nearest neighbours",
        prepare=_prepare_neighbours,
        build=_build_neighbours,
        choices=tuple({"n_neighbours": k} for k in (15, 9, 5, 3, 1)),
    ),
}
