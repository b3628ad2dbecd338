"""Confusions are ranked by how often they happen."""

import numpy as np

from expressionist.report.chapters.errors import rank_confusions


def test_confusions_are_ranked_and_the_diagonal_is_none() -> None:
    counts = np.array([[9, 1, 3], [0, 4, 0], [3, 0, 0]])
    ranked = rank_confusions(counts, ["A", "B", "C"])
    expected = [["A", "C", 3, 3 / 13], ["C", "A", 3, 1.0], ["A", "B", 1, 1 / 13]]
    assert ranked.to_numpy().tolist() == expected
    assert len(rank_confusions(np.ones((9, 9), int), list("ABCDEFGHI"))) == 15
    none = rank_confusions(np.eye(2, dtype=int), ["A", "B"])
    assert none.empty
    assert list(none) == list(ranked) == ["type", "predicted", "n_samples", "share_of_type"]
