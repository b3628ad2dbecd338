"""What genes are ranked by, and which come first."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from expressionist.errors import CohortError
from expressionist.explain.rankings import (
    compare_halves,
    fold_change,
    mean_by_type,
    rank_types,
    t_statistic,
    tabulate_rankings,
)
from expressionist.painting.layout import Layout

awkward = settings(deadline=None)


def test_fold_change_by_hand():
    log2 = np.array([[4, 0], [6, 1], [1, 1], [3, 2], [2, 9]], dtype=np.float32)
    change = fold_change(log2, np.array([0, 0, 1, 1, 2]), n_types=4)
    np.testing.assert_allclose(change[0], [5 - 2, 0.5 - 4])
    np.testing.assert_allclose(change[2], [2 - 3.5, 9 - 1])
    assert np.isnan(change[3]).all()


def test_one_type_alone_has_no_fold_change():
    assert np.isnan(fold_change(np.ones((3, 2)), np.zeros(3, dtype=int), n_types=1)).all()


def test_fold_change_refuses_other_samples():
    with pytest.raises(CohortError, match="a type per sample"):
        fold_change(np.ones((3, 2)), np.zeros(2, dtype=int), n_types=1)


@awkward
@given(st.integers(2, 30), st.integers(2, 5), st.integers(0, 10**6))
def test_fold_change_is_its_slow_definition(n_samples, n_types, seed):
    rng = np.random.default_rng(seed)
    log2, types = rng.normal(size=(n_samples, 4)).astype(np.float32), rng.integers(n_types, size=n_samples)
    change = fold_change(log2, types, n_types=n_types)
    for number in range(n_types):
        inside, outside = log2[types == number], log2[types != number]
        if len(inside) and len(outside):
            expected = inside.astype(float).mean(axis=0) - outside.astype(float).mean(axis=0)
            np.testing.assert_allclose(change[number], expected, atol=1e-9)
        else:
            assert np.isnan(change[number]).all()


@awkward
@given(st.integers(4, 30), st.integers(2, 4), st.integers(0, 10**6))
def test_the_t_statistic_is_that_of_scipy(n_samples, n_types, seed):
    rng = np.random.default_rng(seed)
    log2, types = rng.normal(size=(n_samples, 4)), rng.integers(n_types, size=n_samples)
    found = t_statistic(log2, types, n_types=n_types)
    for number in range(n_types):
        inside, outside = log2[types == number], log2[types != number]
        if len(inside) > 1 and len(outside) > 1:
            np.testing.assert_allclose(found[number], ttest_ind(inside, outside, equal_var=False).statistic)
        else:
            assert np.isnan(found[number]).all()


def test_a_gene_that_never_varies_has_no_t():
    assert t_statistic(np.ones((4, 1)), np.array([0, 0, 1, 1]), n_types=2).tolist() == [[0], [0]]


# Two types, three genes: the first speaks for the first type only, the second for both, the third by absence.
VALUES = np.array([[4, 5, 1], [4, 5, 3], [0, 5, 0], [0, 5, 0]], np.float32)
AWAY = np.array([[1, 1, -1], [1, 1, -1], [-1, 1, 1], [-1, 1, 1]], np.float32)
TARGETS = np.array([0, 0, 1, 1])


def test_what_speaks_for_every_type_marks_none():
    high, low = rank_types(VALUES, AWAY, TARGETS, 2)
    np.testing.assert_allclose(high[0, :2], [4 - 2, 5 - 5], rtol=1e-6)
    assert np.argmax(high[0]) == 0
    assert np.argmax(low[0]) == 2


def test_presence_and_absence_are_told_apart():
    high, low = rank_types(VALUES, AWAY, TARGETS, 2)
    assert high[0, 2] < high[0, :2].min()
    assert low[0, :2].max() < low[0, 2]
    assert np.isfinite(high).all()


def test_a_type_without_samples_has_no_ranking_and_touches_no_other():
    alone, _ = rank_types(VALUES, AWAY, TARGETS, 2)
    more, _ = rank_types(VALUES, AWAY, TARGETS, 3)
    np.testing.assert_array_equal(more[:2], alone)
    assert np.isnan(more[2]).all()


def test_halves_of_the_same_samples_share_all_and_of_noise_next_to_nothing():
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 10)
    signal = np.repeat(rng.normal(size=(3, 500)), 10, axis=0)
    for values, least, most in ((signal, 20, 20), (rng.normal(size=signal.shape), 0, 6)):
        shared = compare_halves(values, np.ones_like(values), targets, 3, 20, rng)
        assert shared.min() >= least
        assert shared.max() <= most


def test_one_sample_of_a_type_has_no_halves():
    shared = compare_halves(VALUES[1:], AWAY[1:], TARGETS[1:], 2, 2, np.random.default_rng(0))
    assert np.isnan(shared[0])
    alone = compare_halves(VALUES[1:3], AWAY[1:3], TARGETS[1:3], 2, 2, np.random.default_rng(0))
    assert np.isnan(alone).all()


def test_tables_name_the_first_and_last_genes_of_the_types_explained_and_their_markers():
    values, types = np.array([[4, 3, -1, -2], [2, -1, -1, 0], [0, 0, 1, 5]], np.float32), np.array([2, 2, 0])
    means = mean_by_type(values, types, 3)
    np.testing.assert_array_equal(means, [[0, 0, 1, 5], [np.nan] * 4, [3, 1, -1, -1]])
    names = ("integrated_gradients", "integrated_gradients_low", "fold_change")
    genes = pd.DataFrame({"symbol": list("ABCD"), "marker_of": ["UVM", "", "", ""]})
    layout = Layout(np.array(list("abcd")), np.arange(4), (2, 2), "random")
    types_of_all = ["ACC", "BLCA", "UVM"]
    tables = tabulate_rankings(dict.fromkeys(names, means), values, types, types_of_all, genes, layout, 2, {})
    top = tables["top_genes"].set_index(["tumour_type", "gene"])
    # Both rankings are the same here, so that the first gene by being low is the first by being high.
    listed = [(t, g) for t, order in (("ACC", "dcd"), ("UVM", "aba")) for g in order]
    assert top.index.tolist() == listed
    assert top["speaks_by_being"].tolist() == ["high", "high", "low"] * 2
    by_height = top[top["speaks_by_being"] == "high"]
    assert by_height.loc[("UVM", "a"), ["share_positive", "n_samples", "marker"]].tolist() == [1, 2, True]
    assert by_height.loc[("UVM", "b"), "share_positive"] == 0.5
    assert not by_height.loc["ACC", "marker"].any()
    assert tables["recovery"][["tumour_type", "ranking", "n_found"]].values.tolist() == [
        ["UVM", name, 1] for name in ("integrated_gradients", "fold_change")
    ]
    assert tables["recovery_matrix"]["n_found"].tolist() == [0, 0, 0, 1]
