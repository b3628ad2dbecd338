"""Samples given to a registered model are explained until complete, from the mean, gene by gene."""

import numpy as np
import pytest

import toy
from expressionist.explain.samples import SampleExplainer, list_top_genes
from network.parts import N_GENES, SHAPE, make_network

SCALE = toy.make_scale(N_GENES)


@pytest.fixture(scope="module")
def network():
    return make_network(toy.make_layout(N_GENES, SHAPE), SCALE)


@pytest.fixture(scope="module")
def log2():
    scaled = np.random.default_rng(1).random((7, N_GENES)).astype(np.float32)
    return np.maximum(SCALE.low + SCALE.span * scaled, 0)


def odds(network, log2, first, second):
    """By how much the first type is more probable than the second, from expression through all of it."""
    probabilities = network(np.exp2(log2) - 1).numpy()
    return np.log(probabilities[:, first] / probabilities[:, second])


def test_attributions_add_up_to_what_the_whole_network_says_of_expression(network, log2):
    explainer = SampleExplainer(network, log2[6])
    found = explainer.explain(log2[:6], np.tile([2, 0], (6, 1)))
    expected = odds(network, log2[:6], 2, 0) - odds(network, log2[6:], 2, 0)
    np.testing.assert_allclose(found.rise, expected, atol=1e-3)
    assert np.median(found.gap) <= 0.01
    assert np.percentile(found.gap, 95) <= 0.05
    assert found.n_steps.min() >= 12


@pytest.mark.parametrize("bug", ["gene order", "scale", "path"])
def test_a_bug_in_any_step_leaves_a_gap(network, log2, bug):
    explainer = SampleExplainer(network, log2[6])
    expected = odds(network, log2[:6], 2, 0) - odds(network, log2[6:], 2, 0)
    if bug == "gene order":
        explainer.scale = lambda log2: SCALE.apply(log2)[:, ::-1]
    elif bug == "scale":
        explainer.scale = lambda log2: log2
    found = explainer.explain(log2[:6], np.tile([2, 0], (6, 1)))
    if bug == "path":
        del found.branches["genes"]
    gap = np.abs(expected - found.values.sum(axis=1)) / np.abs(expected)
    assert np.median(gap) > 0.05


def test_a_sample_is_explained_alike_whatever_comes_with_it(network, log2):
    explainer = SampleExplainer(network, log2[6])
    together = explainer.explain(log2[:6], np.arange(6) % 3).values[0]
    alone = explainer.explain(log2[:1], np.array([0])).values[0]
    np.testing.assert_allclose(together, alone, atol=0.03 * np.abs(alone).max())


def test_another_reference_is_where_the_path_begins(network, log2):
    explainer = SampleExplainer(network, log2[6])
    found = explainer.explain(log2[:1], np.array([1]), log2[0])
    assert not found.values.any()
    assert found.rise[0] == pytest.approx(0, abs=1e-5)


def test_genes_are_listed_by_sign_and_none_without():
    listed = list_top_genes(np.array([0.0, 3.0, -1.0, 1.0, -3.0, 0.0]), 3)
    assert listed["position"].tolist() == [1, 3, 4, 2]
    assert listed["rank"].tolist() == [1, 2, 1, 2]
    assert listed["direction"].tolist() == ["for", "for", "against", "against"]
    np.testing.assert_allclose(listed["share"], np.array([3, 1, -3, -1]) / 8)
    assert list_top_genes(np.zeros(4), 3).empty
