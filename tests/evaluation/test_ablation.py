"""What the picture adds: said by the paired interval; shares that add up; and a row that cannot win."""

import re

import numpy as np
import pandas as pd
import pytest

from expressionist.evaluation.ablation import add_reference, judge_picture, score_variants, share_by_branch
from expressionist.evaluation.metrics import METRICS, score
from expressionist.evaluation.predictions import tabulate_predictions
from expressionist.params.sections import EvaluationParams

EVALUATION = EvaluationParams(n_resamples=200, level=0.9, answered_accuracy=0.9, false_alarms=0.05, seed=1)
TYPES = ["T0", "T1", "T2"]


def predict(n_right, n_samples=60):
    """Answers of which the first so many are right; every second sample is a test sample."""
    truth = np.arange(n_samples) % 3
    given = np.where(np.arange(n_samples) < n_right, truth, (truth + 1) % 3)
    probabilities = np.full((n_samples, 3), 0.1)
    probabilities[np.arange(n_samples), given] = 0.8
    names = [f"s{number}" for number in range(n_samples)]
    rows = pd.DataFrame(
        {
            "patient": names,
            "tumour_type": np.array(TYPES)[truth],
            "split": ["validation", "test"] * (n_samples // 2),
        },
        index=names,
    )
    return tabulate_predictions(rows, probabilities, TYPES).iloc[:, :4], probabilities, truth, TYPES


def judge(**n_right):
    predictions = {name.replace("_", " + "): predict(n) for name, n in n_right.items()}
    rest = [name for name in predictions if name not in ("all", "maps")]
    scores = score_variants(predictions, EVALUATION)
    return judge_picture("toy", predictions, scores, rest[0] if rest else "", EVALUATION)


def test_variants_are_scored_as_models_are() -> None:
    table = score_variants({"all": predict(54), "maps": predict(40)}, EVALUATION).set_index(
        ["variant", "subset"]
    )
    _, probabilities, truth, _ = predict(40)
    expected = score(probabilities[1::2], truth[1::2])
    assert table.loc[("maps", "test"), list(METRICS)].to_dict() == pytest.approx(expected)
    bounds = table.filter(regex="_(low|high)$")
    assert bounds.xs("validation", level="subset").isna().all(axis=None)
    assert bounds.xs("test", level="subset").notna().all(axis=None)


@pytest.mark.parametrize(
    ("whole", "without", "outcome"),
    [
        (60, 30, "so the backbone contributes"),
        (50, 50, "the picture changes nothing that these test samples could show"),
        (30, 60, "so the network does worse for it"),
    ],
)
def test_the_sentence_follows_from_the_paired_interval(whole, without, outcome) -> None:
    found = judge(all=whole, maps=40, genes_ranks=without)
    low, high = found["interval"]
    assert low <= found["lead"] <= high
    side = "the log-loss changes by less than 0.001" if whole == without else "with it the log-loss is "
    side += "" if whole == without else "better by" if whole > without else "worse by"
    assert f"{outcome}; {side}" in found["said"]
    assert "without it genes and ranks reach" in found["said"]
    change, bottom, top = found["log_loss"]
    expected = [score(*(each[1::2] for each in predict(n)[1:3]))["log_loss"] for n in (whole, without)]
    assert change == pytest.approx(expected[0] - expected[1])
    assert bottom <= change <= top
    assert (bottom < 0 < top or change == 0) is (whole == without)
    assert not re.search(r"-\d", found["said"]), "a minus, not a hyphen"


def test_a_network_of_the_picture_alone_says_so() -> None:
    found = judge(all=45)
    assert "sees nothing but the picture" in found["said"]
    assert [*found] == ["without", "said"]


def test_shares_add_up_and_one_may_speak_against() -> None:
    sums = pd.DataFrame({"maps": [2.0, 4.0, 3.0], "genes": [-1.0, -1.0, -1.0], "ranks": [1.0, 1.0, 1.0]})
    shares = share_by_branch(sums, EVALUATION)
    assert shares["share"].to_dict() == pytest.approx({"maps": 1.0, "genes": -1 / 3, "ranks": 1 / 3})
    assert (shares["share_low"] <= shares["share"]).all()
    assert (shares["share"] <= shares["share_high"]).all()
    assert (shares["share_low"] < shares["share_high"])[["genes", "ranks"]].all()


def test_the_reference_stands_beside_the_models_without_a_test() -> None:
    kinds = {"kind": ["network", "baseline"], "depth": [2, np.nan], "weights": ["imagenet", None]}
    scores = pd.DataFrame(kinds, index=pd.Index(["toy", "linear_svm"], name="model"))
    scores = scores.assign(f1_macro=[0.9, 0.7], p_value=[0.5, np.nan])
    ablation = pd.DataFrame({"variant": ["all", "reference"], "subset": "test", "f1_macro": [0.9, 0.8]})
    found = add_reference(scores, ablation, "toy")
    assert found.index.tolist() == ["toy", "toy (reference)", "linear_svm"]
    assert found["kind"].tolist() == ["network", "reference", "baseline"]
    assert found["depth"].tolist()[:2] == [2, 2]
    assert np.isnan(found["p_value"].iloc[1])
    pd.testing.assert_frame_equal(add_reference(scores, ablation.head(1), "toy"), scores)
