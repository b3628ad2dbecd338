"""One gene at a time through all that draws an oblong image: rows are never taken for columns."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from expressionist import ExpressionImager
from expressionist.network.assembly import Paint
from expressionist.report.chapters.tumour_types import sum_by_pixel
from expressionist.report.figures.attributions import draw_attribution
from expressionist.report.figures.images import draw_clusters, draw_differences, draw_preview

N_GENES = 17


@pytest.fixture(params=[(3, 7), (7, 3), (1, 20), (20, 1)], ids=str)
def imager(request):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.random((9, N_GENES)), columns=[f"g{gene}" for gene in range(N_GENES)])
    return ExpressionImager("random", shape=request.param).fit(table)


def find_shown(figure, panel):
    """Return where a panel of a figure shows something else than 0, and its shape."""
    images = [image for axes in figure.axes for image in axes.get_images()]
    shown = images[panel].get_array()
    return np.argwhere(np.ma.filled(shown, 0) != 0).tolist(), shown.shape


@pytest.mark.parametrize("gene", range(N_GENES))
def test_a_gene_is_where_it_is_said_to_be(imager, gene):
    layout, name = imager.layout_, f"g{gene}"
    place = list(imager.pixel_of(name))
    assert imager.genes_at(*place) == [name]
    column = int(np.flatnonzero(layout.genes == name)[0])
    assert [layout.row[column], layout.column[column]] == place
    assert imager.get_feature_names_out()[place[0] * imager.shape_[1] + place[1]] == name

    one = np.zeros((1, N_GENES), np.float32)
    one[0, column] = 1
    image = layout.paint(one)[0, :, :, 0]
    assert np.argwhere(image).tolist() == [place]
    assert np.argwhere(sum_by_pixel(one[0], layout.pixel, layout.shape)).tolist() == [place]
    drawn = draw_attribution(np.zeros_like(image), image, layout.overlap, "ACC")
    assert find_shown(drawn, 1) == ([place], layout.shape)
    for drawn in (
        draw_preview(image[None], ["ACC"], layout.overlap),
        draw_differences(image[None], [("ACC", "UVM")], layout.overlap),
    ):
        assert find_shown(drawn, 0) == ([place], layout.shape)
    clusters = draw_clusters(layout.pixel, one[0].astype(int), layout.shape)
    (map_of_clusters,) = clusters.axes[0].get_images()
    assert np.argwhere(np.ma.filled(map_of_clusters.get_array(), 0) == 1).tolist() == [place]


def test_the_networks_painting_and_its_gradient_agree(imager):
    layout = imager.layout_
    paint = Paint(N_GENES, layout.shape)
    paint.pixel.assign(layout.pixel.astype(np.int32))
    paint.share.assign(layout.share[:, None])
    scaled = tf.constant(np.eye(N_GENES, dtype=np.float32))
    np.testing.assert_array_equal(paint(scaled), layout.paint(scaled.numpy()))
    weights = np.random.default_rng(1).random((1, *layout.shape, 1)).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(scaled)
        product = keras.ops.sum(paint(scaled[:1]) * weights)
    gradient = tape.gradient(product, scaled).numpy()[0]
    np.testing.assert_array_equal(gradient, weights[0, layout.row, layout.column, 0])


def test_padding_is_drawn_as_no_gene(imager):
    layout = imager.layout_
    zero = np.zeros((1, *layout.shape))
    for figure in (
        draw_preview(zero, ["ACC"], layout.overlap),
        draw_differences(zero, [("ACC", "UVM")], layout.overlap),
        draw_clusters(layout.pixel, np.ones(N_GENES, int), layout.shape),
    ):
        (shown,) = figure.axes[0].get_images()
        np.testing.assert_array_equal(np.ma.getmaskarray(shown.get_array()), imager.padding_)
