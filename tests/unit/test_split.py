"""The split on small tables."""

import numpy as np
import pandas as pd
import pytest

from expressionist.errors import CohortError, ParamsError
from expressionist.split import SIDES, split_by_patient

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
    return patients.groupby("tumour_type")["side"].value_counts().unstack(fill_value=0)[list(SIDES)]


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
