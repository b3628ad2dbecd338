from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.sources.embedded import Options, read
from expressionist.sources.embedded.patients import LEAST_PATIENTS, share_out
from rounds import count_rounds


@settings(max_examples=count_rounds(4, 8), deadline=None)
@given(st.integers(264, 500), st.integers(243, 700), st.integers(0, 2**40))
def test_any_size_and_seed_gives_a_whole_cohort(n_samples, n_genes, seed):
    cohort, quality = read(Options(n_samples=n_samples, n_genes=n_genes, seed=seed), Path("none"))
    assert cohort.expression.shape == (n_samples, n_genes)
    assert len(cohort.tumour_types) == 33
    assert cohort.samples.groupby("tumour_type")["patient"].nunique().min() >= LEAST_PATIENTS
    assert quality["n_samples"] == n_samples
    assert quality["n_markers"] == (cohort.genes["marker_of"] != "").sum()


@settings(deadline=None)
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=40), st.integers(0, 5000))
def test_shares_sum_up_respect_the_floor_and_the_order(sizes, extra):
    n_samples = LEAST_PATIENTS * len(sizes) + extra
    shares = share_out(n_samples, np.array(sizes))
    assert shares.sum() == n_samples
    assert shares.min() >= LEAST_PATIENTS
    ordered = shares[np.argsort(sizes, kind="stable")]
    # A larger type never gets fewer; equal ones may differ by the one sample that was left over.
    smaller_than_next = np.diff(np.sort(sizes)) > 0
    assert (np.diff(ordered)[smaller_than_next] >= 0).all()
    assert (np.diff(ordered)[~smaller_than_next] >= -1).all()
