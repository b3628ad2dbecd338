"""Figures of gene sets: a dot where set and type meet, larger the surer, and genes on their pixels."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from expressionist.report.figures.pathways import draw_enrichment, draw_set_places

FOUND = pd.DataFrame(
    {
        "tumour_type": ["T0", "T1", "T0", "T1"],
        "gene_set": ["$A_1$", "$A_1$", "B%WikiPathways_1%WP1", "C"],
        "score": [4.0, -2.0, 0.0, 6.0],
        "q_value": [1e-4, 0.2, 1.0, 0.0],
    }
)


def read_dots(axes: Axes) -> PathCollection:
    return next(each for each in axes.collections if isinstance(each, PathCollection))


def test_dots_stand_where_set_and_type_meet() -> None:
    axes = draw_enrichment(FOUND, ["B%WikiPathways_1%WP1", "$A_1$"], ["T0", "T1"]).axes[0]
    dots = read_dots(axes)
    assert dots.get_offsets().tolist() == [[0, 1], [1, 1], [0, 0]]
    np.testing.assert_array_equal(dots.get_array(), [4, -2, 0])
    assert list(np.argsort(dots.get_sizes())) == [2, 1, 0]
    # Only what is significant has a rim.
    assert [colour[-1] > 0 for colour in dots.get_edgecolors()] == [True, False, False]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["B", "$A_1$"]


def test_the_surest_dot_is_drawn_too() -> None:
    axes = draw_enrichment(FOUND, ["C"], ["T1"]).axes[0]
    assert np.isfinite(read_dots(axes).get_sizes()).all()


def test_genes_of_a_set_lie_on_their_pixels() -> None:
    pixel = np.array([5, 0, 3, 4])
    axes = draw_set_places(pixel, {"A": np.array([0, 2]), "B": np.array([1])}, (2, 3)).axes
    assert [each.collections[0].get_offsets().tolist() for each in axes] == [[[2, 1], [0, 1]], [[0, 0]]]
