"""Samples unlike the training cohort: three measures of strangeness, and one score that flags them.

1. *outside*: what of a sample lies outside the principal components of the training samples. Broken input
   (another unit, shuffled genes) is larger there by orders of magnitude.
2. *unfamiliar*: how little a sample belongs to any tumour type, by kernel ridge regression on the components.
   A Gaussian kernel, other than a linear classifier, gives little to what is far from all it was fitted on.
3. *normal*: how much a sample resembles normal tissue rather than tumours, by the same regression, where
   normal samples were there to learn from. Tumours are so diverse, and contain so much normal tissue, that no
   distance to tumours alone tells it (docs/probabilities.md has the figures).

Only NumPy is needed, and everything fitted is an array: the registered model scores without scikit-learn, and
is stored without pickle.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np

_N_COMPONENTS = 100
_N_FEATURES = 4000
# Ridge penalty per sample and feature, and how narrow the kernel is against the mean distance; chosen
# on tcga-mirna-32 by five-fold cross-validation over patients, where half of either did as well and a kernel
# twice as narrow did worse.
_PENALTY = 0.1
_WIDTH = 0.5
# Genes that hardly vary must not rule the distances: a spread, in log2, that is added to every gene's own.
_LEAST_SPREAD = 0.1
# Share of the false alarms that each measure may cause. What lies outside is strange by orders of magnitude
# or not at all, so little is lost there.
_SHARES = (0.1, 0.2, 0.7)
_ROUNDING = 1e-4


@dataclass(frozen=True, eq=False)
class Novelty:
    """What makes a sample unlike the training cohort.

    Parameters
    ----------
    centre, spread : numpy.ndarray of shape (n_genes,)
        Mean and spread of every gene over training samples, in log2(x+1).
    components : numpy.ndarray of shape (n_components, n_genes)
        Principal components of the standardised training samples.
    frequencies, phases : numpy.ndarray of shape (n_components, n_features) and (n_features,)
        Random Fourier features of the Gaussian kernel.
    by_type : numpy.ndarray of shape (n_features, n_types)
        Weights of the regression on tumour types.
    by_normal : numpy.ndarray of shape (n_features, 0 or 1)
        Weights of the regression on being normal tissue.
    middle, reach : numpy.ndarray of shape (n_measures,)
        Median of every measure over validation samples, and its distance to what counts as strange.

    References
    ----------
    Rahimi, Recht: Random Features for Large-Scale Kernel Machines, NIPS 2007. Halko, Martinsson, Tropp:
    Finding Structure with Randomness, SIAM Review 53, 2011. Hendrycks, Mazeika, Dietterich: Deep Anomaly
    Detection with Outlier Exposure, ICLR 2019 (showing some of the strange samples).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> types = np.arange(120) % 2
    >>> log2 = (6 * types[:, None] + rng.normal(size=(120, 30))).astype("float32")
    >>> novelty = Novelty.fit(log2[:80], types[:80], None, rng=rng).calibrate(log2[80:], false_alarms=0.05)
    >>> bool(novelty.score(log2[:1] + 40)[0] > 1), float((novelty.score(log2[80:]) > 1).mean()) <= 0.05
    (True, True)
    """

    centre: np.ndarray
    spread: np.ndarray
    components: np.ndarray
    frequencies: np.ndarray
    phases: np.ndarray
    by_type: np.ndarray
    by_normal: np.ndarray
    middle: np.ndarray
    reach: np.ndarray

    @classmethod
    def fit(
        cls, log2: np.ndarray, types: np.ndarray, normals: np.ndarray | None, *, rng: np.random.Generator
    ) -> "Novelty":
        """Learn what training samples are like.

        Parameters
        ----------
        log2 : numpy.ndarray of shape (n_samples, n_genes)
            Training samples, in log2(x+1).
        types : numpy.ndarray of shape (n_samples,)
            Their tumour types, numbered from 0.
        normals : numpy.ndarray of shape (n_normals, n_genes), optional
            Normal tissue of patients that stand on the training side.
        rng : numpy.random.Generator
            Draws the directions of the decomposition and of the features.

        Returns
        -------
        Novelty
            To be calibrated before it scores.
        """
        centre = log2.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = log2.std(axis=0, dtype=np.float64).astype(np.float32) + np.float32(_LEAST_SPREAD)
        components = _decompose((log2 - centre) / spread, _N_COMPONENTS, rng)
        known = ((log2 - centre) / spread) @ components.T
        strange = known[:0] if normals is None else ((normals - centre) / spread) @ components.T
        every = np.concatenate([known, strange])
        scale = np.sqrt(4 * _WIDTH / np.square(every).sum(axis=1).mean())
        frequencies = (scale * rng.standard_normal((every.shape[1], _N_FEATURES))).astype(np.float32)
        phases = rng.uniform(0, 2 * np.pi, _N_FEATURES).astype(np.float32)
        features = _wave(every, frequencies, phases)
        members = np.eye(int(types.max()) + 1)[types]
        is_normal = np.repeat([0, 1], [len(known), len(strange)])
        return cls(
            centre=centre,
            spread=spread,
            components=components,
            frequencies=frequencies,
            phases=phases,
            by_type=_regress(features[: len(known)], members, types, power=0.5),
            by_normal=_regress(features, is_normal[:, None] - 0.5, is_normal, power=1.0)[
                :, : min(len(strange), 1)
            ],
            middle=np.zeros(0),
            reach=np.zeros(0),
        )

    def measure(self, log2: np.ndarray) -> np.ndarray:
        """Measure in which ways samples are strange.

        Parameters
        ----------
        log2 : numpy.ndarray of shape (n_samples, n_genes)
            In log2(x+1), genes as fitted.

        Returns
        -------
        numpy.ndarray of shape (n_samples, 2 or 3)
            outside, unfamiliar and, where normal samples were fitted, normal: the higher, the stranger.
        """
        scaled = (log2 - self.centre) / self.spread
        places = scaled @ self.components.T
        outside = np.square(scaled).sum(axis=1) - np.square(places).sum(axis=1)
        features = _wave(places, self.frequencies, self.phases)
        familiar = (features @ self.by_type).max(axis=1)
        return np.column_stack(
            [np.log(np.maximum(outside, 1e-6)), -familiar, features @ self.by_normal]
        ).astype(np.float64)

    def calibrate(self, log2: np.ndarray, *, false_alarms: float) -> "Novelty":
        """Set what counts as strange, so that a given share of validation samples is flagged.

        Parameters
        ----------
        log2 : numpy.ndarray of shape (n_samples, n_genes)
            Validation samples, in log2(x+1).
        false_alarms : float
            Share of them that may be flagged. With fewer than 1 / `false_alarms` of them none is.

        Returns
        -------
        Novelty
            Flags at a score above 1.
        """
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
        """Score samples: 0 is as strange as the median validation sample, above 1 is flagged.

        Parameters
        ----------
        log2 : numpy.ndarray of shape (n_samples, n_genes)
            In log2(x+1), genes as fitted.

        Returns
        -------
        numpy.ndarray of shape (n_samples,)
            float64; the largest of the measures, each in units of its own reach.
        """
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
