"""Divide the samples into train, validation and test."""

from pathlib import Path

import numpy as np

from expressionist.data import read_cohort, split_by_patient, write_split
from expressionist.params import SplitParams


def run(split: SplitParams, *, cohort: Path, out: Path) -> None:
    """Write in which subset every sample is."""
    found = read_cohort(cohort / "cohort.h5ad")
    rng = np.random.default_rng(split.seed)
    subsets = split_by_patient(found.samples, validation=split.validation, test=split.test, rng=rng)
    write_split(out, found, subsets)
