"""Samples unlike the training cohort: two measures, and one out-of-distribution score that flags them.

1. *outside*: the distance from the training samples, in units of how these vary on principal components and
   outside them. Broken input (another unit, shuffled genes) is farther by orders of magnitude.
2. *foreign*: how little a sample belongs to any tumour type, by kernel ridge regression and by distance to
   the nearest type, and how much to normal tissue, if some was shown: no distance to tumours tells that.
   All are on linear discriminants of the genes' ranks within their sample: axes along which types differ, in
   units of how samples of one type do (docs/probabilities.md has the figures).

Everything fitted is an array: the registered model scores without scikit-learn, and is stored without pickle.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import ThreadpoolController

from expressionist.data import AS_IS_UNIT, Cohort, deal_folds, to_log2
from expressionist.params import EvaluationParams

_N_COMPONENTS = 100
_N_FEATURES = 4000
# Chosen on tcga-mirna-32 by leaving out 16 of its types, one at a time, and judged on the others: the ridge
# penalty per sample and feature, how narrow the kernel is against the mean squared distance from the centre,
# the share of mean variance added to the covariance within types, and how much the logarithm of the squared
# distance and being normal tissue count beside not belonging to a type.
_PENALTY = 0.1
_WIDTH = 6.0
_SHRINKAGE = 0.1
_DISTANCE = 0.15
_NORMAL = 0.9
# Genes that hardly vary must not rule the distances: a spread, in log2 and in mean spreads of ranks, that is
# added to every gene's own.
_LEAST_SPREAD = 0.1
# Share of the false alarms that each measure may cause. What lies outside is out of distribution by orders of
# magnitude or not at all, so little is lost there.
_SHARES = (0.1, 0.9)
_ROUNDING = 1e-4
# A handful of normal samples says more about their patients than about normal tissue.
_FEWEST_NORMALS = 10
# What one false alarm in a hundred takes; and folds of training samples, where validation samples are fewer.
_ENOUGH = 100
_N_FOLDS = 5
# Samples that are measured at once: what they take stays in the processor's cache.
_BLOCK = 32


@dataclass(frozen=True, eq=False)
class Novelty:
    """What makes a sample unlike the training cohort; expression (n_samples, n_genes) is in log2(x+1).

    After Tipping, Bishop (probabilistic principal components, JRSS B 61, 1999), Halko, Martinsson, Tropp
    (randomised decompositions, SIAM Review 53, 2011), Friedman (regularised discriminants, JASA 84, 1989),
    Lee and others (distance to the nearest class, NeurIPS 2018), Rahimi, Recht (random features of kernels,
    NIPS 2007), and Hendrycks, Mazeika, Dietterich (outlier exposure, ICLR 2019).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> types = np.arange(120) % 2
    >>> log2 = (6 * types[:, None] + rng.normal(size=(120, 30))).astype("float32")
    >>> novelty = Novelty.fit(log2[:80], types[:80], None, rng=rng)
    >>> novelty = novelty.calibrate(novelty.measure(log2[80:]), false_alarms=0.05)
    >>> bool(novelty.score(log2[:1] + 40)[0] > 1), float((novelty.score(log2[80:]) > 1).mean()) <= 0.05
    (True, True)
    """

    # Of every gene over training samples, (n_genes,).
    centre: np.ndarray
    spread: np.ndarray
    # Principal components of the standardised training samples, each as long as it is not noise,
    # (n_components, n_genes).
    components: np.ndarray
    # Discriminants of ranks, (n_genes, n_axes), their origin, (n_axes,), and the types, (n_types, n_axes).
    axes: np.ndarray
    origin: np.ndarray
    middles: np.ndarray
    # Random Fourier features of the Gaussian kernel, (n_axes, n_features) and (n_features,).
    frequencies: np.ndarray
    phases: np.ndarray
    # Weights of the regressions on types and on being normal tissue, (n_features, n_types) and (..., 0 or 1).
    by_type: np.ndarray
    by_normal: np.ndarray
    # Median of every measure over samples that were not fitted on, and its distance to what is out of
    # distribution.
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
        n_types, far = int(types.max()) + 1, log2[:0] if normals is None else normals
        # Normal tissue is one more type to the discriminants and the regression.
        groups = np.concatenate([types, np.full(len(far), n_types)])
        members = np.eye(n_types + min(len(far), 1), dtype=np.float32)[groups]
        places, axes, origin = _discriminate(np.concatenate([_rank(log2), _rank(far)]), members)
        middles = _average(places, members)[:n_types]
        scale = np.sqrt(_WIDTH / max(places.var(axis=0).sum(), 1e-6))
        frequencies = (scale * rng.standard_normal((places.shape[1], _N_FEATURES))).astype(np.float32)
        phases = rng.uniform(0, 2 * np.pi, _N_FEATURES).astype(np.float32)
        weights = _regress(_wave(places, frequencies, phases), members, groups)
        parts = centre, spread, components, axes, origin, middles, frequencies, phases
        by_type, by_normal = weights[:, :n_types], weights[:, n_types:]
        return cls(*parts, by_type, by_normal, middle=np.zeros(0), reach=np.zeros(0))

    def measure(self, log2: np.ndarray) -> np.ndarray:
        """Measure samples, in columns: outside and foreign."""
        # One BLAS thread: two wait for each other, and up to a hundredfold for those of TensorFlow.
        with _find_blas().limit(limits=1, user_api="blas"):
            blocks = range(0, max(len(log2), 1), _BLOCK)
            return np.concatenate([self._measure(log2[first : first + _BLOCK]) for first in blocks])

    def _measure(self, log2: np.ndarray) -> np.ndarray:
        # In place: to a few samples new memory costs as much as the sums.
        scaled = log2 - self.centre
        scaled /= self.spread
        inside = np.square(scaled @ self.components.T).sum(axis=1)
        outside = np.square(scaled, out=scaled).sum(axis=1) - inside
        places = _rank(log2) @ self.axes - self.origin
        nearest = np.square(places[:, None] - self.middles).sum(axis=2).min(axis=1)
        features = _wave(places, self.frequencies, self.phases)
        normal = np.maximum(features @ self.by_normal, 0).sum(axis=1)
        foreign = (
            _DISTANCE * np.log(nearest + 1e-6) - (features @ self.by_type).max(axis=1) + _NORMAL * normal
        )
        return np.column_stack([np.log(np.maximum(outside, 1e-6)), foreign]).astype(np.float64)

    def calibrate(self, measures: np.ndarray, *, false_alarms: float) -> "Novelty":
        """Set what is out of distribution: at most a share of samples that measure so is flagged.

        `measures`, from `measure`, are of samples that the score was not fitted on.
        """
        middle = np.median(measures, axis=0)
        limits = [
            np.quantile(measure, 1 - false_alarms * share)
            for measure, share in zip(measures.T, _SHARES, strict=True)
        ]
        reach = np.maximum(limits - middle, _ROUNDING)
        highest = ((measures - middle) / reach).max(axis=1)
        # Of n samples the k-th largest is the limit if k - 1 may lie above it.
        limit = np.quantile(highest, 1 - false_alarms, method="higher")
        # The sample at the limit must not pass it when it is scored among others, rounded differently.
        return replace(self, middle=middle, reach=reach * max(float(limit), 1e-9) * (1 + _ROUNDING))

    def score(self, log2: np.ndarray) -> np.ndarray:
        """Score samples: 0 is as far out as the median sample not fitted on, above 1 is flagged."""
        return np.asarray(((self.measure(log2) - self.middle) / self.reach).max(axis=1))

    def to_arrays(self) -> Mapping[str, np.ndarray]:
        """Return everything fitted, by name; `Novelty` takes it back as keywords."""
        return asdict(self)


def doubt_novelty(n_limiting: int | None, n_normals: int) -> str:
    """Say in a sentence how little it proves that a sample is not flagged.

    Parameters
    ----------
    n_limiting : int, optional
        Samples that set the limit of the score, if known.
    n_normals : int
        Samples of normal tissue that the score was shown.

    Returns
    -------
    str
        The sentence, empty where the limit was set on enough samples and normal tissue was shown.

    Examples
    --------
    >>> doubt_novelty(400, 20)
    ''
    >>> doubt_novelty(15, 20)  # doctest: +ELLIPSIS
    'Novelty limit set on 15 samples, where 100 or more are wanted: tumours of types that the model ...'
    """
    doubts = []
    if n_limiting is not None and n_limiting < _ENOUGH:
        doubts.append(f"on {n_limiting} samples, where {_ENOUGH} or more are wanted")
    if not n_normals:
        doubts.append("without normal tissue of training patients")
    if not doubts:
        return ""
    return (
        f"Novelty limit set {', and '.join(doubts)}: tumours of types that the model does not know are "
        f"mostly not flagged{'' if n_normals else ', and normal tissue hardly ever is'}."
    )


@cache
def _find_blas() -> ThreadpoolController:
    """Look through the libraries that are loaded, once: that takes a millisecond."""
    return ThreadpoolController()


def _decompose(scaled: np.ndarray, n_components: int, rng: np.random.Generator) -> np.ndarray:
    """Return principal components by subspace iteration, (n_components, n_genes), shorter the less they vary.

    A squared length less that on these axes is a distance in which every axis varies as much as noise.
    """
    # A third of the samples at most: with as many components as samples nothing would lie outside.
    n_found = max(1, min(n_components, len(scaled) // 3, scaled.shape[1] - 1))
    start = rng.standard_normal((scaled.shape[1], min(n_found + 10, *scaled.shape))).astype(np.float32)
    basis = np.linalg.qr(scaled @ start)[0]
    for _ in range(2):
        basis = np.linalg.qr(scaled @ np.linalg.qr(scaled.T @ basis)[0])[0]
    _, lengths, axes = np.linalg.svd(basis.T @ scaled, full_matrices=False)
    squares = np.square(lengths[:n_found])
    noise = max(float(np.square(scaled).sum() - squares.sum()), 0.0) / (scaled.shape[1] - n_found + 1e-6)
    return axes[:n_found] * np.sqrt(np.maximum(1 - noise / np.maximum(squares, 1e-6), 0))[:, None]


def _rank(log2: np.ndarray) -> np.ndarray:
    """Rank genes within their sample, from 0 to 1; equals share a rank."""
    ranks = np.empty(log2.shape, np.float32)
    for row, values in enumerate(np.asarray(log2, np.float32)):
        order = _sort(values)
        ordered = values[order]
        firsts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        sizes = np.diff(firsts, append=len(values))
        ranks[row, order] = np.repeat((firsts + (sizes + 1) / 2) / len(values), sizes)
    return ranks


def _sort(values: np.ndarray) -> np.ndarray:
    """Return what sorts float32: NumPy sorts 16 bits by their digits, so halves in a fifth of the time."""
    bits = (values + np.float32(0)).view(np.int32)  # of one zero
    # As integers, negative numbers lie the other way round.
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
    order = bits.astype(np.uint16).argsort(kind="stable")
    return np.asarray(order[(bits >> 16).astype(np.int16)[order].argsort(kind="stable")])


def _average(samples: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the mean of every group, of shape (n_groups, ...)."""
    return members.T @ samples / np.maximum(members.sum(axis=0), 1)[:, None]


def _discriminate(ranks: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return samples on discriminants, and these for ranks as they are, with origin; `ranks` is spoilt."""
    centre, spread = ranks.mean(axis=0), ranks.std(axis=0)
    spread += _LEAST_SPREAD * max(float(spread.mean()), 1e-6)
    ranks -= centre
    ranks /= spread
    means = _average(ranks, members)
    axes = _whiten(ranks - members @ means, means - means.mean(axis=0))
    places = ranks @ axes
    axes /= spread[:, None]
    return places, axes, centre @ axes


def _whiten(within: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return axes (n_genes, n_axes) that span groups' means, of about unit variance within groups."""
    n_samples, n_genes = within.shape
    n_least = min(n_samples, n_genes)
    shrunk = max(_SHRINKAGE * float(np.square(within).sum()) / n_samples / n_least, 1e-6)
    # The covariance and `shrunk` on its diagonal, inverted by as many unknowns as there are genes or samples.
    gram = (within.T @ within if n_genes <= n_samples else within @ within.T) / np.float32(n_samples)
    gram[np.diag_indices(n_least)] += np.float32(shrunk)
    if n_genes <= n_samples:
        directions = np.linalg.solve(gram, means.T)
    else:
        inside = within.T @ np.linalg.solve(gram, within @ means.T) / n_samples
        directions = (means.T - inside) / shrunk
    lengths, turn = np.linalg.eigh((means @ directions).astype(np.float64))
    kept = lengths > max(1e-4 * lengths.max(), 1e-9)
    return (directions @ (turn[:, kept] / np.sqrt(lengths[kept]))).astype(np.float32)


def _wave(places: np.ndarray, frequencies: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return random Fourier features, whose inner products approximate the Gaussian kernel."""
    waves = np.cos(places @ frequencies + phases)
    return np.asarray(waves * np.sqrt(2 / len(phases)), dtype=np.float32)


def _regress(features: np.ndarray, wanted: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Fit ridge regression in which a sample counts 1 / sqrt(size of its group)."""
    weights = np.bincount(groups)[groups].astype(np.float64) ** -0.5
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
    its limit is set on validation samples; where these are few, also on training samples, each measured by a
    score that was fitted to other patients'. Of `normals`, normal tissue, it learns from those of patients
    on the training side; those of others are only judged.
    """
    subsets = rows["split"].to_numpy()
    log2 = to_log2(cohort.expression, cohort.unit)
    train, validation, test = (log2[subsets == subset] for subset in ("train", "validation", "test"))
    truth = np.unique(rows["tumour_type"], return_inverse=True)[1]
    tissue, types, owners, hidden = _align_normals(normals, cohort, rows, train.mean(axis=0))
    learned = ~hidden & ((~hidden).sum() >= _FEWEST_NORMALS)
    shown = tissue[learned]
    rng = np.random.default_rng(evaluation.seed)
    taught, patients = truth[subsets == "train"], rows["patient"].to_numpy(str)[subsets == "train"]
    novelty = Novelty.fit(train, taught, shown, rng=rng)
    measures = [novelty.measure(validation)]
    if len(validation) < _ENOUGH:
        measures += _measure_unseen(train, taught, patients, shown, owners[learned], rng)
    limiting = np.concatenate(measures)
    novelty = novelty.calibrate(limiting, false_alarms=evaluation.false_alarms)
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
        "n_limiting": len(limiting),
        "flagged": {name: [int(flags.sum()), len(flags)] for name, flags in flagged.items()},
        "flagged_normals": {str(name): row.tolist() for name, row in counts.iterrows()},
        "unlike": [
            str(name)
            for subset in ("validation", "test")
            for name in rows.index[subsets == subset][flagged[subset]]
        ],
    }
    return novelty, facts


def _measure_unseen(
    log2: np.ndarray,
    types: np.ndarray,
    patients: np.ndarray,
    normals: np.ndarray,
    owners: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Measure training samples, fold by fold, by scores fitted to other patients' tumours and normals."""
    n_folds = min(_N_FOLDS, len(np.unique(patients)))
    fold_of = deal_folds(types, patients, n_folds, rng)
    for fold in range(n_folds):
        known = fold_of != fold
        # Of a type that one patient has, the others teach nothing.
        judged = ~known & np.isin(types, types[known])
        if judged.any():
            present = np.unique(types[known], return_inverse=True)[1]
            others = ~np.isin(owners, patients[judged])
            other = Novelty.fit(log2[known], present, normals[others], rng=rng)
            yield other.measure(log2[judged])


def _align_normals(
    normals: Cohort | None, cohort: Cohort, rows: pd.DataFrame, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return normal tissue as log2(x+1) in the cohort's genes, its types, patients, and which is hidden."""
    if normals is None:
        nothing = np.array([], str)
        return np.zeros((0, len(means)), np.float32), nothing, nothing, np.array([], bool)
    places = normals.genes.index.get_indexer(cohort.genes.index)
    # As the registered model does it: a gene that is not there has the mean of the training samples.
    log2 = np.tile(means.astype(np.float32), (len(normals.samples), 1))
    log2[:, places >= 0] = to_log2(normals.expression[:, places[places >= 0]], normals.unit)
    # A patient without a tumour sample stands on no subset yet.
    known = rows.loc[rows["split"] != "train", "patient"]
    return (
        log2,
        normals.samples["tumour_type"].to_numpy(str),
        normals.samples["patient"].to_numpy(str),
        normals.samples["patient"].isin(known).to_numpy(),
    )
