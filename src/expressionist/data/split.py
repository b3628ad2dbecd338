"""The split into training, validation and test samples: stratified by tumour type, grouped by patient."""

from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.data.cohort import Cohort
from expressionist.errors import CohortError, ParamsError, name_some
from expressionist.files import read_table, write_table

SUBSETS = ("train", "validation", "test")


def split_by_patient(
    samples: pd.DataFrame, *, validation: float, test: float, rng: np.random.Generator
) -> pd.Series:
    """Assign every sample to a side, all samples of a patient to the same one.

    Shares are counted in patients. In every tumour type they are met to within rounding, with at least one
    patient on every side; the roundings of the types are balanced against each other, so that the shares hold
    for the cohort as well.

    Parameters
    ----------
    samples : pandas.DataFrame of length n_samples
        Indexed by sample id, with ``patient`` and ``tumour_type``. The order of its rows does not matter.
    validation, test : float
        Shares of patients to hold out, above 0 and together below 1.
    rng : numpy.random.Generator
        Chooses the patients.

    Returns
    -------
    pandas.Series of length n_samples
        One of `SUBSETS` for each sample.

    Raises
    ------
    ParamsError
        If the shares leave a side empty.
    CohortError
        If a tumour type has fewer than three patients.

    Examples
    --------
    >>> samples = pd.DataFrame({"patient": list("aabbccddee"), "tumour_type": "UVM"})
    >>> subsets = split_by_patient(samples, validation=0.2, test=0.2, rng=np.random.default_rng(1))
    >>> subsets.value_counts().to_dict()
    {'train': 6, 'validation': 2, 'test': 2}
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise ParamsError(
            "Shares for validation and test must be above 0 and together below 1, but got "
            f"{validation:g} and {test:g}. Correct them."
        )
    # Words, not categories: an unused category would be a tumour type without patients.
    type_of = samples.astype({"patient": str, "tumour_type": str}).groupby("patient")["tumour_type"].first()
    n_patients = type_of.value_counts().sort_index()
    small = n_patients.index[n_patients < len(SUBSETS)]
    if len(small):
        raise CohortError(
            f"A tumour type must have at least {len(SUBSETS)} patients, one for each subset of the split, "
            f"but {len(small)} have fewer: {name_some(small)}. Leave these types out."
        )
    n_test = _allot(n_patients * test, most=n_patients - 2)
    # A type that came off short in the test share comes first in the validation share.
    n_validation = _allot(
        n_patients * validation, most=n_patients - 1 - n_test, owed=n_patients * test - n_test
    )
    subset_of = {}
    for tumour_type in n_patients.index:
        # groupby has sorted the patients: the order of the table is forgotten.
        shuffled = rng.permutation(type_of.index[type_of == tumour_type])
        ends = np.cumsum([n_test[tumour_type], n_validation[tumour_type]])
        for subset, chosen in zip(("test", "validation", "train"), np.split(shuffled, ends), strict=True):
            subset_of.update(dict.fromkeys(chosen, subset))
    return samples["patient"].astype(str).map(subset_of).astype(object).rename("split")


def deal_folds(types: np.ndarray, patients: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal patients to folds that differ by one at most in all and in every tumour type.

    Parameters
    ----------
    types, patients : numpy.ndarray of shape (n_samples,)
        Of every sample. A patient with samples of two types is dealt with those of the first.
    n_folds : int
        At most the number of patients.
    rng : numpy.random.Generator
        Orders the patients of a type.

    Returns
    -------
    numpy.ndarray of shape (n_samples,)
        Fold of every sample, from 0; all samples of a patient are in one fold.

    Examples
    --------
    >>> patients = np.array(["a", "b", "c", "d", "d"])
    >>> folds = deal_folds(np.array([0, 0, 1, 1, 1]), patients, 2, np.random.default_rng(1))
    >>> np.bincount(folds[:4]).tolist(), bool(folds[3] == folds[4])
    ([2, 2], True)
    """
    # Sorted: the order of the samples is forgotten.
    known, first, whose = np.unique(patients, return_index=True, return_inverse=True)
    if n_folds > len(known):
        raise CohortError(
            f"There must be a patient for each of {n_folds} folds, but got {len(known)}. Ask for fewer."
        )
    shuffled = rng.permutation(len(known))
    dealt = shuffled[np.argsort(types[first][shuffled], kind="stable")]
    fold = np.empty(len(known), int)
    fold[dealt] = np.arange(len(known)) % n_folds
    return fold[whose]


def _allot(quota: pd.Series, most: pd.Series, owed: pd.Series | float = 0.0) -> pd.Series:
    """Round quotas to whole patients, at least 1 and at most `most` each, so that their sum is kept."""
    quota = quota.round(9)
    counts = np.floor(quota).clip(lower=1, upper=most).astype(int)
    n_more = round(quota.sum()) - counts.sum()
    short = (quota - counts + owed)[(counts < quota) & (counts < most)]
    # The largest remainders are rounded up; of equal ones the first types in alphabetical order.
    counts[short.sort_values(ascending=False, kind="stable").index[: max(n_more, 0)]] += 1
    return counts


def write_split(path: Path, cohort: Cohort, split: pd.Series) -> None:
    """Write which subset every sample stands on: columns sample, patient, tumour_type, split."""
    write_table(path, cohort.samples[["patient", "tumour_type"]].assign(split=split).rename_axis("sample"))


def read_split(path: Path) -> pd.DataFrame:
    """Read what `write_split` wrote, indexed by sample."""
    return read_table(path, index="sample")
