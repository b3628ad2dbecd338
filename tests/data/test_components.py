"""Principal components against their definition, and what they go with."""

import numpy as np

from expressionist.data.components import project, share_between


def test_components_are_those_of_a_full_decomposition():
    rng = np.random.default_rng(0)
    log2 = (rng.normal(size=(40, 3)) @ rng.normal(size=(3, 25)) + 0.01 * rng.normal(size=(40, 25))).astype(
        "f4"
    )
    points, shares = project(log2, 3, seed=1)
    left, strength, _ = np.linalg.svd(log2 - log2.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(shares, (strength**2 / (strength**2).sum())[:3], rtol=1e-3)
    # A component's sign is nobody's choice.
    np.testing.assert_allclose(np.abs(points), np.abs(left[:, :3] * strength[:3]), atol=1e-2)


def test_there_are_no_more_components_than_samples_or_genes():
    rng = np.random.default_rng(0)
    assert project(rng.normal(size=(4, 9)).astype("f4"), 5, seed=1)[0].shape == (4, 4)
    assert project(rng.normal(size=(9, 2)).astype("f4"), 5, seed=1)[0].shape == (9, 2)


def test_the_share_between_groups_is_one_minus_the_share_within():
    rng = np.random.default_rng(0)
    groups = np.array(["a", "b", "b", "c", "c", "c", "a", "b"])
    points = rng.normal(size=(8, 2)) + (groups == "b")[:, None] * [3.0, 0.0]
    within = sum(((points[groups == g] - points[groups == g].mean(axis=0)) ** 2).sum(axis=0) for g in "abc")
    total = ((points - points.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose(share_between(points, groups), 1 - within / total)


def test_a_component_without_variance_goes_with_nothing():
    assert share_between(np.ones((4, 1)), np.array(list("aabb"))).tolist() == [0.0]
