"""The gate's table: intervals of the lead on the same samples, calibration, and what is written in it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from expressionist.params.sections import GateParams
from expressionist.tracking.gate import Candidate, Check, Waivers, judge

N_SAMPLES = 400


def make_answers(n_wrong: int, first: int = 0) -> pd.DataFrame:
    """Make answers, so many of them wrong from the first on."""
    truth = np.resize(["ACC", "BLCA"], N_SAMPLES)
    predicted, wrong = truth.copy(), slice(first, first + n_wrong)
    predicted[wrong] = np.where(truth[wrong] == "ACC", "BLCA", "ACC")
    facts = {"patient": np.arange(N_SAMPLES), "tumour_type": truth, "predicted": predicted}
    return pd.DataFrame(facts, index=[f"s{number}" for number in range(N_SAMPLES)])


def make(version: str, answers: pd.DataFrame | None = None, **changes: Any) -> Candidate:
    return Candidate(version, 0.9, 0.8, "d", "s", "no", "imagenet", answers=answers, **changes)


def compare(ours: pd.DataFrame | None, theirs: pd.DataFrame | None, worse: float, **waived: bool) -> Check:
    gate = GateParams(0.5, 0.5, worse, paired=0.95)
    return judge(make("2", ours), make("1", theirs), gate, Waivers(**waived))[-1]


@pytest.mark.parametrize(
    ("ours", "theirs", "worse", "held"),
    [
        # Better by more than chance; as good, whose lead is 0 whatever is drawn.
        (make_answers(20), make_answers(80), 0.0, True),
        (make_answers(40), make_answers(40), 0.0, True),
        # Better by two samples only: that may be chance. Where two points may be lost, it does not matter.
        (make_answers(40), make_answers(42, first=100), 0.0, False),
        (make_answers(2), make_answers(4, first=100), 0.02, True),
        (make_answers(80), make_answers(20), 0.02, False),
    ],
)
def test_the_low_end_of_the_lead_is_held(
    ours: pd.DataFrame, theirs: pd.DataFrame, worse: float, *, held: bool
) -> None:
    check = compare(ours, theirs, worse)
    assert check.held is held
    assert check.what == "lead in f1_macro beside version 1, 95% interval"
    assert check.asked == f"from {-worse if worse else 0:.4f}"
    lead = float(check.found.split()[0])
    wrong = [(each["predicted"] != each["tumour_type"]).sum() for each in (ours, theirs)]
    assert lead == pytest.approx((wrong[1] - wrong[0]) / N_SAMPLES, abs=1e-3)


@pytest.mark.parametrize("missing", ["ours", "theirs"])
def test_without_answers_by_sample_a_person_must_decide(missing: str) -> None:
    answers = [None if missing == name else make_answers(1) for name in ("ours", "theirs")]
    check = compare(*answers, 0.0)
    assert (check.passed, check.found) == (False, "no answers by sample")
    assert "Only a person can decide" in check.said
    waived = compare(*answers, 0.0, across_data=True)
    assert (waived.held, waived.passed) == (False, True)


def test_other_samples_are_not_paired() -> None:
    gate = GateParams(0.5, 0.5, 0.0, paired=0.95)
    rival = Candidate("1", 0.9, 0.8, "d", "t", "no", "imagenet", answers=make_answers(1))
    assert judge(make("2", make_answers(1)), rival, gate)[-1].found == "another split"


@pytest.mark.parametrize(("ece", "held"), [(0.05, True), (0.0501, False), (float("nan"), False)])
def test_calibration_is_held_where_it_is_asked_for(ece: float, *, held: bool) -> None:
    checks = {
        check.what: check for check in judge(make("2", ece=ece), None, GateParams(0.5, 0.5, 0.0, ece=0.05))
    }
    assert checks["ece"].held is held
    assert (checks["ece"].found, checks["ece"].asked) == (f"{ece:.4f}", "at most 0.0500")
    assert "ece" not in {check.what for check in judge(make("2", ece=ece), None, GateParams(0.5, 0.5, 0.0))}
