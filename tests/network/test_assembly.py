"""The whole network is its parts, one after the other."""

import numpy as np
import pytest
from scipy.special import softmax

from expressionist.data import AS_IS_UNIT, LOG2_UNIT
from expressionist.data.expression import to_log2
from expressionist.network.assembly import (
    assemble,
    choose_magnification,
    fit_gain,
    fit_ranks,
    image_front,
    load_network,
    logits_of_scaled,
    predict_logits,
)
from expressionist.network.backbones import Backbone
from expressionist.painting.layout import Layout
from network.parts import N_GENES, make_network, make_parts, run


def draw_expression(n_samples=5):
    return np.random.default_rng(1).gamma(1, 3, (n_samples, N_GENES)).astype(np.float32)


def test_the_front_repeats_pixels_and_keeps_three_equal_channels():
    images = np.random.default_rng(0).random((2, 2, 3, 1)).astype(np.float32)
    shown = image_front((2, 3), 3, "tf")(images).numpy()
    assert shown.shape == (2, 6, 9, 3)
    expected = np.repeat(np.repeat(images, 3, axis=1), 3, axis=2) * 2 - 1
    np.testing.assert_allclose(shown, np.repeat(expected, 3, axis=-1), atol=1e-6)
    assert image_front((2, 3), 1, "tf").output.shape == (None, 2, 3, 3)
    gain = fit_gain(images, np.random.default_rng(1).random((6, 4)))
    stretched = image_front((2, 3), 3, "tf", gain)(images).numpy()
    np.testing.assert_allclose(stretched, image_front((2, 3), 3, "tf")(gain(images)).numpy(), atol=1e-6)
    assert np.abs(stretched - shown).max() > 0.1


@pytest.mark.parametrize(
    ("shape", "magnify", "side", "least", "expected"),
    [
        ((27, 27), 0, 96, 32, 4),
        ((72, 72), 0, 96, 71, 1),
        ((67, 67), 0, 96, 32, 2),
        ((68, 68), 0, 96, 32, 1),
        ((68, 68), 0, 96, 71, 2),
        ((102, 102), 0, 96, 71, 1),
        ((96, 200), 0, 96, 32, 1),
        ((200, 50), 0, 96, 32, 2),
        ((102, 102), 0, 1, 71, 1),
        ((10, 10), 0, 32, 71, 8),
        ((10, 10), 3, 96, 71, 3),
    ],
)
def test_magnification_comes_nearest_to_the_side_above_the_backbones_least(
    shape, magnify, side, least, expected
):
    row = Backbone("X", "tf", least, "", 1, ())
    found = choose_magnification(shape, magnify, side, row)
    assert found == expected
    if not magnify:
        able = [each for each in range(1, 200) if each * min(shape) >= least]
        assert found == min(able, key=lambda each: abs(np.log(each * min(shape) / side)))


@pytest.mark.parametrize("unit", ["RSEM", LOG2_UNIT, AS_IS_UNIT])
@pytest.mark.parametrize(("depth", "second"), [(0, False), (3, False), (3, True)])
def test_the_assembled_network_is_its_parts_one_after_the_other(layout, scale, unit, depth, second):
    ranks = fit_ranks(layout, scale) if second else None
    front, division, model = make_parts(depth, ranks=ranks)
    network = assemble(layout, scale, unit, front, division.prefix, model, ranks)
    expression = draw_expression()
    images = layout.paint(scale.apply(to_log2(expression, unit)))
    given = run(division.prefix, run(front, images)[0]) | {"genes": images}
    given |= {"ranks": run(ranks, images)[0]} if second else {}
    expected = softmax(np.mean(list(run(model, given).values()), axis=0, dtype=float), axis=1)
    found = network.predict_on_batch(expression)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert found.std(axis=0).max() > 1e-3, "all samples look the same: the comparison would prove nothing"


@pytest.mark.parametrize(
    ("strides", "genes", "second", "average"),
    [
        ((4,), False, False, False),
        ((4,), True, False, True),
        ((2, 4), True, True, False),
        ((2, 4), False, True, True),
    ],
)
def test_a_saved_network_answers_the_same_and_can_be_explained(
    layout, scale, tmp_path, strides, genes, second, average
):
    ranks, expression = fit_ranks(layout, scale) if second else None, draw_expression()
    network = make_network(layout, scale, 2, strides, genes=genes, ranks=ranks, average=average)
    network.save(tmp_path / "model.keras")
    loaded = load_network(tmp_path / "model.keras", 1.7)
    network.get_layer("temperature").temperature.assign(1.7)
    np.testing.assert_array_equal(loaded.predict_on_batch(expression), network.predict_on_batch(expression))
    scaled = scale.apply(to_log2(expression, "RSEM"))
    probabilities = softmax(logits_of_scaled(loaded).predict_on_batch(scaled), axis=1)
    np.testing.assert_allclose(probabilities, network.predict_on_batch(expression), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_samples", [1, 64, 65, 130])
def test_logits_of_any_number_of_samples_are_those_of_the_network(layout, scale, n_samples):
    network, expression = make_network(layout, scale), draw_expression(200)
    samples = np.random.default_rng(2).permutation(200)[:n_samples]
    scaled = scale.apply(to_log2(expression[samples], "RSEM"))
    found = predict_logits(network, expression, samples)
    np.testing.assert_allclose(found, logits_of_scaled(network)(scaled), rtol=1e-4, atol=1e-5)


def test_the_temperature_divides_the_logits_and_nothing_else(layout, scale):
    network, expression = make_network(layout, scale), draw_expression()
    scaled = scale.apply(to_log2(expression, "RSEM"))
    before, sure = logits_of_scaled(network).predict_on_batch(scaled), network.predict_on_batch(expression)
    network.get_layer("temperature").temperature.assign(4.0)
    after, unsure = logits_of_scaled(network).predict_on_batch(scaled), network.predict_on_batch(expression)
    np.testing.assert_allclose(after, before / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(sure.argmax(axis=1), unsure.argmax(axis=1))
    assert (unsure.max(axis=1) < sure.max(axis=1)).all()


def test_gene_order_is_the_layouts_business(layout, scale):
    """Genes shuffled together with their pixels and bounds give the same probabilities."""
    order = np.random.default_rng(5).permutation(N_GENES)
    shuffled = Layout(layout.genes[order], layout.pixel[order], layout.shape, layout.method)
    other_scale = type(scale)(scale.low[order], scale.span[order])
    expression = draw_expression(4)
    one, other = make_network(layout, scale), make_network(shuffled, other_scale)
    expected, moved = one.predict_on_batch(expression), expression[:, order]
    np.testing.assert_allclose(other.predict_on_batch(moved), expected, rtol=1e-4, atol=1e-6)
    assert not np.allclose(one.predict_on_batch(moved), expected, atol=1e-3)
