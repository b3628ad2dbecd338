import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from expressionist.evaluation.drift import FEWEST, OwnSamples, _permute, judge_drift

TRAINED = {"A": 300, "B": 200, "C": 100}
OWN = OwnSamples(
    answers=pd.DataFrame({"predicted": "A", "probability": np.linspace(0.5, 1, 200)}),
    n_flagged=2,
    abstain_below=0.55,
    trained=TRAINED,
)


def draw_log(n_samples: int, n_days: int = 1, **changes: object) -> pd.DataFrame:
    """Predictions like those of own samples, in so many days."""
    rng = np.random.default_rng(7)
    probability = rng.uniform(0.5, 1, n_samples)
    columns = {
        "time": pd.to_datetime("2026-03-02T06:00Z")
        + pd.to_timedelta(np.arange(n_samples) % n_days, unit="D"),
        "tumour_type": rng.choice(list(TRAINED), n_samples, p=np.array(list(TRAINED.values())) / 600),
        "probability": probability,
        "abstain": probability < 0.55,
        "unlike_training": rng.random(n_samples) < 0.01,
        "n_missing_genes": 0,
    }
    return pd.DataFrame(columns | changes)


def judge(log: pd.DataFrame, own: OwnSamples = OWN) -> dict:
    return judge_drift(log, own, level=0.95, seed=1)


def list_shifted(facts: dict) -> set[tuple[str | None, str]]:
    return {(test["begin"], test["measure"]) for test in facts["tests"] if test["shifted"]}


def test_samples_like_its_own_are_no_shift() -> None:
    facts = judge(draw_log(400, 5))
    assert len(facts["tests"]) == 6 * 5
    assert list_shifted(facts) == set()


@pytest.mark.parametrize(
    ("measure", "changes"),
    [
        ("abstain", {"abstain": np.arange(400) % 4 == 0}),
        ("unlike_training", {"unlike_training": np.arange(400) % 5 == 0}),
        ("missing", {"n_missing_genes": np.arange(400) % 3}),
        ("probability", {"probability": 0.6}),
        ("types", {"tumour_type": "C"}),
    ],
)
def test_what_shifts_is_told_from_what_does_not(measure: str, changes: dict) -> None:
    assert list_shifted(judge(draw_log(400, **changes))) == {(None, measure)}


def test_a_day_that_differs_is_named() -> None:
    log = draw_log(400, 4)
    first = log["time"].dt.day == 4
    facts = judge(log.assign(unlike_training=log["unlike_training"] | first))
    assert ("2026-03-04", "unlike_training") in list_shifted(facts)
    assert {begin for begin, _ in list_shifted(facts)} == {None, "2026-03-04"}


def test_nothing_is_claimed_of_few() -> None:
    few = draw_log(FEWEST - 1, tumour_type="C", probability=0.1, abstain=True, unlike_training=True)
    assert judge(few)["tests"] == []
    assert len(judge(few)["bins"]) == 1


def test_shares_and_intervals_are_those_of_the_counts() -> None:
    facts = judge(draw_log(40, abstain=np.arange(40) < 10, n_missing_genes=[0] * 39 + [7]))
    here, own = facts["all"], facts["own"]
    # Wilson's interval of 10 in 40.
    assert [here[f"abstain{end}"] for end in ("", "_low", "_high")] == pytest.approx(
        [0.25, 0.1419, 0.4019], abs=1e-4
    )
    assert (here["n_missing_most"], here["missing"]) == (7, 1 / 40)
    assert own["abstain"] == pytest.approx((OWN.answers["probability"] < 0.55).mean())
    assert own["unlike_training"] == 0.01
    assert sum(row["n_samples"] for row in facts["types"]) == 40


def test_a_version_that_does_not_say_what_was_flagged_is_not_compared_in_it() -> None:
    own = OwnSamples(OWN.answers, None, OWN.abstain_below, TRAINED)
    facts = judge(draw_log(100, unlike_training=True), own)
    assert "unlike_training" not in {test["measure"] for test in facts["tests"]} | set(facts["own"])


def test_weeks_begin_on_mondays() -> None:
    facts = judge(draw_log(300, 60))
    assert facts["by"] == "week"
    assert {pd.Timestamp(row["begin"]).dayofweek for row in facts["bins"]} == {0}
    assert sum(row["n_samples"] for row in facts["bins"]) == 300


def test_the_permutation_agrees_with_the_chi_squared_test_of_large_counts() -> None:
    here, trained = np.array([430, 290, 180]), np.array([3000, 2000, 1000])
    expected = chi2_contingency([here, trained]).pvalue
    assert _permute(here, trained, np.random.default_rng(0)) == pytest.approx(expected, abs=0.015)
