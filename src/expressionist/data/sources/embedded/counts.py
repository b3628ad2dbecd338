"""The simulated counts: negative binomial around what genes and samples bring together."""

import numpy as np
import pandas as pd

from expressionist.data.sources.embedded.genes import Genes
from expressionist.data.sources.embedded.patients import Samples

_BATCH_EFFECT, _PLATFORM_EFFECT = 0.1, 0.2
# The part of the dispersion that falls with the mean, in units of 1 / count.
_SHOT_DISPERSION = 3.0
# A marker that a patient has switched off keeps this share of its fold change.
RESIDUE = 0.1


def draw_counts(genes: Genes, samples: Samples, rng: np.random.Generator) -> np.ndarray:
    """Draw the cohort's counts, float32 of shape (n_samples, n_genes)."""
    table = samples.table
    shift = _draw_batch_shift(table["platform"], table["batch"], len(genes.base), rng)
    counts = np.empty((len(table), len(genes.base)), np.float32)
    # One tumour type at a time bounds the memory. Nothing goes through BLAS, whose sums may depend on
    # its number of threads, as the counts must not.
    for name in genes.types:
        rows = np.flatnonzero(table["tumour_type"] == name)
        tumour = _mean_log2(genes, samples, rows, rng) + shift[rows]
        counts[rows] = _draw(_mix(genes, samples, rows, tumour), genes.dispersion, rng)
    return counts


def _draw_batch_shift(
    platform: pd.Series, batch: pd.Series, n_genes: int, rng: np.random.Generator
) -> np.ndarray:
    shift = np.zeros((len(batch), n_genes), np.float32)
    for column, effect in ((platform, _PLATFORM_EFFECT), (batch, _BATCH_EFFECT)):
        codes, names = pd.factorize(column, sort=True)
        shift += rng.normal(0, effect, (len(names), n_genes)).astype(np.float32)[codes]
    return shift


def _mean_log2(genes: Genes, samples: Samples, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    table = samples.table.iloc[rows]
    own = genes.types.index(table["tumour_type"].iloc[0])
    other = np.array([genes.types.index(name or genes.types[own]) for name in table["resembles"]])
    lean = table["resemblance"].to_numpy()[:, None]
    mean = genes.base + genes.profile[own] * (1 - lean) + genes.profile[other] * lean
    markers = np.flatnonzero(genes.planted.any(axis=0))
    planted = genes.planted[:, markers]
    change = planted[own] * (1 - lean) + planted[other] * lean
    patient, patients = pd.factorize(table["patient"])
    switched_on = rng.random((len(patients), len(markers)))[patient] < genes.detection[markers]
    mean[:, markers] += np.where(switched_on, change, RESIDUE * change)
    for activity, (positions, loading) in zip(samples.activity[rows].T, genes.modules, strict=True):
        mean[:, positions] += activity[:, None] * loading
    return mean


def _mix(genes: Genes, samples: Samples, rows: np.ndarray, tumour: np.ndarray) -> np.ndarray:
    purity = samples.table["purity"].to_numpy()[rows, None]
    immune = samples.immune[rows, None]
    admixture = (1 - immune) * np.exp2(genes.stroma) + immune * np.exp2(genes.immune)
    return samples.depth[rows, None] * (purity * np.exp2(tumour) + (1 - purity) * admixture)


def _draw(mean: np.ndarray, dispersion: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    # A Poisson draw around a gamma draw is negative binomial: variance = mean + dispersion · mean².
    spread = dispersion + _SHOT_DISPERSION / np.maximum(mean, 1)
    return rng.poisson(rng.standard_gamma(1 / spread) * spread * mean)
