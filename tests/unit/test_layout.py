"""Layout and painting on small images."""

import numpy as np
import pytest

from expressionist.errors import CohortError
from expressionist.layout import Layout, square_shape


def make_layout(pixel, shape):
    genes = np.array([f"g{number}" for number in range(len(pixel))])
    return Layout(genes, np.array(pixel), shape, "random")


@pytest.mark.parametrize(
    ("n_genes", "side"), [(1, 1), (2, 2), (4, 2), (5, 3), (680, 27), (10_404, 102), (10_405, 103)]
)
def test_square_is_the_smallest_that_holds_all(n_genes, side):
    assert square_shape(n_genes) == (side, side)


def test_rows_and_columns_of_an_oblong_image():
    layout = make_layout([0, 4, 5, 14], (3, 5))
    np.testing.assert_array_equal(layout.row, [0, 0, 1, 2])
    np.testing.assert_array_equal(layout.column, [0, 4, 0, 4])
    assert layout.n_pixels == 15


def test_crowding_counts_genes_per_pixel():
    np.testing.assert_array_equal(make_layout([1, 1, 3], (2, 3)).crowding, [[0, 2, 0], [1, 0, 0]])


def test_crowded_pixels_show_the_mean_and_empty_ones_nothing():
    images = make_layout([3, 0, 3], (2, 2)).paint(np.array([[1, 0.5, 0], [0, 1, 1]], np.float32))
    assert images.shape == (2, 2, 2, 1)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images[..., 0], [[[0.5, 0], [0, 0.5]], [[1, 0], [0, 0.5]]])


def test_painting_leaves_expression_alone():
    scaled = np.array([[1, 2, 3, 4]], np.float32)
    for pixel in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 0, 1, 1]):
        make_layout(pixel, (2, 2)).paint(scaled)[...] = 9
    np.testing.assert_array_equal(scaled, [[1, 2, 3, 4]])


def test_no_samples_give_no_images():
    assert make_layout([1, 0], (1, 2)).paint(np.zeros((0, 2), np.float32)).shape == (0, 1, 2, 1)


def test_painting_covers_whatever_was_there():
    images = np.full((2, 2, 2, 1), np.nan, np.float32)
    scaled = np.array([[1, 0.5, 0], [0, 1, 1]], np.float32)
    assert make_layout([3, 0, 3], (2, 2)).paint(scaled, images) is images
    np.testing.assert_array_equal(images[..., 0], [[[0.5, 0], [0, 0.5]], [[1, 0], [0, 0.5]]])


@pytest.mark.parametrize(
    "images",
    [
        np.empty((1, 2, 3, 1), np.float32),
        np.empty((2, 3, 2, 1), np.float32),
        np.empty((2, 2, 3, 1)),
        np.empty((2, 3, 2, 1), np.float32).swapaxes(1, 2),
    ],
)
def test_images_of_another_form_are_not_painted_on(images):
    with pytest.raises(
        CohortError, match=r"float32 of shape \(2, 2, 3, 1\), row after row in memory, but got"
    ):
        make_layout([0, 5], (2, 3)).paint(np.zeros((2, 2), np.float32), images)


@pytest.mark.parametrize("shape", [(3,), (2, 2), (2, 4), (1, 3, 1)])
def test_other_genes_are_refused(shape):
    with pytest.raises(CohortError, match=r"must be \(n_samples, 3\), but got"):
        make_layout([0, 1, 2], (2, 2)).paint(np.zeros(shape, np.float32))


@pytest.mark.parametrize(("pixel", "named"), [([0, 6], "0 to 6"), ([-1, 3], "-1 to 3")])
def test_pixels_outside_the_image_are_refused(pixel, named):
    with pytest.raises(CohortError, match=f"must lie in 0 to 5, but got {named}"):
        make_layout(pixel, (2, 3))


@pytest.mark.parametrize("pixel", [[0], [[0, 1]], [0, 1, 2]])
def test_a_pixel_per_gene_is_needed(pixel):
    with pytest.raises(CohortError, match="one whole pixel number per gene, but got 2 genes"):
        Layout(np.array(["a", "b"]), np.array(pixel), (2, 2), "random")
