import numpy as np
import pandas as pd
import pytest

from expressionist.errors import CohortError
from expressionist.evaluation.external import ExternalCohort, flatten_external, judge_external
from expressionist.evaluation.metrics import score
from expressionist.params.sections import EvaluationParams

TYPES = ("ACC", "KIRC", "UVM")
EVALUATION = EvaluationParams(n_resamples=200, level=0.9, answered_accuracy=0.9, false_alarms=0.05, seed=1)


def predict(labels: list[str], wrong: set[int] = frozenset()) -> np.ndarray:
    """Sure and right (foreign ones are taken for the first type), but for the samples named."""
    places = np.maximum(pd.Index(TYPES).get_indexer(pd.Index(labels)), 0)
    probabilities = np.full((len(labels), 3), 0.05)
    for row, place in enumerate(places):
        probabilities[row, (place + 1) % 3 if row in wrong else place] = 0.9
    return probabilities


def mark(n_samples: int, *, abstain: set[int] = frozenset(), unlike: set[int] = frozenset()) -> pd.DataFrame:
    rows = range(n_samples)
    return pd.DataFrame(
        {"abstain": [k in abstain for k in rows], "unlike_training": [k in unlike for k in rows]}
    )


def judge(labels, *, wrong=frozenset(), patients=None, baselines=None, **marks):
    patients = [f"P{k}" for k in range(len(labels))] if patients is None else patients
    cohort = ExternalCohort(np.array(labels, object), np.array(patients, object), TYPES)
    probabilities = predict(labels, wrong)
    return judge_external(cohort, probabilities, mark(len(labels), **marks), baselines or {}, EVALUATION)


def test_known_types_are_scored_as_test_samples_are() -> None:
    labels = ["ACC"] * 6 + ["UVM"] * 4 + ["KICH"] * 5
    facts = judge(labels, wrong={0, 7})
    expected = score(predict(labels, {0, 7})[:10], np.r_[np.zeros(6, int), np.full(4, 2)])
    assert facts["models"]["network"]["scores"] == expected
    assert expected["accuracy"] == 0.8
    low, high = facts["models"]["network"]["intervals"]["accuracy"]
    assert low < 0.8 < high
    assert facts["counts"] == {
        "n_samples": 15,
        "n_patients": 15,
        "n_known": 10,
        "n_foreign": 5,
        "n_known_types": 2,
        "n_foreign_types": 1,
    }
    assert facts["per_type"]["type"] == ["ACC", "UVM"]
    assert facts["confusion"] == [[5, 1, 0], [0, 0, 0], [1, 0, 3]]


def test_intervals_widen_where_samples_share_a_patient() -> None:
    labels = ["ACC", "UVM"] * 20
    spans = []
    for patients in (None, [f"P{k // 8}" for k in range(40)]):
        low, high = judge(labels, wrong=set(range(8)), patients=patients)["models"]["network"]["intervals"][
            "accuracy"
        ]
        spans.append(high - low)
    assert spans[1] > 1.5 * spans[0]


def test_every_foreign_type_says_what_it_raises_and_what_it_is_taken_for() -> None:
    labels = ["ACC"] * 4 + ["KICH"] * 4 + ["GBM"] * 2
    rows = judge(labels, unlike={4, 5, 8}, abstain={0, 5, 6})["flagged"]
    found = {(row["kind"], row["type"]): row for row in rows}
    assert list(found) == [("known", None), ("foreign", None), ("foreign", "GBM"), ("foreign", "KICH")]
    kich = found["foreign", "KICH"]
    assert (kich["share_unlike"], kich["share_abstain"], kich["share_either"]) == (0.5, 0.5, 0.75)
    assert kich["taken_for"] == "ACC 4"
    assert found["known", None]["share_either"] == 0.25
    assert found["foreign", None]["n_samples"] == 6


def test_accuracy_is_also_that_of_the_samples_answered() -> None:
    answered = judge(["ACC"] * 10, wrong={0, 1}, abstain={0, 2})["answered"]
    assert answered["share"] == 0.8
    assert answered["accuracy"] == pytest.approx(7 / 8)
    assert judge(["ACC"] * 2, abstain={0, 1})["answered"] == {"share": 0.0}


def test_what_is_unlike_the_training_samples_is_not_answered() -> None:
    assert judge(["ACC"] * 10, wrong={0, 1}, abstain={0, 2}, unlike={1, 2})["answered"]["share"] == 0.7


def test_baseline_models_are_compared_on_the_same_samples() -> None:
    labels = ["ACC"] * 10 + ["KICH"]
    facts = judge(labels, wrong={0}, baselines={"linear_svm": predict(labels, {0, 1, 2, 3})})
    theirs = facts["models"]["linear_svm"]
    assert theirs["scores"]["accuracy"] == 0.6
    assert (theirs["only_network_right"], theirs["only_this_right"]) == (3, 0)
    assert theirs["p_value"] == pytest.approx(0.25)
    flat = flatten_external(facts)
    assert (flat["accuracy"], flat["linear_svm_accuracy"], flat["n_foreign"]) == (0.9, 0.6, 1)
    assert flat["flagged_foreign"] == 0


def test_a_cohort_of_foreign_types_only_has_no_scores() -> None:
    facts = judge(["KICH"] * 3, unlike={0})
    assert facts["models"] == {}
    assert facts["answered"] is None
    assert [row["kind"] for row in facts["flagged"]] == ["foreign", "foreign"]
    assert flatten_external(facts)["flagged_foreign"] == pytest.approx(1 / 3)


def test_no_sample_is_refused() -> None:
    with pytest.raises(CohortError, match="must have labelled samples"):
        judge([])
