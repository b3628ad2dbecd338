"""The page of a validation shows scores beside the version's own, other types, and what shifts."""

import numpy as np
import pandas as pd
import pytest

from expressionist.evaluation.external import ExternalCohort, judge_external
from expressionist.params.sections import EvaluationParams
from expressionist.report.validation_page import FinishedValidation, build_validation_page

TYPES = ("ACC", "KIRC", "UVM")
EVALUATION = EvaluationParams(n_resamples=20, level=0.9, answered_accuracy=0.9, false_alarms=0.05, seed=1)


def finish(labels: list[str], **changes: object) -> FinishedValidation:
    """A validation of samples that are all taken for ACC."""
    n_samples = len(labels)
    probabilities = np.tile([0.8, 0.1, 0.1], (n_samples, 1))
    marks = pd.DataFrame(
        {"abstain": [False] * n_samples, "unlike_training": [True] + [False] * (n_samples - 1)}
    )
    names = np.array(labels, object)
    cohort = ExternalCohort(names, np.arange(n_samples).astype(str), TYPES)
    facts = judge_external(cohort, probabilities, marks, {"linear_svm": probabilities}, EVALUATION)
    tested = {"accuracy": 0.9123, "f1_macro": 0.8234, "ece": 0.01}
    facts |= {
        "model": {"name": "tumour-type", "version": "3", "cohort": "toy", "backbone": "mobilenet"}
        | {
            "tumour_types": TYPES,
            "tested": {"mobilenet": tested, "linear_svm": tested, "random_forest": tested},
        },
        "cohort": "hospital <1>",
        "said": ["hospital.tsv: 9 samples."],
        "warnings": [],
        "n_trained": 0,
        "n_tested": 0,
        "level": 0.9,
        "shift": {"n_matched": 2, "shift": 0.31, "n_shifted": 2, "share_outside": 0.5},
    }
    genes = {name: np.arange(30.0) for name in ("low", "median", "high", "trained_low", "trained_median")}
    shift = pd.DataFrame({"gene": [f"g{k}" for k in range(30)], "symbol": ["?"] * 30, **genes}).assign(
        trained_high=9.0, shift=1.5, spreads=-0.25
    )
    points = np.random.default_rng(0).normal(size=(n_samples, 2))
    return FinishedValidation(
        facts | changes, shift, points, points, names, synthetic=False, random_weights=False
    )


def test_scores_stand_beside_those_of_the_versions_own_test_samples() -> None:
    page = build_validation_page(finish(["ACC"] * 6 + ["UVM"] * 2 + ["KICH"]))
    assert (
        "mobilenet has 75.0% accuracy on 8 samples of types that it knows; on its own test samples it has"
        in page
    )
    for text in (
        "0.750",
        "0.912",
        "linear SVM",
        "Without a score on this cohort: random forest.",
        "KICH",
        "0.31",
    ):
        assert text in page
    assert "hospital &lt;1&gt;" in page
    assert "hospital <1>" not in page


def test_foreign_types_say_what_they_are_taken_for() -> None:
    page = build_validation_page(finish(["ACC"] * 4 + ["KICH"] * 5))
    assert "Types that the model does not know cannot be predicted." in page
    assert '<abbr title="Adrenocortical carcinoma">ACC</abbr> 5' in page


def test_a_cohort_of_known_types_says_so() -> None:
    assert "All labels are types that the model knows." in build_validation_page(finish(["ACC"] * 4))


def test_a_cohort_of_foreign_types_only_has_no_scores() -> None:
    page = build_validation_page(finish(["KICH"] * 4))
    assert "Scores beside the version" not in page
    assert "What shifts" in page


@pytest.mark.parametrize("warnings", [[], ["12 samples are of patients who trained the version."]])
def test_warnings_are_told(warnings: list[str]) -> None:
    page = build_validation_page(finish(["ACC"] * 4, warnings=warnings))
    assert ("Warning: 12 samples" in page) is bool(warnings)


@pytest.mark.parametrize(("own", "told"), [(0, "on another cohort"), (2, "on samples of its own patients")])
def test_the_heading_says_whether_the_cohort_is_another(own: int, told: str) -> None:
    assert f"tumour-type version 3 {told}</h1>" in build_validation_page(finish(["ACC"] * 4, n_tested=own))


def test_the_page_refers_to_nothing_outside_itself() -> None:
    page = build_validation_page(finish(["ACC"] * 4 + ["KICH"]))
    assert "http://" not in page
    assert "https://" not in page
    assert page == build_validation_page(finish(["ACC"] * 4 + ["KICH"]))
