"""The chapter on models shows what the verdict rests on first, and nothing twice."""

import pandas as pd
from tests.report.made_up import EVALUATION, PICTURE, make_ablation, make_run

from expressionist.evaluation.metrics import METRICS
from expressionist.report.chapters import comparison
from expressionist.report.tables import lay_out_table


def make_scores() -> pd.DataFrame:
    rows = {"mobilenet": ("network", 0.9, 3, 1, 0.5), "linear_svm": ("baseline", 0.8, 0, 0, float("nan"))}
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["kind", "score", "only_right", "only_baseline_right", "p_value"]
    )
    for metric in METRICS:
        table[metric], table[f"{metric}_low"], table[f"{metric}_high"] = table["score"], 0.1, 1.0
    weights = {
        "weights": ["RANDOM", None],
        "depth": [0, None],
        "validation_f1_macro": 0.7,
        "validation_log_loss": 0.9,
    }
    return table.drop(columns="score").assign(**weights).rename_axis("model")


def run_with_scores(**changes):
    facts = {
        "winner": "mobilenet",
        "best_baseline": "linear_svm",
        "best_on_test": "mobilenet",
        "p_value": 0.5,
    }
    facts |= {"verdict": "It won.", "n_test": 18, "synthetic": False, "random_weights": []}
    splits = pd.DataFrame({"repeat": [1], "model": ["mobilenet"], "f1_macro": [0.9]})
    known = {"spread": {}, "evaluation": EVALUATION, "baselines": {}, "picture": PICTURE}
    known |= {"comparison": facts, "scores": make_scores(), "splits": splits, "ablation": make_ablation()}
    return make_run(**known | changes)


def test_the_verdict_has_the_scores_of_both_side_by_side() -> None:
    (table,) = comparison.declare(run_with_scores()).part.tables
    headings, rows = lay_out_table(table)
    assert [heading for heading, _ in headings] == [
        "On test samples",
        "mobilenet (network)",
        "linear SVM (baseline)",
    ]
    told = [[cell.text for cell in cells] for _, cells in rows]
    assert told == [
        [name, "0.900", "0.800"] for name in ("accuracy", "macro-F1", "log-loss", "calibration error")
    ]
    assert "the network 3, the baseline model 1 (p = 0.5)" in table.caption


def test_what_the_verdict_rests_on_stands_in_the_open_table_and_nothing_stands_twice() -> None:
    tables = comparison.describe(run_with_scores()).tables
    headings = [[heading for heading, _ in lay_out_table(table)[0]] for table in tables]
    assert [table.folded for table in tables] == [False, True, True]
    assert {"Log-loss", "Calibration error", "McNemar p"} < set(headings[0])
    for first, second in ((headings[0], headings[1]),):
        assert set(first) & set(second) == {"Model"}
        assert len(set(first)) == len(first)
        assert len(set(second)) == len(second)


def test_the_reference_stands_in_the_table_and_cannot_win() -> None:
    table = comparison.describe(run_with_scores()).tables[0]
    _, rows = lay_out_table(table)
    assert [(best, cells[0].text, cells[1].text) for best, cells in rows] == [
        (True, "mobilenet", "network"),
        (False, "linear SVM", "baseline"),
        (False, "mobilenet (reference)", "reference"),
    ]
    assert "was not eligible to win" in table.caption
    ablation = make_ablation()
    without = run_with_scores(ablation=ablation[ablation["variant"] != "reference"])
    table = comparison.describe(without).tables[0]
    assert len(table.rows) == 2
    assert "eligible" not in table.caption


def test_the_verdict_says_what_the_picture_adds() -> None:
    assert PICTURE["said"] in comparison.declare(run_with_scores()).part.sentences
