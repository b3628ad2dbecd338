"""Genes replaced in the order of an explanation, and in others."""

import numpy as np
import pytest
from scipy.special import softmax

from expressionist.explain.faithfulness import average_curves, replace_genes

N_GENES = 60


@pytest.fixture
def linear():
    """A linear model whose first gene decides, and samples of both types."""
    kernel = np.zeros((N_GENES, 2))
    kernel[0] = [-8, 8]
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.random((6, 1)) * 0.1 + 0.9, rng.random((6, N_GENES - 1))], axis=1)
    others = np.concatenate([rng.random((6, 1)) * 0.1, rng.random((6, N_GENES - 1))], axis=1)
    return lambda given: softmax((given - 0.5) @ kernel, axis=1), samples, others


def replace(linear, **orders):
    predict, samples, others = linear
    given = {name: np.tile(order, (len(samples), 1)) for name, order in orders.items()}
    return replace_genes(predict, samples, others, np.ones(len(samples), int), given)


def read(curves, curve, order):
    rows = curves[(curves["curve"] == curve) & (curves["order"] == order)]
    return rows.groupby("n_genes")["probability"].mean()


def test_the_gene_that_decides_takes_the_prediction_with_it(linear):
    curves = replace(linear, first=np.arange(N_GENES), last=np.arange(N_GENES)[::-1])
    deleted, kept = read(curves, "deletion", "first"), read(curves, "deletion", "last")
    assert deleted.index.tolist() == [0, 20, 50]
    assert deleted[0] == kept[0] > 0.95
    assert deleted[20] < 0.05
    assert kept[50] > 0.95
    given = read(curves, "insertion", "first")
    assert given[0] < 0.05
    assert given[20] > 0.95


def test_what_is_given_is_not_changed(linear):
    predict, samples, others = linear
    before = samples.copy(), others.copy()
    replace(linear, first=np.arange(N_GENES))
    np.testing.assert_array_equal(before[0], samples)
    np.testing.assert_array_equal(before[1], others)


def test_every_prediction_is_counted(linear):
    counted = []
    predict, samples, others = linear
    orders = {"one": np.tile(np.arange(N_GENES), (len(samples), 1))}
    replace_genes(predict, samples, others, np.ones(6, int), orders, on_progress=counted.append)
    assert sum(counted) == 2 * 6 * (1 + 2)


def test_means_lie_within_their_intervals_and_equal_samples_have_none(linear):
    curves = replace(linear, first=np.arange(N_GENES))
    averages = average_curves(curves, n_resamples=200, level=0.95, seed=1)
    assert averages.columns.tolist() == ["curve", "order", "n_genes", "probability", "low", "high"]
    assert averages["n_genes"].tolist() == [0, 20, 50] * 2
    assert (
        (averages["low"] <= averages["probability"]) & (averages["probability"] <= averages["high"])
    ).all()
    np.testing.assert_allclose(averages["probability"][:3], read(curves, "deletion", "first"))
    same = average_curves(curves.assign(probability=0.5), n_resamples=50, level=0.9, seed=1)
    np.testing.assert_allclose(same[["low", "high"]], 0.5)
