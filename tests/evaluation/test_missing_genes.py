"""Genes taken away at random: what is lost is what they carried, and nothing where they carry nothing."""

import numpy as np

from expressionist.evaluation.missing_genes import lose_genes


def judge(predict, n_samples=300, n_genes=400):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, n_samples)
    # Each gene tells a little; its mean over types tells nothing.
    scaled = rng.normal(0.02 * (2 * truth[:, None] - 1), 0.2, (n_samples, n_genes))
    return lose_genes(predict, scaled, np.zeros(n_genes), truth, rng=np.random.default_rng(1))


def test_accuracy_falls_with_the_genes_that_carry_it():
    rows = judge(lambda scaled: np.column_stack([-scaled.sum(axis=1), scaled.sum(axis=1)]))
    assert [row["n_missing"] for row in rows] == [0, 10, 20, 40, 80, 120]
    assert {row["n_samples"] for row in rows} == {200}
    accuracy = [row["accuracy"] for row in rows]
    assert accuracy[0] > 0.95
    assert accuracy[0] > accuracy[-1]
    assert all(row["lowest"] <= row["accuracy"] for row in rows)


def test_the_missing_ones_are_filled_for_all_samples_alike():
    seen = []

    def predict(scaled):
        seen.append((scaled == 0).all(axis=0).sum())
        return np.eye(2)[np.zeros(len(scaled), int)]

    rows = judge(predict, n_samples=50)
    assert seen == [0, 10, 10, 10, 20, 20, 20, 40, 40, 40, 80, 80, 80, 120, 120, 120]
    assert {row["n_samples"] for row in rows} == {50}
    assert len({row["accuracy"] for row in rows}) == 1
