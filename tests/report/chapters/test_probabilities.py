"""The chapter on probabilities puts them into plain words."""

import pandas as pd
from tests.report.made_up import make_explanation, make_probabilities, make_run

from expressionist.report.chapters import probabilities


def describe(**changes: object) -> str:
    table = pd.DataFrame({"kind": ["baseline"], "ece": [0.123]}, index=["k_nearest_neighbours"])
    part = probabilities.describe(
        make_run(probabilities=make_probabilities(**changes), scores=table, explanation=make_explanation())
    )
    assert len(part.pictures) == 3
    assert part.tables[0].rows["samples"].tolist() == [5, 2, 1, 1] * 2
    assert part.tables[-1].rows["genes missing"].tolist() == [0, 2, 12]
    assert part.tables[-1].title == "Accuracy on 9 validation samples, by the share of genes missing"
    return " ".join(part.sentences)


def test_probabilities_are_put_into_plain_words() -> None:
    told = describe()
    for words in ("divided by 1.25", "is 0.100; it was 0.200 before", "k nearest neighbours 0.123"):
        assert words in told
    assert "below 55.0% are marked abstain" in told
    assert "75.0% are answered, 95.0% of these rightly" in told
    assert "Of 3 test samples too uncertain to name a type 2 get an answer by organ system" in told
    assert "threshold together: 1 rightly" in told
    assert "Of 18 test samples 1 is flagged" in told
    assert "shown 30 normal samples" in told


def test_probabilities_say_when_all_or_none_are_answered_and_when_no_normal_tissue_was_there() -> None:
    side = make_probabilities()["test"] | {"answered": 0.0, "answered_accuracy": None}
    assert "every prediction abstains" in describe(abstain_below=1.0, validation=side, test=side)
    assert "; of the test samples 0.0% are answered." in describe(test=side)
    flagged = {"validation": [0, 9], "test": [1, 18], "shuffled": [18, 18]}
    assert "and normal tissue hardly ever is." in describe(
        n_normals_shown=0, flagged=flagged, flagged_normals={}
    )
