"""The chapter on what the network used judges completeness, branches and controls by the numbers."""

import pandas as pd
import pytest
from tests.report.made_up import (
    EVALUATION,
    make_explanation,
    make_faithfulness,
    make_gaps,
    make_randomisation,
    make_recovery,
    make_run,
    make_truth,
)

from expressionist.report.chapters import attributions

KNOWN = {"explanation": make_explanation(), "gaps": make_gaps(), "recovery": make_recovery(maps=1, ranks=4)}
KNOWN |= {"faithfulness": make_faithfulness(), "randomisation": make_randomisation()}
KNOWN |= {"evaluation": EVALUATION}


def test_completeness_is_judged_and_types_without_a_sample_are_named() -> None:
    part = attributions.describe(make_run(**KNOWN))
    assert any("NOT as complete as asked: a median gap of 5.00%" in sentence for sentence in part.sentences)
    assert any(sentence.startswith("No test sample of T1 was") for sentence in part.sentences)
    whole = attributions.state_completeness(make_run(explanation=make_explanation(complete=True)))
    assert "are complete as asked" in whole


def test_branches_are_told_by_their_mass_and_by_what_each_finds() -> None:
    run = make_run(**KNOWN, truth=make_truth(maps=1, ranks=5))
    rows = attributions.measure_branches(run)
    assert rows["rise"].to_dict() == {"maps": -1.0, "ranks": 3.0}
    assert rows["share_found"].to_dict() == pytest.approx({"maps": 0.1, "ranks": 0.4})
    assert rows["precision"].to_dict() == pytest.approx({"maps": 0.1, "ranks": 0.5})
    told = attributions.judge_branches(rows)
    assert "go 25% through the maps and 75% through the ranks. A ranking by one branch alone finds" in told
    assert told.endswith("finds 10% (by the maps) and 40% (by the ranks) of the markers.")
    without = attributions.measure_branches(make_run(**{**KNOWN, "recovery": make_recovery()}))
    assert not {"share_found", "precision"} & set(without)
    assert attributions.judge_branches(without).endswith("75% through the ranks.")


def test_faithfulness_is_told_at_fifty_genes_and_at_the_most() -> None:
    told = attributions.judge_faithfulness(make_faithfulness())
    assert "without its 50 first genes" in told
    assert "from a mean probability of 0.90 to 0.50 (0.46–0.54)" in told
    assert "by fold change to 0.80 (0.76–0.84), at random to 0.90" in told
    assert "Its 100 first genes" in told
    assert "make it the type with 0.65 (0.61–0.69); by fold change with 0.20" in told


def test_randomisation_is_told_for_the_head_and_for_all_weights() -> None:
    cascade = pd.concat([make_randomisation(), make_randomisation().assign(sample=2, n_shared=1)])
    told = attributions.judge_randomisation(cascade, 3)
    assert "on 3 training samples: with the weights of the head drawn anew" in told
    assert (
        "at 0.50 by rank and share 1.5 of the top 3 genes; with all weights, at \u22120.02 and 0.5." in told
    )
