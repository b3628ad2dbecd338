"""The stage `images`: means over training samples in blocks, and the pairs of types that are shown."""

import numpy as np
import pandas as pd
import pytest

from expressionist.stages import images as stage


@pytest.fixture
def rows():
    sides = ["train"] * 7 + ["test"] * 2
    return pd.DataFrame({"split": sides, "tumour_type": ["B", "A", "B", "C", "A", "B", "B", "A", "C"]})


@pytest.mark.parametrize("n_rows", [1, 3, 256])
def test_means_are_those_of_the_training_images_of_every_type(rows, n_rows, monkeypatch):
    monkeypatch.setattr(stage, "N_ROWS", n_rows)
    images = np.random.default_rng(0).random((7, 2, 3, 1), np.float32)
    means = stage._mean_images(images, rows)
    expected = [images[[1, 4]], images[[0, 2, 5, 6]], images[[3]]]
    np.testing.assert_allclose(means, [each.mean(axis=0)[..., 0] for each in expected], rtol=1e-6)


def test_the_most_similar_types_come_first(monkeypatch):
    monkeypatch.setattr(stage, "_N_PAIRS", 2)
    means = np.zeros((3, 2, 2))
    means[1, 0, 1], means[2, 1, 1] = 0.9, 0.8
    drawn = {}
    monkeypatch.setattr(stage, "draw_differences", lambda *given: drawn.update(given=given))
    stage._draw_differences(means, ["A", "B", "C"], np.ones((2, 2), int))
    differences, pairs, _ = drawn["given"]
    assert pairs == [("A", "C"), ("A", "B")]
    np.testing.assert_array_equal(differences, [means[0] - means[2], means[0] - means[1]])
