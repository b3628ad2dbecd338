"""Our own layers against their slow definitions."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import toy
from expressionist.data.expression import Scale, to_log2
from expressionist.files.store import read_array, write_array
from expressionist.network.assembly import fit_gain, fit_ranks
from expressionist.network.layers import Gain, Log2, Paint, PixelScaling, Ranks, Rescale
from expressionist.painting.layout import Layout
from network.parts import N_GENES, draw_scaled, make_paint

few = settings(deadline=None)


def test_log2_is_what_the_stages_compute():
    counts = np.array([[0, 1e-6, 0.3, 1, 7, 541_000]], np.float32)
    np.testing.assert_allclose(Log2()(counts).numpy(), to_log2(counts, "RSEM"), rtol=1e-5, atol=1e-6)


def make_rescale(scale):
    rescale = Rescale(len(scale.low))
    rescale.low.assign(scale.low)
    rescale.span.assign(scale.span)
    return rescale


def test_rescale_is_the_fitted_scale(scale):
    log2 = np.random.default_rng(0).normal(3, 4, (5, N_GENES)).astype(np.float32)
    np.testing.assert_array_equal(make_rescale(scale)(log2).numpy(), scale.apply(log2))


@pytest.mark.parametrize(
    "layer", [Gain(), Log2(), Ranks(), Rescale(4), Paint(4, (2, 3)), PixelScaling("caffe")]
)
def test_layers_are_rebuilt_from_their_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert [each.shape for each in again.weights] == [each.shape for each in layer.weights]


def test_layers_hold_nothing_that_trains(layout):
    gain = fit_gain(np.ones((3, 2, 2, 1)), np.ones((4, 3)))
    held = (gain, Rescale(4), Paint(4, (2, 3)), fit_ranks(layout, toy.make_scale(N_GENES)))
    assert not [each for layer in held for each in layer.trainable_variables]


def test_a_pixel_is_stretched_about_its_mean_by_what_a_classifier_reads_it_for():
    rng = np.random.default_rng(5)
    images = rng.random((40, 3, 4, 1)) * np.array([0, 0.01, 1, 1])[:, None]
    images[:, 2, 3] = 0.4
    weights = rng.normal(size=(12, 5)) * np.repeat([1.0, 9.0, 0.3], 4)[:, None]
    # What moves all types alike tells none of them.
    weights[10] = 3.0
    read = {}
    for pixel in range(12):
        values = images[:, pixel // 4, pixel % 4, 0]
        if values.std() > 0:
            moved = [values.std() * (each - weights[pixel].mean()) for each in weights[pixel]]
            read[pixel] = sum(each**2 for each in moved) ** 0.5
    mean = sum(read.values()) / len(read)
    gain = fit_gain(images, weights)
    given = rng.normal(size=(2, 3, 4, 1)).astype(np.float32)
    found, gains = gain(given).numpy(), gain.gain.numpy().ravel()
    for pixel in range(12):
        expected = min(max(read[pixel] / mean, 0.25), 4) if pixel in read else 1
        assert gains[pixel] == pytest.approx(expected, rel=1e-5)
        at = (slice(None), pixel // 4, pixel % 4, 0)
        centre = images[at].mean()
        np.testing.assert_allclose(found[at], centre + expected * (given[at] - centre), rtol=1e-4, atol=1e-5)
    assert {0.25, 1, 4} < {round(float(each), 6) for each in gains}, "all of the rule belongs to the test"
    np.testing.assert_array_equal(fit_gain(images, np.zeros((12, 5))).gain.numpy().ravel(), np.ones(12))


def rank_slowly(ranks, image, layout):
    """Rank gene by gene: shares of curves at the knots, and straight lines between."""
    low, span = ranks.low.numpy().ravel(), ranks.span.numpy().ravel()
    painted = np.flatnonzero(layout.overlap.ravel() > 0)
    values = (image.ravel() * span + low)[painted].astype(np.float64)
    least, most = low.min(), (low + span).max()
    knots = np.linspace(least, most, 24)
    less = [(1 / (1 + np.exp(-1.702 * (knot - values) / (knots[1] - knots[0])))).mean() for knot in knots]
    found = np.zeros(image.size)
    found[painted] = np.interp(values, knots, less)
    return found.reshape(image.shape)


def test_ranks_are_those_of_their_slow_definition(layout, scale):
    images = layout.paint(draw_scaled(5, seed=4) * 1.2 - 0.1)
    ranks = fit_ranks(layout, scale)
    found = ranks(images).numpy()
    for image, ours in zip(images, found, strict=True):
        np.testing.assert_allclose(ours, rank_slowly(ranks, image, layout), atol=2e-6)
    assert (layout.overlap == 0).any(), "a pixel without a gene belongs to the test"
    assert (found[:, layout.overlap == 0] == 0).all()


def test_ranks_say_the_order_of_expression_not_of_scaled_values(layout, scale):
    images = layout.paint(draw_scaled(4, seed=6))
    ranks, painted = fit_ranks(layout, scale), layout.overlap.ravel() > 0
    log2 = np.asarray(images * ranks.span + ranks.low).reshape(4, -1)[:, painted]
    found = ranks(images).numpy().reshape(4, -1)[:, painted]
    for one, other in zip(log2, found, strict=True):
        assert (np.diff(other[np.argsort(one)]) > -1e-6).all()
    assert 0 < found.min() < found.max() < 1


@st.composite
def layouts(draw):
    """Oblong, one row, one column or one pixel; more genes than pixels or fewer; crowded anyhow."""
    shape = draw(st.one_of(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.just((1, 9)), st.just((9, 1))))
    alone = draw(st.booleans())
    n_pixels = shape[0] * shape[1]
    most = n_pixels if alone else 40
    pixel = draw(st.lists(st.integers(0, n_pixels - 1), min_size=1, max_size=most, unique=alone))
    return Layout(np.array([f"g{gene}" for gene in range(len(pixel))]), np.array(pixel), shape, "random")


def paint_slowly(layout, scaled):
    images = np.zeros((len(scaled), *layout.shape, 1))
    for sample, row, column in np.ndindex(len(scaled), *layout.shape):
        pixels = (divmod(pixel, layout.shape[1]) for pixel in layout.pixel)
        here = [float(scaled[sample, gene]) for gene, pixel in enumerate(pixels) if pixel == (row, column)]
        if here:
            images[sample, row, column, 0] = sum(here) / len(here)
    return images


def draw_normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@few
@given(layouts(), st.integers(0, 5), st.integers(1, 4), st.integers(0, 99))
def test_painting_to_disk_and_in_the_network_equal_their_slow_definition(
    tmp_path_factory, layout, n_samples, n_rows, seed
):
    n_genes, path = len(layout.genes), tmp_path_factory.getbasetemp() / "images.npy"
    expression = draw_normal(seed, n_samples, n_genes)
    scale = Scale(draw_normal(seed + 1, n_genes), np.exp(draw_normal(seed + 2, n_genes)))
    rows = (expression[start : start + n_rows] for start in range(0, n_samples, n_rows))
    blocks = (layout.paint(scale.apply(block)) for block in rows)
    write_array(path, blocks, (n_samples, *layout.shape, 1))
    images, drawn = read_array(path), make_paint(layout)(make_rescale(scale)(expression))
    np.testing.assert_allclose(images, drawn, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(images, paint_slowly(layout, scale.apply(expression)), rtol=1e-5, atol=1e-5)
    assert not images[:, layout.overlap == 0].any()


@few
@given(layouts(), st.integers(0, 99))
def test_the_gradient_of_painting_is_its_adjoint(layout, seed):
    """<paint(x), y> = <x, gradient>, and every gene gets its pixel's value by its share of the pixel."""
    scaled, images = draw_normal(seed, 2, len(layout.genes)), draw_normal(seed + 1, 2, *layout.shape, 1)
    points = tf.constant(scaled)
    with tf.GradientTape() as tape:
        tape.watch(points)
        product = tf.reduce_sum(make_paint(layout)(points) * images)
    gradient = tape.gradient(product, points).numpy()
    np.testing.assert_allclose((gradient * scaled).sum(), product, rtol=1e-3, atol=1e-3)
    flat, overlap = images.reshape(2, -1), layout.overlap.ravel()
    np.testing.assert_allclose(gradient, flat[:, layout.pixel] / overlap[layout.pixel], rtol=1e-5, atol=1e-6)
