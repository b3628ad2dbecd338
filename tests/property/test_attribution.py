"""Integrated Gradients as algebra, on linear models with any crowding, shape and number of samples."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import toy
from expressionist.attribution import IntegratedGradients
from rounds import count_rounds

# Every example traces a graph of its own.
few = settings(max_examples=count_rounds(4, 8), deadline=None)


@st.composite
def cases(draw):
    shape = draw(st.one_of(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.just((1, 7)), st.just((7, 1))))
    n_genes, n_types = draw(st.integers(1, 20)), draw(st.integers(2, 4))
    layout = toy.make_layout(n_genes, shape, seed=draw(st.integers(0, 99)))
    n_samples, n_steps = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    samples, baselines = rng.normal(size=(2, n_samples, n_genes)).astype(np.float32)
    return layout, n_types, samples, baselines, rng.integers(0, n_types, n_samples), n_steps


@few
@given(cases(), st.integers(1, 40))
def test_on_a_linear_model_they_are_exact_and_complete(case, batch_size):
    layout, n_types, samples, baselines, targets, n_steps = case
    model, matrix = toy.make_linear_model(layout, n_types)
    found = IntegratedGradients(model, batch_size=batch_size).explain(samples, baselines, targets, n_steps)
    np.testing.assert_allclose(found.values, matrix.T[targets] * (samples - baselines), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.delta, 0, atol=1e-4)


@few
@given(cases())
def test_swapping_sample_and_baseline_turns_every_sign(case):
    layout, n_types, samples, baselines, targets, n_steps = case
    explainer = IntegratedGradients(toy.make_linear_model(layout, n_types)[0])
    there = explainer.explain(samples, baselines, targets, n_steps)
    back = explainer.explain(baselines, samples, targets, n_steps)
    np.testing.assert_allclose(back.values, -there.values, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(back.rise, -there.rise, rtol=1e-3, atol=1e-4)
