"""Painting against its slow definition, on any layout."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.layout import Layout

few = settings(deadline=None)


@st.composite
def layouts(draw):
    """Oblong images, 1 × n, empty pixels and crowds of genes all come up."""
    shape = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    pixel = draw(st.lists(st.integers(0, shape[0] * shape[1] - 1), min_size=1, max_size=40))
    return Layout(np.arange(len(pixel)).astype(str), np.array(pixel), shape, "random")


def make_scaled(layout, n_samples, seed):
    return np.random.default_rng(seed).random((n_samples, len(layout.genes)), np.float32)


def paint_slowly(layout, scaled):
    height, width = layout.shape
    images = np.zeros((len(scaled), height, width, 1))
    for sample, row in enumerate(scaled):
        for r in range(height):
            for c in range(width):
                genes = [gene for gene, pixel in enumerate(layout.pixel) if pixel == r * width + c]
                if genes:
                    images[sample, r, c, 0] = sum(float(row[gene]) for gene in genes) / len(genes)
    return images


@few
@given(layouts(), st.integers(0, 4), st.integers(0, 99))
def test_painting_equals_its_slow_definition(layout, n_samples, seed):
    scaled = make_scaled(layout, n_samples, seed)
    images = layout.paint(scaled)
    assert images.dtype == np.float32
    assert images.shape == (n_samples, *layout.shape, 1)
    np.testing.assert_allclose(images, paint_slowly(layout, scaled), rtol=1e-5, atol=1e-6)


@few
@given(layouts(), st.floats(-3, 3), st.integers(0, 99))
def test_painting_is_linear(layout, weight, seed):
    one, other = make_scaled(layout, 2, seed), make_scaled(layout, 2, seed + 1)
    mixed = layout.paint((one + np.float32(weight) * other).astype(np.float32))
    expected = layout.paint(one) + np.float32(weight) * layout.paint(other)
    np.testing.assert_allclose(mixed, expected, rtol=1e-4, atol=1e-5)


@few
@given(layouts(), st.integers(0, 99))
def test_crowding_times_image_keeps_the_sum(layout, seed):
    scaled = make_scaled(layout, 3, seed)
    weighed = layout.paint(scaled)[..., 0] * layout.crowding
    np.testing.assert_allclose(weighed.sum(axis=(1, 2)), scaled.sum(axis=1), rtol=1e-4)


@few
@given(layouts(), st.integers(0, 99))
def test_order_of_genes_does_not_matter(layout, seed):
    scaled = make_scaled(layout, 2, seed)
    shuffled = np.random.default_rng(seed).permutation(len(layout.genes))
    again = Layout(layout.genes[shuffled], layout.pixel[shuffled], layout.shape, layout.method)
    np.testing.assert_allclose(again.paint(scaled[:, shuffled]), layout.paint(scaled), rtol=1e-5, atol=1e-6)


@few
@given(layouts(), st.integers(0, 99))
def test_any_memory_order_and_type_paints_the_same(layout, seed):
    scaled = make_scaled(layout, 4, seed)
    images = layout.paint(scaled)
    np.testing.assert_array_equal(layout.paint(np.asfortranarray(scaled)), images)
    np.testing.assert_array_equal(layout.paint(np.repeat(scaled, 2, axis=0)[::2]), images)
    np.testing.assert_allclose(layout.paint(scaled.astype(np.float64)), images, rtol=1e-6, atol=1e-7)
