"""The baseline models: linear, kernel, tree and neighbour models on the same expression matrix and split."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_limits

from expressionist.data import Cohort, to_log2
from expressionist.errors import CohortError, ParamsError
from expressionist.evaluation.calibration import fit_temperature
from expressionist.evaluation.linear import LinearModel
from expressionist.evaluation.logistic import (
    RowSpace,
    build_logistic,
    place_types,
    prepare_rows,
    read_logistic,
)
from expressionist.evaluation.metrics import SMALLEST_PROBABILITY, score

_N_TREES = 200
_N_COMPONENTS = 100
# Of the Gaussian kernel, per gene: standardised samples that have nothing in common are at exp(-2 * this).
_WIDTH = 0.3


@dataclass(frozen=True)
class LabelledRows:
    """The samples of a subset of the split: expression (n_samples, n_genes), and types numbered from 0."""

    # float32, in log2(x+1); scaled to [0, 1] serves too, but gives the nearest neighbours other distances.
    expression: np.ndarray
    types: np.ndarray

    @classmethod
    def take(cls, cohort: Cohort, split: pd.Series, subset: str) -> "LabelledRows":
        """Take the samples of a subset; `split` says of every sample of the cohort where it is."""
        rows = np.flatnonzero((split == subset).to_numpy())
        types = pd.Index(cohort.samples["tumour_type"].iloc[rows])
        positions = pd.Index(cohort.tumour_types).get_indexer(types)
        return cls(to_log2(cohort.expression[rows], cohort.unit), positions)


@dataclass(frozen=True)
class Baseline:
    """One kind of baseline model: a row of `BASELINES`."""

    # (training expression, seed) → fitted scikit-learn transformer of expression.
    prepare: Callable[[np.ndarray, int], TransformerMixin]
    # (seed, hyper-parameters as keywords) → unfitted classifier with `predict_proba` or `decision_function`.
    build: Callable[..., BaseEstimator]
    # Hyper-parameters to choose from, the simplest model first: of equals in both scores the first is chosen.
    choices: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class FittedBaseline:
    """A baseline model fitted on training samples: what was chosen for it, and its two parts."""

    choice: dict[str, Any]
    n_types: int
    prepare: TransformerMixin
    model: BaseEstimator

    def predict_proba(self, expression: np.ndarray) -> np.ndarray:
        """Predict all types (n_samples, n_types), float64: 0 for a type without training samples."""
        logits = _compute_logits(self.model, self.prepare.transform(expression), self.n_types)
        return softmax(logits / self.choice["temperature"], axis=1)

    def flatten(self) -> LinearModel | None:
        """Return the same model as arrays, or None if it is not linear in expression.

        Forest, kernels and neighbours keep their trees or training samples: no arrays that are small, or that
        may leave with a model where expression may not.
        """
        if not isinstance(self.model, LogisticRegression | _LinearSVM):
            return None
        standard, second = (step for _, step in self.prepare.steps)
        read = _read_weights(self.model, second)
        weights, levels = place_types(*read, self.model.classes_, standard.scale_, self.n_types)
        return LinearModel(
            standard.mean_.astype(np.float32),
            weights.astype(np.float32),
            levels,
            np.array(self.choice["temperature"]),
        )


def fit_baseline(
    name: str, training: LabelledRows, validation: LabelledRows, *, n_types: int, seed: int
) -> FittedBaseline:
    """Fit a baseline model on training samples and choose its hyper-parameters on validation samples.

    Everything that is fitted (standardisation, rotation, components, classifier) sees training samples only,
    and the chosen model is not fitted again with the validation samples: it learns from what the network
    learns from. Of the choices, the one with the best macro-F1 on validation samples is kept. Its
    probabilities are softmax(logits / temperature), with the temperature of least log-loss on validation
    samples, as the network's are; it moves no prediction, only its confidence. Folds with other genes, or
    with one type only to learn, are refused.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> types = np.arange(60) % 3
    >>> fold = LabelledRows((rng.normal(size=(60, 5)) + 4 * np.eye(3, 5)[types]).astype(np.float32), types)
    >>> fitted = fit_baseline("logistic_regression", fold, fold, n_types=4, seed=0)
    >>> fitted.predict_proba(fold.expression[:3]).argmax(axis=1).tolist()
    [0, 1, 2]
    """
    if name not in BASELINES:
        raise ParamsError(
            f"A baseline model must be one of {', '.join(BASELINES)}, but got {name!r}. Choose one."
        )
    _check(training, validation, n_types)
    baseline = BASELINES[name]
    # A small cohort has fewer samples than the most neighbours to choose.
    choices = [each for each in baseline.choices if each.get("n_neighbours", 1) <= len(training.types)]
    # One BLAS thread: the sums then do not depend on the number of cores, and on busy cores the many small
    # products of L-BFGS took up to 15 times as long with two threads as with one.
    with threadpool_limits(1, user_api="blas"):
        prepare = baseline.prepare(training.expression, seed)
        x, held_out = (prepare.transform(fold.expression) for fold in (training, validation))
        models = [baseline.build(seed, **choice).fit(x, training.types) for choice in choices]
        logits = [_compute_logits(model, held_out, n_types) for model in models]
    reached = [score(softmax(each, axis=1), validation.types) for each in logits]
    # Of equals, that of the least log-loss.
    best = max(range(len(choices)), key=lambda n: (reached[n]["f1_macro"], -reached[n]["log_loss"]))
    # No temperature makes a type likely that the model has never seen.
    known = np.isin(validation.types, training.types)
    temperature = fit_temperature(logits[best][known], validation.types[known])
    choice = {**choices[best], "temperature": temperature}
    return FittedBaseline(choice, n_types, prepare, models[best])


def refit_baseline(
    name: str, choice: Mapping[str, Any], known: LabelledRows, *, n_types: int, seed: int
) -> FittedBaseline:
    """Fit a baseline model again on training and validation samples, with what was chosen for it before."""
    baseline, given = BASELINES[name], {key: choice[key] for key in choice if key != "temperature"}
    with threadpool_limits(1, user_api="blas"):
        prepare = baseline.prepare(known.expression, seed)
        model = baseline.build(seed, **given).fit(prepare.transform(known.expression), known.types)
    return FittedBaseline(dict(choice), n_types, prepare, model)


def _check(training: LabelledRows, validation: LabelledRows, n_types: int) -> None:
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


def _compute_logits(model: BaseEstimator, prepared: np.ndarray, n_types: int) -> np.ndarray:
    """Return decisions, or else logarithms of probabilities; -inf for types that the model never saw."""
    if hasattr(model, "decision_function"):
        seen = np.asarray(model.decision_function(prepared), dtype=np.float64)
        seen = seen if seen.ndim == 2 else np.column_stack([-seen, seen])
    else:
        # That no tree names a type is no proof that nobody has it.
        seen = np.log(np.maximum(model.predict_proba(prepared), SMALLEST_PROBABILITY))
    logits = np.full((len(seen), n_types), -np.inf)
    logits[:, model.classes_] = seen
    return logits


def _read_weights(
    model: "LogisticRegression | _LinearSVM", prepare: "RowSpace | _Kernel"
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights of standardised genes (n_genes, n_types seen) and intercepts, a type in each column."""
    if isinstance(model, _LinearSVM):
        known = prepare.x_ / prepare.x_.shape[1]
        each = [(machine.dual_coef_ @ known[machine.support_])[0] for machine in model.machines_]
        return np.column_stack(each), np.array([machine.intercept_[0] for machine in model.machines_])
    return read_logistic(model, prepare)


class _Kernel(TransformerMixin, BaseEstimator):
    """A kernel of samples with the training samples: computed once, and not by every SVM for itself."""

    def __init__(self, kernel: Callable[..., np.ndarray]) -> None:
        self.kernel = kernel

    def fit(self, x: np.ndarray, y: object = None) -> "_Kernel":
        self.x_ = x
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        return self.kernel(x, self.x_).astype(np.float64)  # libsvm's precision: else a copy per type


class _SVM:
    """An SVM on a kernel for each type against the rest, all types weighing the same in each of them."""

    # `OneVsRestClassifier` hands no such weights on, and the pairs of `SVC` only vote, however sure they are.

    def __init__(self, C: float) -> None:
        self.C = C

    def fit(self, kernel: np.ndarray, types: np.ndarray) -> "_SVM":
        self.classes_ = np.unique(types)
        weights = compute_sample_weight("balanced", types)
        self.machines_ = [
            SVC(C=self.C, kernel="precomputed").fit(kernel, types == one, sample_weight=weights)
            for one in self.classes_
        ]
        return self

    def decision_function(self, kernel: np.ndarray) -> np.ndarray:
        return np.column_stack([machine.decision_function(kernel) for machine in self.machines_])


class _LinearSVM(_SVM):
    """An SVM on the linear kernel, which is weights of genes as well."""


class _Forest(RandomForestClassifier):
    """A random forest that grows on all cores and predicts on one, so that sums have one order."""

    def fit(self, x: np.ndarray, types: np.ndarray) -> "_Forest":
        super().fit(x, types)
        self.n_jobs = 1
        return self


class _Neighbours(KNeighborsClassifier):
    """Shares of types among the neighbours and one more, which has each type at its share and settles ties.

    Without, log-loss was a quarter higher on the embedded cohort, and a tenth on tcga-mirna-32.
    """

    def fit(self, x: np.ndarray, types: np.ndarray) -> "_Neighbours":
        super().fit(x, types)
        self.share_ = np.unique(types, return_counts=True)[1] / len(types)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return (self.n_neighbors * super().predict_proba(x) + self.share_) / (self.n_neighbors + 1)


def _rank(expression: np.ndarray) -> np.ndarray:
    """Rank genes within their sample, from 0 to 1; equals share a rank."""
    return (rankdata(expression, axis=1) / expression.shape[1]).astype(np.float32)


def _linear(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # About 1 for a standardised sample with itself: so C means the same for any number of genes.
    return linear_kernel(x, y) / x.shape[1]


def _gaussian(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return rbf_kernel(x, y, gamma=_WIDTH / x.shape[1])


BASELINES: dict[str, Baseline] = {
    "logistic_regression": Baseline(
        prepare=lambda x, _: prepare_rows(x),
        build=lambda _, C: build_logistic(C),
        choices=tuple({"C": C} for C in (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)),
    ),
    "linear_svm": Baseline(
        prepare=lambda x, _: make_pipeline(StandardScaler(), _Kernel(_linear)).fit(x),
        build=lambda _, C: _LinearSVM(C),
        choices=tuple({"C": C} for C in (1, 3, 10, 30)),
    ),
    "kernel_svm": Baseline(
        prepare=lambda x, _: make_pipeline(
            FunctionTransformer(_rank), StandardScaler(), _Kernel(_gaussian)
        ).fit(x),
        build=lambda _, C: _SVM(C),
        choices=tuple({"C": C} for C in (1, 3, 10)),
    ),
    "random_forest": Baseline(
        prepare=lambda x, _: FunctionTransformer().fit(x),  # trees see the order of values only
        build=lambda seed: _Forest(_N_TREES, class_weight="balanced", n_jobs=-1, random_state=seed),
        choices=({},),  # half the trees and two sizes of leaves to choose from took as long, and lost a point
    ),
    "k_nearest_neighbours": Baseline(
        # Not standardised: distances should be ruled by the genes that vary. On tcga-mirna-32 the validation
        # macro-F1 was 0.91 so, and 0.88 at best standardised (30, 50 or 100 components).
        prepare=lambda x, seed: PCA(min(_N_COMPONENTS, *x.shape), random_state=seed).fit(x),
        build=lambda _, n_neighbours: _Neighbours(n_neighbours),
        choices=tuple({"n_neighbours": k} for k in (15, 9, 5, 3, 1)),
    ),
}
