"""The split on small tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.data.split import SUBSETS, deal_folds, read_split, split_by_patient, write_split
from expressionist.errors import CohortError, ParamsError
from toy import make_cohort

SHARES = {"validation": 0.1, "test": 0.1}


def make_samples(n_patients, n_samples_each=1):
    rows = [
        (f"{tumour_type}-{patient}-{sample}", f"{tumour_type}-{patient}", tumour_type)
        for tumour_type, n in n_patients.items()
        for patient in range(n)
        for sample in range(n_samples_each)
    ]
    return pd.DataFrame(rows, columns=["sample", "patient", "tumour_type"]).set_index("sample")


def count(samples, sides):
    patients = samples.assign(side=sides).drop_duplicates("patient")
    return patients.groupby("tumour_type")["side"].value_counts().unstack(fill_value=0)[list(SUBSETS)]


def test_all_samples_of_a_patient_are_on_one_side():
    samples = make_samples({"UVM": 30, "SKCM": 30}, n_samples_each=3)
    sides = split_by_patient(samples, **SHARES, rng=np.random.default_rng(1))
    assert sides.groupby(samples["patient"]).nunique().eq(1).all()
    assert sides.index.equals(samples.index)


def test_shares_are_met_in_every_type():
    samples = make_samples({"UVM": 20, "SKCM": 100, "ACC": 10})
    counts = count(samples, split_by_patient(samples, **SHARES, rng=np.random.default_rng(1)))
    assert counts.loc["UVM"].tolist() == [16, 2, 2]
    assert counts.loc["SKCM"].tolist() == [80, 10, 10]
    assert counts.loc["ACC"].tolist() == [8, 1, 1]


def test_roundings_do_not_pile_up():
    # 33 types of 14: every single one wants 1.4 patients, and 33 times 1 would be 7% instead of 10%.
    samples = make_samples({f"T{number:02d}": 14 for number in range(33)})
    counts = count(samples, split_by_patient(samples, **SHARES, rng=np.random.default_rng(1)))
    assert counts["test"].sum() == round(33 * 1.4)
    assert counts["validation"].sum() == round(33 * 1.4)
    assert set(counts["test"]) == {1, 2}
    # A type that is short in one share is made up for in the other: training stays close to 11.2.
    assert set(counts["train"]) <= {11, 12}


@pytest.mark.parametrize("n_patients", [3, 4, 5])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.45])
def test_small_types_reach_every_side(n_patients, share):
    samples = make_samples({"CHOL": n_patients, "BRCA": 40})
    sides = split_by_patient(samples, validation=share, test=share, rng=np.random.default_rng(1))
    assert count(samples, sides).loc["CHOL"].min() >= 1


def test_types_too_small_are_refused_by_name():
    samples = make_samples({"CHOL": 2, "BRCA": 9, "UCS": 1})
    with pytest.raises(CohortError, match=r"at least 3 patients.*but 2 have fewer: CHOL, UCS\. "):
        split_by_patient(samples, **SHARES, rng=np.random.default_rng(1))


def test_many_samples_do_not_replace_patients():
    with pytest.raises(CohortError, match="1 have fewer: CHOL"):
        split_by_patient(make_samples({"CHOL": 2}, n_samples_each=5), **SHARES, rng=np.random.default_rng(1))


@pytest.mark.parametrize(("validation", "test"), [(0, 0.1), (0.1, 0), (0.5, 0.5), (-0.1, 0.2)])
def test_shares_that_empty_a_side_are_refused(validation, test):
    with pytest.raises(ParamsError, match="above 0 and together below 1"):
        split_by_patient(
            make_samples({"UVM": 9}), validation=validation, test=test, rng=np.random.default_rng(1)
        )


def test_same_seed_same_split_and_another_seed_another():
    samples = make_samples({"UVM": 40})
    first, again, other = (
        split_by_patient(samples, **SHARES, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    pd.testing.assert_series_equal(first, again)
    assert (first != other).any()


def test_unused_categories_are_no_tumour_types():
    samples = make_samples({"UVM": 9, "ACC": 9}).astype("category")
    samples = samples[samples["tumour_type"] == "UVM"]
    sides = split_by_patient(samples, **SHARES, rng=np.random.default_rng(1))
    assert sides.value_counts().to_dict() == {"train": 7, "validation": 1, "test": 1}


# What must hold for any cohort's split.


# Each tumour type: how many samples each of its patients has.
cohorts = st.lists(st.lists(st.integers(1, 3), min_size=3, max_size=40), min_size=1, max_size=8)
shares = st.floats(0.02, 0.45)
seeds = st.integers(0, 99)
few = settings(deadline=None)


def draw_samples(cohort):
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
    samples = draw_samples(cohort)
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
    samples = draw_samples(cohort)
    shuffled = samples.sample(frac=1, random_state=shuffle)
    sides, again = (
        split_by_patient(table, validation=0.1, test=0.2, rng=np.random.default_rng(seed))
        for table in (samples, shuffled)
    )
    pd.testing.assert_series_equal(sides, again[sides.index])


def test_split_keeps_the_order_of_the_cohort(tmp_path):
    cohort = make_cohort(n_per_type=2)
    sides = pd.Series(["train", "test", "train", "validation", "train", "test"], index=cohort.samples.index)
    write_split(tmp_path / "split.tsv", cohort, sides)
    found = read_split(tmp_path / "split.tsv")
    assert found.columns.tolist() == ["patient", "tumour_type", "split"]
    assert found["split"].tolist() == sides.tolist()
    assert found.index.tolist() == cohort.samples.index.tolist()


@few
@given(cohorts, seeds, st.integers(2, 3))
def test_folds_are_level_in_all_and_by_type_and_keep_patients_together(cohort, seed, n_folds):
    samples = draw_samples(cohort)
    # A patient's type is that of the first sample.
    types = samples.groupby("patient")["tumour_type"].transform("first").to_numpy()
    patients = samples["patient"].to_numpy()
    folds = deal_folds(types, patients, n_folds, np.random.default_rng(seed))
    dealt = pd.DataFrame({"patient": patients, "type": types, "fold": folds})
    assert (dealt.groupby("patient")["fold"].nunique() == 1).all()
    each = dealt.drop_duplicates("patient")
    for known in (each["fold"], *(rows["fold"] for _, rows in each.groupby("type"))):
        counts = np.bincount(known, minlength=n_folds)
        assert counts.max() - counts.min() <= 1
    shuffled = np.random.default_rng(seed).permutation(len(types))
    again = deal_folds(types[shuffled], patients[shuffled], n_folds, np.random.default_rng(seed))
    np.testing.assert_array_equal(again, folds[shuffled])


def test_more_folds_than_patients_are_refused():
    with pytest.raises(CohortError, match="patient for each of 3 folds, but got 2"):
        deal_folds(np.zeros(4, int), np.array(["a", "a", "b", "b"]), 3, np.random.default_rng(0))
