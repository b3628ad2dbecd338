"""Siblings and errors are explained where something was confused, and only there."""

import pandas as pd
from tests.report.made_up import TYPES, make_errors, make_run, make_siblings

from expressionist.report.chapters import siblings

CONFUSION = pd.DataFrame([[6, 0, 0], [0, 4, 2], [0, 1, 5]], columns=TYPES)


def test_a_pair_is_told_with_its_errors_both_ways() -> None:
    part = siblings.describe(make_run(confusion=CONFUSION, errors=make_errors(), siblings=make_siblings()))
    assert part is not None
    first, second = part.sentences
    assert first.startswith("3 test samples of 18 were misclassified.")
    known = {"errors": make_errors(), "siblings": make_siblings()}
    single = make_run(confusion=CONFUSION.where(CONFUSION == 1, 0), **known)
    assert "1 test sample of 1 was misclassified." in siblings.describe(single).sentences[0]
    assert second.startswith("Most often taken for each other: T1 and T2 (3 samples).")
    assert len(part.pictures) == 1


def test_nothing_confused_has_no_chapter() -> None:
    run = make_run(confusion=CONFUSION, errors=make_errors().iloc[:0], siblings=make_siblings().iloc[:0])
    assert siblings.describe(run) is None


def test_an_error_is_a_row_with_the_five_genes_that_pulled_most_high_and_low_apart() -> None:
    (row,) = siblings.tabulate_errors(make_errors(), 1).rows.to_dict("records")
    assert (row["type"], row["predicted"]) == ("T1", "T2")
    assert (row["high"], row["low"]) == ("A, C, E", "B, D")
    assert round(row["attribution"], 6) == 2.0
