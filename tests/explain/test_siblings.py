"""What tells pairs of types apart, and what pulled a sample over."""

import numpy as np
import pandas as pd
import pytest

import toy
from explain.small_models import N_GENES, N_TYPES, make_crowded_layout
from expressionist.explain.integrated_gradients import IntegratedGradients
from expressionist.explain.siblings import explain_errors, find_confused, tell_apart

GENES = pd.DataFrame(
    {"symbol": [f"S{place}" for place in range(N_GENES)]}, index=[f"g{i}" for i in range(N_GENES)]
)


@pytest.fixture
def linear():
    model, matrix = toy.make_linear_model(make_crowded_layout(), N_TYPES)
    method = IntegratedGradients(model)
    return (lambda samples, references, targets: method.explain(samples, references, targets, 2)), matrix


def test_the_most_confused_come_first_and_order_does_not_matter():
    pairs = [("A", "B"), ("B", "A"), ("C", "A"), ("A", "A"), ("B", "B")]
    table = pd.DataFrame(pairs, columns=["tumour_type", "predicted"])
    assert find_confused(table, 3) == [("A", "B"), ("A", "C")]
    assert find_confused(table, 1) == [("A", "B")]
    assert find_confused(table.iloc[3:], 3) == []


def test_a_pair_is_told_apart_by_what_its_logits_differ_in(linear):
    explain, matrix = linear
    rng = np.random.default_rng(1)
    types = np.array([0, 0, 1, 1, 1])
    scaled = rng.random((5, N_GENES)).astype(np.float32)
    means = np.stack([scaled[types == place].mean(axis=0) for place in (0, 1)] + [np.zeros(N_GENES)])
    table = tell_apart(explain, scaled, types, means, [(0, 1)], GENES, 3)
    assert table.groupby(["type", "rival"]).size().to_dict() == {(0, 1): 3, (1, 0): 3}
    for one, other in ((0, 1), (1, 0)):
        expected = (means[one] - means[other]) * (matrix[:, one] - matrix[:, other])
        rows = table[table["type"] == one].set_index("gene")
        assert rows.index.tolist() == [f"g{place}" for place in np.argsort(-expected)[:3]]
        np.testing.assert_allclose(rows["attribution"], np.sort(expected)[::-1][:3], rtol=1e-4)
        first = int(rows.index[0][1:])
        assert rows["higher"].iloc[0] == (means[one, first] > means[other, first])


def test_without_samples_or_pairs_the_tables_are_empty_but_whole(linear):
    explain, _ = linear
    nothing = np.zeros((0, N_GENES), np.float32)
    means = np.zeros((N_TYPES, N_GENES))
    apart = tell_apart(explain, nothing, np.zeros(0, int), means, [(0, 1)], GENES, 3)
    errors = explain_errors(explain, nothing, [], np.zeros((0, 2), int), means, GENES, 3)
    for table in (apart, errors):
        assert table.empty
        assert {"gene", "attribution"} <= set(table.columns)


def test_an_error_is_explained_from_the_mean_of_its_own_type(linear):
    explain, matrix = linear
    sample = np.random.default_rng(2).random((1, N_GENES)).astype(np.float32)
    means = np.random.default_rng(3).random((N_TYPES, N_GENES))
    table = explain_errors(explain, sample, ["one"], np.array([[2, 0]]), means, GENES, 2)
    expected = (sample[0] - means[0]) * (matrix[:, 2] - matrix[:, 0])
    assert table["gene"].tolist() == [f"g{place}" for place in np.argsort(-expected)[:2]]
    np.testing.assert_allclose(table["attribution"], np.sort(expected)[::-1][:2], rtol=1e-4)
    assert set(table["sample"]) == {"one"}
    assert (table["relative_gap"] < 1e-3).all()
