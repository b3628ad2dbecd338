"""The chapter on what marks a type says whether rankings hold, and what could not be tested."""

from tests.report.made_up import (
    EVALUATION,
    make_explanation,
    make_recovery,
    make_run,
    make_truth,
    make_types,
)

from expressionist.report.chapters import rankings
from expressionist.report.chapters.recovery import TESTED

KNOWN = {"explanation": make_explanation(), "types": make_types(), "evaluation": EVALUATION}
KNOWN |= {"recovery": make_recovery(**{TESTED: 1}).iloc[:0]}


def test_without_markers_there_is_a_sentence_instead_of_a_figure() -> None:
    part = rankings.describe(make_run(**KNOWN))
    assert len(part.pictures) == 1
    assert any("known markers cannot be tested" in sentence for sentence in part.sentences)


def test_the_truth_is_shown_where_it_is_known() -> None:
    without = rankings.describe(make_run(**KNOWN))
    part = rankings.describe(make_run(**KNOWN, truth=make_truth(**{TESTED: 5})))
    assert (len(part.pictures), len(part.tables)) == (len(without.pictures) + 1, len(without.tables) + 1)
    assert "Rankings beside the truth" in [table.title for table in part.tables]
    assert any("every gene that is truly raised is known" in sentence for sentence in part.sentences)


def test_stability_is_a_median_over_types_beside_chance() -> None:
    types = make_types(shared_halves=[1, 3], shared_test_samples=None)
    told = rankings.judge_stability(types, 40)
    assert "top 3 genes, two halves of its samples share 2 in the median (from 1 to 3)" in told
    assert "test samples none that is known; plain fold change shares 3, an untrained network 0" in told
    assert "and chance 0.2." in told
    assert "is not known" in rankings.judge_stability(
        make_types(shared_halves=None).astype({"shared_halves": float}), 40
    )
