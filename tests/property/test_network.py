"""The painting inside the network against the one that draws the images, on awkward layouts."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.expression import Scale
from expressionist.layers import Paint, Rescale
from expressionist.layout import Layout
from expressionist.store import read_array, write_array

few = settings(deadline=None)


@st.composite
def layouts(draw):
    """Oblong, one row, one column or one pixel; more genes than pixels or fewer; crowded anyhow."""
    shape = draw(st.one_of(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.just((1, 9)), st.just((9, 1))))
    alone = draw(st.booleans())
    n_pixels = shape[0] * shape[1]
    most = n_pixels if alone else 40
    pixel = draw(st.lists(st.integers(0, n_pixels - 1), min_size=1, max_size=most, unique=alone))
    return Layout(np.array([f"g{gene}" for gene in range(len(pixel))]), np.array(pixel), shape, "random")


def make_paint(layout):
    paint = Paint(len(layout.genes), layout.shape)
    paint.pixel.assign(layout.pixel.astype(np.int32))
    paint.share.assign(layout.share[:, None])
    return paint


def paint_slowly(layout, scaled):
    height, width = layout.shape
    images = np.zeros((len(scaled), height, width, 1))
    for sample in range(len(scaled)):
        for row in range(height):
            for column in range(width):
                here = [
                    gene for gene, pixel in enumerate(layout.pixel) if divmod(pixel, width) == (row, column)
                ]
                if here:
                    images[sample, row, column, 0] = sum(float(scaled[sample, gene]) for gene in here) / len(
                        here
                    )
    return images


def draw_normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@few
@given(layouts(), st.integers(1, 4), st.integers(0, 99))
def test_painting_in_the_network_equals_the_layouts_and_its_slow_definition(layout, n_samples, seed):
    scaled = draw_normal(seed, n_samples, len(layout.genes))
    images = make_paint(layout)(scaled).numpy()
    assert images.shape == (n_samples, *layout.shape, 1)
    np.testing.assert_allclose(images, layout.paint(scaled), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(images, paint_slowly(layout, scaled), rtol=1e-5, atol=1e-5)


@few
@given(layouts(), st.integers(0, 5), st.integers(1, 4), st.integers(0, 99))
def test_painting_to_disk_equals_painting_in_the_network(tmp_path_factory, layout, n_samples, n_rows, seed):
    n_genes, path = len(layout.genes), tmp_path_factory.getbasetemp() / "images.npy"
    expression = draw_normal(seed, n_samples, n_genes)
    scale = Scale(draw_normal(seed + 1, n_genes), np.exp(draw_normal(seed + 2, n_genes)))
    rows = (expression[start : start + n_rows] for start in range(0, n_samples, n_rows))
    blocks = (layout.paint(scale.apply(block)) for block in rows)
    write_array(path, blocks, (n_samples, *layout.shape, 1))

    rescale = Rescale(n_genes)
    rescale.low.assign(scale.low)
    rescale.span.assign(scale.span)
    images = read_array(path)
    np.testing.assert_allclose(images, make_paint(layout)(rescale(expression)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(images, paint_slowly(layout, scale.apply(expression)), rtol=1e-5, atol=1e-5)
    assert not images[:, layout.crowding == 0].any()


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
    flat, crowding = images.reshape(2, -1), layout.crowding.ravel()
    np.testing.assert_allclose(gradient, flat[:, layout.pixel] / crowding[layout.pixel], rtol=1e-5, atol=1e-6)
