"""Confusions are ranked by how often they happen."""

import numpy as np
import pandas as pd
import pytest
from tests.report.made_up import make_run

from expressionist.report.chapters.errors import describe, rank_confusions


def test_confusions_are_ranked_and_the_diagonal_is_none() -> None:
    counts = np.array([[9, 1, 3], [0, 4, 0], [3, 0, 0]])
    ranked = rank_confusions(counts, ["A", "B", "C"])
    expected = [["A", "C", 3, 3 / 13], ["C", "A", 3, 1.0], ["A", "B", 1, 1 / 13]]
    assert ranked.to_numpy().tolist() == expected
    assert len(rank_confusions(np.ones((9, 9), int), list("ABCDEFGHI"))) == 15
    none = rank_confusions(np.eye(2, dtype=int), ["A", "B"])
    assert none.empty
    assert list(none) == list(ranked) == ["type", "predicted", "n_samples", "share_of_type"]


@pytest.mark.parametrize(("refit", "told"), [({}, ""), ({"members": 3}, ", as registered,")])
def test_the_network_that_was_trained_again_is_called_the_registered_one(
    refit: dict[str, int], told: str
) -> None:
    confusion = pd.DataFrame([[3, 1], [0, 2]], columns=["A", "B"])
    per_type = pd.DataFrame({"type": ["A", "B"], "n_samples": [4, 2], "recall": [0.75, 1.0]})
    part = describe(make_run(confusion=confusion, per_type=per_type, refit=refit))
    assert part.sentences == [f"mobilenet{told} classifies 1 of 6 test samples wrongly."]
