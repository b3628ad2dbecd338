"""The cross-check against shap: what it gives, and which samples it takes."""

import numpy as np
import pytest

import toy
from explain.small_models import N_GENES, N_TYPES, make_crowded_layout, make_curved, make_samples
from expressionist.explain.controls import _draw_types, shap_values
from expressionist.explain.integrated_gradients import IntegratedGradients

TYPES = np.repeat(np.arange(20), 2)


def test_shap_agrees_on_a_linear_model():
    """Expected gradients of a linear model are exact for the mean of the background."""
    model, matrix = toy.make_linear_model(make_crowded_layout(), N_TYPES)
    samples, targets = make_samples(4)
    reference = np.full((1, N_GENES), 0.25, np.float32)
    found = shap_values(model, samples, reference, targets, n_draws=5, seed=0)
    np.testing.assert_allclose(found, matrix.T[targets] * (samples - reference), rtol=1e-3, atol=1e-5)
    ours = IntegratedGradients(model).explain(samples, reference[0], targets, 4)
    np.testing.assert_allclose(found, ours.values, rtol=1e-3, atol=1e-5)


def test_shap_comes_close_on_a_curved_model():
    curved = make_curved(make_crowded_layout())
    samples, targets = make_samples(4)
    reference = np.zeros((1, N_GENES), np.float32)
    found = shap_values(curved, samples, reference, targets, n_draws=300, seed=0)
    ours = IntegratedGradients(curved).explain(samples, reference[0], targets, 128)
    for one, other in zip(found, ours.values, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.97


def draw(types, seed):
    return _draw_types(types, np.random.default_rng(seed))


def test_types_of_the_whole_alphabet_are_drawn_each_once():
    drawn = [TYPES[draw(TYPES, seed)] for seed in range(60)]
    assert all(len(set(each)) == len(each) == 6 for each in drawn)
    assert set(np.concatenate(drawn)) == set(TYPES)


def test_the_seed_alone_decides():
    assert draw(TYPES, 3).tolist() == draw(TYPES, 3).tolist()
    assert draw(TYPES, 3).tolist() != draw(TYPES, 4).tolist()


@pytest.mark.parametrize("n_types", [1, 6])
def test_as_many_types_as_there_are_are_taken(n_types):
    types = TYPES[: 2 * n_types]
    assert draw(types, 0).tolist() == list(range(0, 2 * n_types, 2))
