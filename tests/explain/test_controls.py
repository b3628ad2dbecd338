"""The cross-check against shap: what it gives, and which samples it takes."""

import numpy as np
import pytest

import toy
from explain.small_models import N_GENES, N_TYPES, make_crowded_layout, make_curved, make_samples
from expressionist.data.expression import Scale
from expressionist.explain.controls import _draw_types, randomise_down, shap_values
from expressionist.explain.integrated_gradients import IntegratedGradients
from expressionist.network.assembly import logits_by_branch
from network.parts import N_GENES as N_PAINTED
from network.parts import SHAPE, draw_scaled, make_network

TYPES = np.repeat(np.arange(20), 2)


def test_shap_agrees_on_a_linear_model():
    """Expected gradients of a linear model are exact for the mean of the background."""
    model, matrix = toy.make_linear_model(make_crowded_layout(), N_TYPES)
    samples, targets = make_samples(4)
    reference = np.full((1, N_GENES), 0.25, np.float32)
    found = shap_values(model, samples, reference, targets, n_draws=5, seed=0)
    np.testing.assert_allclose(
        found, (matrix.T[targets] - matrix.mean(axis=1)) * (samples - reference), rtol=1e-3, atol=1e-5
    )
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


def test_attributions_change_with_every_part_that_is_drawn_anew():
    """From the head down; in the end nothing trained is left, and rows say which sample they are of."""
    layout, scale = toy.make_layout(N_PAINTED, SHAPE), Scale.fit(draw_scaled(20, seed=1))
    network, (samples, targets) = make_network(layout, scale), make_samples(4, N_PAINTED)
    before = [weight.copy() for weight in network.get_weights()]
    method = IntegratedGradients(logits_by_branch(network))

    def explain():
        return method.explain(samples, np.zeros(N_PAINTED), targets, 4)

    found = randomise_down(network, explain, explain(), n_top=5, seed=1)
    parts = found.groupby("randomised", sort=False)
    assert [name for name, _ in parts][0] == "head"
    assert all(rows["sample"].tolist() == [0, 1, 2, 3] for _, rows in parts)
    assert found["correlation"].between(-1, 0.999).all()
    assert found["n_shared"].between(0, 5).all()
    kernels = [(old, new) for old, new in zip(before, network.get_weights(), strict=True) if old.ndim == 4]
    assert kernels
    assert not any(np.allclose(old, new) for old, new in kernels)


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
