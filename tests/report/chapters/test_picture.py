"""The chapter on the picture says what it adds, by scores and by attributions, for every variant."""

from tests.report.made_up import (
    EVALUATION,
    PICTURE,
    make_ablation,
    make_explanation,
    make_gaps,
    make_run,
)

from expressionist.report.chapters import picture
from expressionist.report.tables import lay_out_table


def describe(**changes):
    known = {"picture": PICTURE, "ablation": make_ablation(), "explanation": make_explanation()}
    return picture.describe(make_run(**known | {"gaps": make_gaps(), "evaluation": EVALUATION} | changes))


def read(table):
    """Read a table's cells by what the network sees and by heading."""
    headings, rows = lay_out_table(table)
    return {
        cells[0].text: dict(zip([heading for heading, _ in headings], cells, strict=True))
        for _, cells in rows
    }


def test_the_sentence_comes_first_and_then_the_shares_which_may_be_negative() -> None:
    said, shares = describe().sentences
    assert said == PICTURE["said"]
    # Sums of -1 through the maps and 2.5 and 3.5 through the ranks, of two samples.
    assert "go \u221250% (\u221267% to \u221240%) through the maps and 150% (140% to 167%) through" in shares
    (_, whole) = describe(explanation=make_explanation(branches={"maps": 1.0})).sentences
    assert "go 100% (100% to 100%) through the maps, with" in whole


def test_every_variant_has_its_test_scores_in_the_open_and_validation_scores_on_a_click() -> None:
    test, validation = describe().tables
    assert (test.folded, validation.folded) == (False, True)
    shown = read(test)
    seen = ["all of it", "the picture alone", "ranks alone", "the picture, by the protocol of earlier work"]
    assert [*shown] == [*read(validation)] == seen
    recall = shown["the picture alone"]["Macro-recall"]
    assert (recall.text, recall.aside) == ("0.600", "0.500–0.650")
    assert read(validation)["ranks alone"]["Macro-F1"].aside == ""
    assert [best for best, _ in lay_out_table(test)[1]] == [True, False, False, False]
