"""What genes are ranked by, and which come first."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.errors import CohortError
from expressionist.explain.rankings import fold_change, mean_by_type, tabulate_rankings
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


def test_tables_name_the_first_and_last_genes_of_the_types_explained_and_their_markers():
    values, types = np.array([[4, 3, -1, -2], [2, -1, -1, 0], [0, 0, 1, 5]], np.float32), np.array([2, 2, 0])
    means = mean_by_type(values, types, 3)
    np.testing.assert_array_equal(means, [[0, 0, 1, 5], [np.nan] * 4, [3, 1, -1, -1]])
    names = ("integrated_gradients", "zero_reference", "random_weights", "fold_change")
    genes = pd.DataFrame({"symbol": list("ABCD"), "marker_of": ["UVM", "", "", ""]})
    layout = Layout(np.array(list("abcd")), np.arange(4), (2, 2), "random")
    types_of_all = ["ACC", "BLCA", "UVM"]
    tables = tabulate_rankings(dict.fromkeys(names, means), values, types, types_of_all, genes, layout, 2)
    top = tables["top_genes"].set_index(["tumour_type", "gene"])
    assert top.index.tolist() == [(t, g) for t, order in (("ACC", "dcb"), ("UVM", "abd")) for g in order]
    assert top.loc[("UVM", "a"), ["share_positive", "n_samples", "marker"]].tolist() == [1, 2, True]
    assert top.loc[("UVM", "b"), "share_positive"] == 0.5
    assert not top.loc["ACC", "marker"].any()
    assert tables["recovery"][["tumour_type", "ranking", "n_found"]].values.tolist() == [
        ["UVM", name, 1] for name in names
    ]
    assert tables["recovery_matrix"]["n_found"].tolist() == [0, 0, 0, 1]
