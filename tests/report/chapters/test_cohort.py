"""The chapter on the cohort shows whatever its source counted."""

import pandas as pd
from tests.report.made_up import make_run

from expressionist.report.chapters import cohort
from expressionist.report.content import ReportContent
from expressionist.report.page import build_page


def test_rules_of_a_read_cohort_become_rows_of_one_table() -> None:
    aliquot = {"rule": "second aliquot", "n": 2, "examples": ["a", "b"], "by_type": {"T0": 1, "T1": 1}}
    unplaced = {"rule": "no position known", "n": 1, "examples": ["g"]}
    quality = {
        "cohort": "tcga",
        "samples": {"read": 10, "kept": 8, "rules": [aliquot]},
        "genes": {"read": 5, "kept": 5, "rules": [], "without_position": unplaced},
        "values": {"rules": [{"rule": "value below 0 set to 0", "n": 3, "lowest": -0.5}]},
        "types": {"read": {"T0": 6, "T1": 4}, "kept": {"T0": 8}},
    }
    split = pd.DataFrame({"tumour_type": ["T0"], "split": ["train"]})
    part = cohort.describe(make_run(quality=quality, split=split))
    rules, types = part.tables
    assert rules.rows["of"].tolist() == ["samples", "genes", "values"]
    assert rules.rows["n"].tolist() == [2, 1, 3]
    assert rules.rows["more"].tolist() == ["", "", "lowest \u22120.500"]
    assert types.rows.to_numpy().tolist() == [["T0", 6, 8], ["T1", 4, 0]]
    assert part.facts["Samples"] == "8 of 10 kept"
    assert "second aliquot" in build_page(ReportContent("t", cohort=part))
