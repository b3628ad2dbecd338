"""The chapter on the depth search shows every trial, also those that came to nothing."""

import pandas as pd
from tests.report.made_up import SEARCH, make_run

from expressionist.report.chapters import search


def test_pruned_and_failed_trials_are_marked() -> None:
    (table,) = search.describe(make_run(searches={"mobilenet": SEARCH})).tables
    assert table.rows["state"].tolist() == ["finished", "pruned", "failed"]
    assert table.rows["n_unfrozen_parameters"].tolist() == [0, 1234567, pd.NA]
    assert table.rows["dropout"].tolist() == [0.3, 0.5, 0.5]
    assert table.rows["standard_error"].tolist()[0] == 0.05
    assert table.best == 0
