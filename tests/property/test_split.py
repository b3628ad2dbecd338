"""What must hold for any cohort's split."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.split import split_by_patient

# Each tumour type: how many samples each of its patients has.
cohorts = st.lists(st.lists(st.integers(1, 3), min_size=3, max_size=40), min_size=1, max_size=8)
shares = st.floats(0.02, 0.45)
seeds = st.integers(0, 99)
few = settings(deadline=None)


def make_samples(cohort):
    rows = [
        (f"p{kind}.{patient}", f"T{kind}")
        for kind, patients in enumerate(cohort)
        for patient, n_samples in enumerate(patients)
        for _ in range(n_samples)
    ]
    samples = pd.DataFrame(rows, columns=["patient", "tumour_type"])
    return samples.set_index("s" + samples.index.astype(str))


@few
@given(cohorts, shares, shares, seeds)
def test_patients_are_on_one_side_and_shares_are_kept(cohort, validation, test, seed):
    samples = make_samples(cohort)
    sides = split_by_patient(samples, validation=validation, test=test, rng=np.random.default_rng(seed))
    patients = (
        samples.assign(side=sides)
        .groupby("patient")
        .agg(tumour_type=("tumour_type", "first"), side=("side", "first"), n_sides=("side", "nunique"))
    )
    assert (patients["n_sides"] == 1).all()
    counts = patients.groupby("tumour_type")["side"].value_counts().unstack(fill_value=0)
    assert set(counts.columns) == {"train", "validation", "test"}
    assert counts.to_numpy().min() >= 1
    sizes = counts.sum(axis=1)
    # Whole patients: less than one away from the share, except where a side would be empty.
    assert ((counts["test"] - sizes * test).abs() < 1 + 1e-6).all()
    assert ((counts["validation"] - sizes * validation)[counts["validation"] > 1] < 1 + 1e-6).all()
    if (sizes * min(test, validation)).min() >= 1 and (sizes * (1 - test - validation)).min() >= 3:
        assert abs(counts["test"].sum() - sizes.sum() * test) <= 0.5 + 1e-6
        assert abs(counts["validation"].sum() - sizes.sum() * validation) <= 0.5 + 1e-6


@few
@given(cohorts, seeds, seeds)
def test_order_of_rows_does_not_matter(cohort, seed, shuffle):
    samples = make_samples(cohort)
    shuffled = samples.sample(frac=1, random_state=shuffle)
    sides, again = (
        split_by_patient(table, validation=0.1, test=0.2, rng=np.random.default_rng(seed))
        for table in (samples, shuffled)
    )
    pd.testing.assert_series_equal(sides, again[sides.index])
