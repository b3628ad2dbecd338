"""Genes as points: what their distances and neighbours are."""

import numpy as np

from expressionist.painting.layouts._embedding import find_neighbours, project_genes, put_in_strips
from expressionist.painting.layouts._tree import order_by_similarity


def test_inner_products_of_components_are_correlations():
    expression = np.array([[0, 1, 0.1], [1, 0, 1], [0.5, 0.5, 0.55]], np.float32)
    points = project_genes(expression, np.arange(3), np.random.default_rng(1))
    np.testing.assert_allclose((points @ points.T)[0], [1, -1, 1], atol=0.05)


def test_points_fall_into_strips_of_equal_width():
    points = np.array([[0.0, 0.0], [0.2, 0.4], [0.9, 0.6], [1.0, 1.0]])
    np.testing.assert_array_equal(put_in_strips(points, (2, 4)), [0, 0, 7, 7])


def test_neighbours_are_those_of_like_direction():
    components = np.array([[1.0, 0.0], [0.0, 5.0], [2.0, 0.1], [0.1, 1.0]])
    np.testing.assert_array_equal(find_neighbours(components, 1)[0].ravel(), [2, 3, 0, 1])


def test_what_stands_behind_decides_which_way_an_order_runs():
    points = np.array([[0.0], [5.0], [1.0], [6.0]])
    np.testing.assert_array_equal(order_by_similarity(points, behind=np.array([9.0])), [0, 2, 1, 3])
