"""Samples unlike the training cohort: three measures, and one out-of-distribution score that flags them.

1. *outside*: what of a sample lies outside the principal components of the training samples. Broken input
   (another unit, shuffled genes) is larger there by orders of magnitude.
2. *foreign*: how little a sample belongs to any tumour type, by kernel ridge regression on the components.
   A Gaussian kernel, other than a linear classifier, gives little to what is far from all it was fitted on.
3. *normal*: how much a sample resembles normal tissue rather than tumours, by the same regression, if there
   is some to learn from: no distance to tumours alone tells it (docs/probabilities.md has the figures).

Everything fitted is an array: the registered model scores without scikit-learn, and is stored without pickle.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import AS_IS_UNIT, Cohort, to_log2
from expressionist.params import EvaluationParams

_N_COMPONENTS = 100
_N_FEATURES = 4000
# Ridge penalty per sample and feature, and how narrow the kernel is against the mean distance; chosen
# on tcga-mirna-32 by five-fold cross-validation over patients, where half of either did as well and a kernel
# twice as narrow did worse.
_PENALTY = 0.1
_WIDTH = 0.5
# Genes that hardly vary must not rule the distances: a spread, in log2, that is added to every gene's own.
_LEAST_SPREAD = 0.1
# Share of the false alarms that each measure may cause. What lies outside is out of distribution by orders of
# magnitude or not at all, so little is lost there.
_SHARES = (0.1, 0.2, 0.7)
_ROUNDING = 1e-4
# A handful of normal samples says more about their patients than about normal tissue.
_FEWEST_NORMALS = 10


@dataclass(frozen=True, eq=False)
class Novelty:
    """What makes a sample unlike the training cohort; expression (n_samples, n_genes) is in log2(x+1).

    After Rahimi, Recht (random features of kernels, NIPS 2007), Halko, Martinsson, Tropp (randomised
    decompositions, SIAM Review 53, 2011), and Hendrycks, Mazeika, Dietterich (outlier exposure, ICLR 2019).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> types = np.arange(120) % 2
    >>> log2 = (6 * types[:, None] + rng.normal(size=(120, 30))).astype("float32")
    >>> novelty = Novelty.fit(log2[:80], types[:80], None, rng=rng).calibrate(log2[80:], false_alarms=0.05)
    >>> bool(novelty.score(log2[:1] + 40)[0] > 1), float((novelty.score(log2[80:]) > 1).mean()) <= 0.05
    (True, True)
    """

    # Of every gene over training samples, (n_genes,).
    centre: np.ndarray
    spread: np.ndarray
    # Principal components of the standardised training samples, (n_components, n_genes).
    components: np.ndarray
    # Random Fourier features of the Gaussian kernel, (n_components, n_features) and (n_features,).
    frequencies: np.ndarray
    phases: np.ndarray
    # Weights of the regressions on types and on being normal tissue, (n_features, n_types) and (..., 0 or 1).
    by_type: np.ndarray
    by_normal: np.ndarray
    # Median of every measure over validation samples, and its distance to what is out of distribution.
    middle: np.ndarray
    reach: np.ndarray

    @classmethod
    def fit(
        cls, log2: np.ndarray, types: np.ndarray, normals: np.ndarray | None, *, rng: np.random.Generator
    ) -> "Novelty":
        """Learn what training samples, of types numbered from 0, and normal tissue are like."""
        centre = log2.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = log2.std(axis=0, dtype=np.float64).astype(np.float32) + np.float32(_LEAST_SPREAD)
        components = _decompose((log2 - centre) / spread, _N_COMPONENTS, rng)
        known = ((log2 - centre) / spread) @ components.T
        far = known[:0] if normals is None else ((normals - centre) / spread) @ components.T
        every = np.concatenate([known, far])
        scale = np.sqrt(4 * _WIDTH / np.square(every).sum(axis=1).mean())
        frequencies = (scale * rng.standard_normal((every.shape[1], _N_FEATURES))).astype(np.float32)
        phases = rng.uniform(0, 2 * np.pi, _N_FEATURES).astype(np.float32)
        features = _wave(every, frequencies, phases)
        members = np.eye(int(types.max()) + 1)[types]
        by_type = _regress(features[: len(known)], members, types, power=0.5)
        is_normal = np.repeat([0, 1], [len(known), len(far)])
        by_normal = _regress(features, is_normal[:, None] - 0.5, is_normal, power=1.0)
        parts = centre, spread, components, frequencies, phases, by_type, by_normal[:, : min(len(far), 1)]
        return cls(*parts, middle=np.zeros(0), reach=np.zeros(0))

    def measure(self, log2: np.ndarray) -> np.ndarray:
        """Measure samples, in columns: outside, foreign and, if it was fitted, normal."""
        scaled = (log2 - self.centre) / self.spread
        places = scaled @ self.components.T
        outside = np.square(scaled).sum(axis=1) - np.square(places).sum(axis=1)
        features = _wave(places, self.frequencies, self.phases)
        familiar = (features @ self.by_type).max(axis=1)
        measures = [np.log(np.maximum(outside, 1e-6)), -familiar, features @ self.by_normal]
        return np.column_stack(measures).astype(np.float64)

    def calibrate(self, log2: np.ndarray, *, false_alarms: float) -> "Novelty":
        """Set what is out of distribution, so that at most a given share of validation samples is flagged."""
        measures = self.measure(log2)
        shares = np.asarray(_SHARES[: measures.shape[1]])
        middle = np.median(measures, axis=0)
        limits = [
            np.quantile(measure, 1 - false_alarms * share)
            for measure, share in zip(measures.T, shares / shares.sum(), strict=True)
        ]
        reach = np.maximum(limits - middle, 1e-9)
        highest = ((measures - middle) / reach).max(axis=1)
        # Of n samples the k-th largest is the limit if k - 1 may lie above it.
        limit = np.quantile(highest, 1 - false_alarms, method="higher")
        # The sample at the limit must not pass it when it is scored among others, rounded differently.
        return replace(self, middle=middle, reach=reach * max(float(limit), 1e-9) * (1 + _ROUNDING))

    def score(self, log2: np.ndarray) -> np.ndarray:
        """Score samples: 0 is as far out as the median validation sample, above 1 is flagged."""
        return np.asarray(((self.measure(log2) - self.middle) / self.reach).max(axis=1))

    def to_arrays(self) -> Mapping[str, np.ndarray]:
        """Return everything fitted, by name; `Novelty` takes it back as keywords."""
        return asdict(self)


def _decompose(scaled: np.ndarray, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """Return the first principal components by subspace iteration, of shape (n_components, n_genes)."""
    # A third of the samples at most: with as many components as samples nothing would lie outside.
    n_found = max(1, min(n_components, len(scaled) // 3, scaled.shape[1] - 1))
    start = rng.standard_normal((scaled.shape[1], min(n_found + 10, *scaled.shape))).astype(np.float32)
    basis = np.linalg.qr(scaled @ start)[0]
    for _ in range(2):
        basis = np.linalg.qr(scaled @ np.linalg.qr(scaled.T @ basis)[0])[0]
    return np.linalg.svd(basis.T @ scaled, full_matrices=False)[2][:n_found]


def _wave(places: np.ndarray, frequencies: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return random Fourier features, whose inner products approximate the Gaussian kernel."""
    waves = np.cos(places @ frequencies + phases)
    return np.asarray(waves * np.sqrt(2 / len(phases)), dtype=np.float32)


def _regress(features: np.ndarray, wanted: np.ndarray, groups: np.ndarray, *, power: float) -> np.ndarray:
    """Fit ridge regression in which a sample counts 1 / (size of its group) ** power."""
    weights = np.bincount(groups)[groups].astype(np.float64) ** -power
    weights *= len(weights) / weights.sum()
    n_features = features.shape[1]
    ridge = _PENALTY * len(features) / n_features
    if len(features) < n_features:
        # The same weights, by as many unknowns as there are samples.
        gram = (features @ features.T).astype(np.float64)
        gram[np.diag_indices(len(features))] += ridge / weights
        return (features.T @ np.linalg.solve(gram, wanted)).astype(np.float32)
    weighted = (features * weights[:, None]).astype(np.float32)
    gram = (features.T @ weighted).astype(np.float64)
    gram[np.diag_indices(n_features)] += ridge
    return np.linalg.solve(gram, weighted.T @ wanted).astype(np.float32)


def judge_novelty(
    cohort: Cohort, rows: pd.DataFrame, normals: Cohort | None, evaluation: EvaluationParams
) -> tuple[Novelty, dict[str, Any]]:
    """Fit the score of novelty, and count what it flags among test samples, as they are and spoilt.

    It is fitted on training samples of the painted genes, whose rows of the split table are given too, and
    its limit is set on validation samples. Of `normals`, normal tissue, it learns from those of patients on
    the training side; those of others are only judged.
    """
    subsets = rows["split"].to_numpy()
    log2 = to_log2(cohort.expression, cohort.unit)
    train, validation, test = (log2[subsets == subset] for subset in ("train", "validation", "test"))
    truth = np.unique(rows["tumour_type"], return_inverse=True)[1]
    tissue, types, hidden = _align_normals(normals, cohort, rows, train.mean(axis=0))
    shown = tissue[~hidden] if (~hidden).sum() >= _FEWEST_NORMALS else tissue[:0]
    rng = np.random.default_rng(evaluation.seed)
    novelty = Novelty.fit(train, truth[subsets == "train"], shown if len(shown) else None, rng=rng)
    novelty = novelty.calibrate(validation, false_alarms=evaluation.false_alarms)
    shuffled = np.random.default_rng(evaluation.seed).permuted(test, axis=1)
    unlike = {"validation": validation, "test": test, "shuffled": shuffled}
    if cohort.unit != AS_IS_UNIT:
        unlike["linear"] = np.exp2(test) - 1
    if hidden.any():
        unlike["normal"] = tissue[hidden]
    flagged = {name: novelty.score(samples) > 1 for name, samples in unlike.items()}
    counts = pd.Series(flagged.get("normal", []), dtype=int).groupby(types[hidden]).agg(["sum", "size"])
    facts = {
        "false_alarms": evaluation.false_alarms,
        "n_normals_shown": len(shown),
        "flagged": {name: [int(flags.sum()), len(flags)] for name, flags in flagged.items()},
        "flagged_normals": {str(name): row.tolist() for name, row in counts.iterrows()},
    }
    return novelty, facts


def _align_normals(
    normals: Cohort | None, cohort: Cohort, rows: pd.DataFrame, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return normal tissue as log2(x+1) in the cohort's genes, its types, and whether training hides it."""
    if normals is None:
        return np.zeros((0, len(means)), np.float32), np.array([], str), np.array([], bool)
    places = normals.genes.index.get_indexer(cohort.genes.index)
    # As the registered model does it: a gene that is not there has the mean of the training samples.
    log2 = np.tile(means.astype(np.float32), (len(normals.samples), 1))
    log2[:, places >= 0] = to_log2(normals.expression[:, places[places >= 0]], normals.unit)
    # A patient without a tumour sample stands on no subset yet.
    known = rows.loc[rows["split"] != "train", "patient"]
    return (
        log2,
        normals.samples["tumour_type"].to_numpy(str),
        normals.samples["patient"].isin(known).to_numpy(),
    )
