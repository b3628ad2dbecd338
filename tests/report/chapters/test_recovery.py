"""Whether attributions find markers is judged by the numbers, beside the controls."""

import pytest
from tests.report.made_up import EVALUATION, make_recovery, make_run, make_truth

from expressionist.report.chapters.recovery import (
    RANKINGS,
    TESTED,
    average_truth,
    draw_truth,
    judge_recovery,
    judge_truth,
    tabulate_rankings,
    tabulate_truth,
)


@pytest.mark.parametrize(
    ("control", "outcome", "told"),
    [
        (1, "finds more than", "8 types, fewer in 0 (sign test p = 0.0078)."),
        (5, "cannot be told apart from", "0 types, fewer in 0 (sign test p = 1)."),
        (9, "finds fewer than", "0 types, fewer in 8 (sign test p = 0.0078)."),
    ],
)
def test_controls_are_judged_by_the_numbers(control: int, outcome: str, told: str) -> None:
    sentences = judge_recovery(make_recovery(**{TESTED: 5, "fold_change": control}))
    assert "finds 40 of 80 markers; 1.6 are expected by chance. In 8 types" in sentences[0]
    assert len(sentences) == 2
    assert sentences[1] == f"It {outcome} plain fold change ({8 * control} of 80): more in {told}"


def test_the_truth_is_told_by_the_numbers_in_the_order_of_the_rankings() -> None:
    averages = average_truth(make_truth(fold_change=9, unheard_of=1, **{TESTED: 5}), EVALUATION)
    known, raised, planted = judge_truth(averages, 8)
    assert "in the mean of 8 types 10 genes are higher" in known
    told = "50% (50%–50%) by Integrated Gradients and 90% (90%–90%) by plain fold change"
    assert raised == f"So far raised are, among the top 10 genes of a type, {told}; 10.0% would be by chance."
    assert planted == f"Of the planted markers the same genes hold {told}."
    table = tabulate_truth(averages).rows
    assert table["ranking"].tolist() == ["Integrated Gradients", "plain fold change"] * 4
    assert table["precision"].tolist() == [0.5, 0.9] * 4


def test_sentences_are_on_the_controls_that_matter_and_the_table_on_all() -> None:
    found = make_recovery(**{TESTED: 5, "t_statistic": 2, "random_weights": 5, "maps": 9})
    assert len(judge_recovery(found)) == 2
    rows = tabulate_rankings(found).rows.set_index("ranking")
    assert list(rows.index) == [RANKINGS[key] for key in (TESTED, "maps", "random_weights", "t_statistic")]
    assert rows["share_found"].tolist() == [0.5, 0.9, 0.5, 0.2]
    assert rows["n_significant"].tolist() == [8, 8, 8, 0]
    assert rows["n_more"].tolist()[1:] == [8, 0, 0]
    assert rows["n_fewer"].tolist()[1:] == [0, 0, 8]


def test_curves_leave_out_rankings_that_would_hide_each_other() -> None:
    truth = make_truth(**{TESTED: 5, "maps": 3, "fold_change": 9})
    picture = draw_truth(make_run(evaluation=EVALUATION), average_truth(truth, EVALUATION))
    labels = [line.get_label() for line in picture.image.axes[0].lines]
    assert labels == ["Integrated Gradients", "plain fold change", "chance"]


def test_curves_show_precision_of_what_was_raised_and_recall_of_what_was_planted() -> None:
    run = make_run(evaluation=EVALUATION)
    picture = draw_truth(run, average_truth(make_truth(**{TESTED: 5}), EVALUATION))
    panels = {axes.get_title(loc="left"): axes.lines for axes in picture.image.axes}
    precision, chance = panels["precision: raised by 2 log₂ or more"]
    assert precision.get_xydata().tolist() == [[10, 0.5], [50, 0.1]]
    assert chance.get_ydata().tolist() == [0.1, 0.1]
    recall, chance = panels["recall: planted markers"]
    assert recall.get_ydata().tolist() == [0.5, 0.5]
    assert chance.get_ydata() == pytest.approx([0.1, 0.5])
    assert "90% bootstrap interval" in picture.caption


def test_too_few_types_to_tell_anything_apart_are_told() -> None:
    found = make_recovery(**{TESTED: 5, "fold_change": 9})
    few = found[found["tumour_type"].isin(found["tumour_type"].unique()[:5])]
    told = "fewer in 5 (sign test p = 0.062; 5 types that differ allow none below 0.05)."
    assert judge_recovery(few)[1].endswith(told)
