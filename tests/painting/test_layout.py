"""Layout and painting on small images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.errors import CohortError
from expressionist.painting.layout import Layout, square_shape


def make_layout(pixel, shape):
    genes = np.array([f"g{number}" for number in range(len(pixel))])
    return Layout(genes, np.array(pixel), shape, "random")


@pytest.mark.parametrize(
    ("n_genes", "side"), [(1, 1), (2, 2), (4, 2), (5, 3), (680, 27), (10_404, 102), (10_405, 103)]
)
def test_square_is_the_smallest_that_holds_all(n_genes, side):
    assert square_shape(n_genes) == (side, side)


def test_rows_columns_and_overlap_of_an_oblong_image():
    layout = make_layout([0, 4, 5, 14], (3, 5))
    np.testing.assert_array_equal(layout.row, [0, 0, 1, 2])
    np.testing.assert_array_equal(layout.column, [0, 4, 0, 4])
    assert layout.n_pixels == 15
    np.testing.assert_array_equal(make_layout([1, 1, 3], (2, 3)).overlap, [[0, 2, 0], [1, 0, 0]])


def test_crowded_pixels_show_the_mean_and_empty_ones_nothing_whatever_was_there():
    layout, scaled = make_layout([3, 0, 3], (2, 2)), np.array([[1, 0.5, 0], [0, 1, 1]], np.float32)
    before = np.full((2, 2, 2, 1), np.nan, np.float32)
    assert layout.paint(scaled, before) is before
    for images in (layout.paint(scaled), before):
        assert images.shape == (2, 2, 2, 1)
        assert images.dtype == np.float32
        np.testing.assert_array_equal(images[..., 0], [[[0.5, 0], [0, 0.5]], [[1, 0], [0, 0.5]]])


def test_painting_leaves_expression_alone():
    scaled = np.array([[1, 2, 3, 4]], np.float32)
    for pixel in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 1, 1]):
        make_layout(pixel, (2, 2)).paint(scaled)[...] = 9
    np.testing.assert_array_equal(scaled, [[1, 2, 3, 4]])


@pytest.mark.parametrize(
    ("shape", "images", "message"),
    [
        *((shape, None, r"must be \(n_samples, 2\), but got") for shape in [(2,), (2, 1), (2, 3), (1, 2, 1)]),
        *(
            ((2, 2), images, r"float32 of shape \(2, 2, 3, 1\), row after row in memory, but got")
            for images in [
                np.empty((1, 2, 3, 1), np.float32),
                np.empty((2, 3, 2, 1), np.float32),
                np.empty((2, 2, 3, 1)),
                np.empty((2, 3, 2, 1), np.float32).swapaxes(1, 2),
            ]
        ),
    ],
)
def test_other_genes_and_images_of_another_form_are_refused(shape, images, message):
    with pytest.raises(CohortError, match=message):
        make_layout([0, 5], (2, 3)).paint(np.zeros(shape, np.float32), images)


@pytest.mark.parametrize(
    ("pixel", "message"),
    [
        ([0, 6], "must lie in 0 to 5, but got 0 to 6"),
        ([-1, 3], "must lie in 0 to 5, but got -1 to 3"),
        *(
            (pixel, "one whole pixel number per gene, but got 2 genes")
            for pixel in ([0], [[0, 1]], [0, 1, 2])
        ),
    ],
)
def test_a_pixel_inside_the_image_is_needed_per_gene(pixel, message):
    with pytest.raises(CohortError, match=message):
        Layout(np.array(["a", "b"]), np.array(pixel), (2, 3), "random")


# Painting against its slow definition, on any layout.


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
@given(layouts(), st.integers(0, 99))
def test_any_memory_order_and_type_paints_the_same(layout, seed):
    scaled = make_scaled(layout, 4, seed)
    images = layout.paint(scaled)
    np.testing.assert_array_equal(layout.paint(np.asfortranarray(scaled)), images)
    np.testing.assert_array_equal(layout.paint(np.repeat(scaled, 2, axis=0)[::2]), images)
    np.testing.assert_allclose(layout.paint(scaled.astype(np.float64)), images, rtol=1e-6, atol=1e-7)
