"""What of the training samples travels with a model: summaries of genes, two components, patients."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from expressionist.evaluation.novelty import Novelty

LEVELS = (0.05, 0.5, 0.95)
# Of the training samples of each type.
TYPE_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_TCGA = re.compile(r"TCGA-\w{2}-\w{4}(?=-|$)", re.IGNORECASE)
_N_DIGITS = 16


@dataclass(frozen=True, eq=False)
class Footprint:
    """What another cohort is held against: neither a sample's expression nor a patient's name is in it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> log2, types = rng.normal(size=(60, 9)).astype("float32"), np.arange(60) % 2
    >>> novelty = Novelty.fit(log2, types, None, rng=rng)
    >>> left = Footprint.leave(log2, types, 3, [f"P{number}" for number in range(60)], novelty)
    >>> left.points.shape, left.means.shape, left.recognise(["P7", "Q7"]).tolist()
    ((60, 2), (3, 9), [True, False])
    """

    # Of every gene in log2(x+1): quantiles at LEVELS (3, n_genes), and the mean of each type
    # (n_types, n_genes), NaN for a type without training samples.
    quantiles: np.ndarray
    means: np.ndarray
    # Mean of the sorted training samples (n_genes,), ascending.
    profile: np.ndarray
    # Training samples on the first two components of the novelty score (n_samples, 2), and their types.
    points: np.ndarray
    types: np.ndarray
    # Digests of the patients of training and validation samples, sorted.
    patients: np.ndarray
    # Quantiles of each type's training samples at TYPE_LEVELS (n_types, 5, n_genes), NaN likewise; None in
    # versions that were registered without.
    by_type: np.ndarray | None = None
    # Digests of the patients of test samples, sorted; None likewise.
    tested: np.ndarray | None = None

    @classmethod
    def leave(
        cls,
        log2: np.ndarray,
        types: np.ndarray,
        n_types: int,
        patients: Iterable[str],
        novelty: Novelty,
        tested: Iterable[str] = (),
    ) -> "Footprint":
        """Summarise training samples, of types numbered from 0; `patients` are those of validation, too.

        `tested` are patients of test samples.
        """
        means = np.full((n_types, log2.shape[1]), np.nan, np.float32)
        by_type = np.full((n_types, len(TYPE_LEVELS), log2.shape[1]), np.nan, np.float32)
        for one in np.unique(types):
            means[one] = log2[types == one].mean(axis=0, dtype=np.float64)
            by_type[one] = np.quantile(log2[types == one], TYPE_LEVELS, axis=0)
        return cls(
            np.quantile(log2, LEVELS, axis=0).astype(np.float32),
            means,
            np.sort(log2, axis=1).mean(axis=0, dtype=np.float64).astype(np.float32),
            place_samples(novelty, log2),
            types.astype(np.int16),
            np.unique(digest_patients(patients)),
            by_type,
            np.unique(digest_patients(tested)),
        )

    def recognise(self, patients: Iterable[str]) -> np.ndarray:
        """Say of each patient whether the model was trained or chosen on a sample of the same one."""
        return np.isin(digest_patients(patients), self.patients)

    def recognise_tested(self, patients: Iterable[str]) -> np.ndarray:
        """Say of each patient whether the model was tested on a sample of the same one, if known."""
        return np.isin(digest_patients(patients), [] if self.tested is None else self.tested)

    def to_arrays(self) -> Mapping[str, np.ndarray]:
        """Return everything, by name; `Footprint` takes it back as keywords."""
        return {name: array for name, array in asdict(self).items() if array is not None}


def place_samples(novelty: Novelty, log2: np.ndarray) -> np.ndarray:
    """Place samples (n_samples, n_genes) on the first two principal components of the training samples."""
    points = ((log2 - novelty.centre) / novelty.spread) @ novelty.components[:2].T
    # Three training samples have one component.
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1]))).astype(np.float32)


def name_patients(samples: Iterable[str]) -> list[str]:
    """Name the patient of each sample: the first 12 characters of a TCGA barcode, else the sample itself.

    Examples
    --------
    >>> name_patients(["TCGA-OR-A5J1-01A-11R-A29S-07", "tcga-or-a5j1-01", "S1"])
    ['TCGA-OR-A5J1', 'TCGA-OR-A5J1', 'S1']
    """
    found = [(each, _TCGA.match(each)) for each in samples]
    return [barcode[0].upper() if barcode else each for each, barcode in found]


def digest_patients(patients: Iterable[str]) -> np.ndarray:
    """Digest names of patients, or barcodes of their samples."""
    names = name_patients(patients)
    digests = [hashlib.sha256(name.encode()).hexdigest()[:_N_DIGITS] for name in names]
    return np.array(digests, dtype=f"S{_N_DIGITS}")
