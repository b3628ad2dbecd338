"""Clusters of genes that were planted."""

import numpy as np

from expressionist.painting.gene_clusters import cluster_genes


def make_scaled(sizes, n_samples=40, seed=0):
    """Programmes of some genes each, up or down, and a constant gene at the end."""
    rng = np.random.default_rng(seed)
    programme = np.repeat(np.arange(len(sizes)), sizes)
    drive = rng.normal(size=(n_samples, len(sizes)))
    scaled = drive[:, programme] + rng.normal(scale=0.1, size=(n_samples, len(programme)))
    return np.column_stack([scaled, np.full(n_samples, 0.5)]).astype(np.float32), programme


def test_planted_programmes_are_found_the_largest_first():
    # As many programmes as there are clusters, so that none can be cut in two.
    sizes = [20, 12, 30, 8, 6, 25, 5, 10, 15]
    scaled, programme = make_scaled(sizes)
    clusters = cluster_genes(scaled, seed=1)
    assert clusters[-1] == 0, "a constant gene is in no cluster"
    found = [set(clusters[:-1][programme == each]) for each in range(len(sizes))]
    assert sum(len(each) == 1 for each in found) >= 8, "one pair at most may be merged by an unlucky start"
    assert (np.diff(np.bincount(clusters)[1:]) <= 0).all()


def test_the_same_seed_gives_the_same_clusters_and_expression_is_left_alone():
    scaled, _ = make_scaled([10, 10, 10])
    before = scaled.copy()
    np.testing.assert_array_equal(cluster_genes(scaled, seed=3), cluster_genes(scaled, seed=3))
    np.testing.assert_array_equal(scaled, before)


def test_few_genes_samples_or_values_are_no_fault():
    assert cluster_genes(np.zeros((3, 4), np.float32), seed=1).tolist() == [0, 0, 0, 0]
    assert cluster_genes(np.array([[0], [1]], np.float32), seed=1).tolist() == [1]
    # Two samples: every gene goes up or down, and nothing else can be told.
    up_or_down = np.array([[0, 1, 0, 0.2], [1, 0, 1, 0.9]], np.float32)
    clusters = cluster_genes(up_or_down, seed=1)
    assert clusters.tolist() == [1, 2, 1, 1]
