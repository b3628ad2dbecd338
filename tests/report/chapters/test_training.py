"""The chapter of the trainings names classifiers by what they see."""

from tests.report.made_up import TRAINING, make_run

from expressionist.report.chapters import training


def test_shares_are_told_by_what_the_classifiers_see() -> None:
    run = make_run(trainings={"mobilenet": TRAINING})
    table, _ = training.describe(run).tables
    assert table.rows["shares"].tolist() == ["picture 25%, ranks 75%"]
