"""Means, spreads and leads over splits, on numbers that can be added up by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from expressionist.evaluation.comparison import choose_rivals, compare_models, correct_p_value, summarise
from expressionist.evaluation.metrics import METRICS
from expressionist.params import EvaluationParams

# The best baseline model on validation samples changes from split to split; on test samples it is the other.
VALIDATION = {"net": [0.1, 0.1, 0.1], "a": [0.9, 0.5, 0.9], "b": [0.5, 0.9, 0.9]}
LOSS = {"net": 0.5, "a": 0.5, "b": 0.6}
ACCURACY = {"net": [0.8, 0.7, 0.9], "a": [0.7, 0.9, 0.8], "b": [0.9, 0.5, 1.0]}


@pytest.fixture
def scores():
    rows = [
        {"repeat": repeat + 1, "model": model, "n_train": 80, "n_test": 10}
        | {"validation_f1_macro": VALIDATION[model][repeat], "validation_log_loss": LOSS[model]}
        | dict.fromkeys(METRICS, ACCURACY[model][repeat])
        for repeat in range(3)
        for model in ("net", "a", "b")
    ]
    return pd.DataFrame(rows)


def test_rivals_are_chosen_on_validation_samples_of_every_split(scores):
    rivals = choose_rivals(scores, ["a", "b"])
    assert rivals["model"].to_dict() == {1: "a", 2: "b", 3: "a"}
    assert choose_rivals(scores, ["b", "a"])["model"].to_dict() == {1: "a", 2: "b", 3: "a"}, "by log-loss"
    shuffled = scores.sample(frac=1, random_state=0)
    assert choose_rivals(shuffled, ["a", "b"])["model"].to_dict() == rivals["model"].to_dict()


def test_means_spreads_and_leads_in_any_order_of_rows(scores):
    found = summarise(scores, ["a", "b"])
    shuffled = summarise(scores.sample(frac=1, random_state=1), ["a", "b"])
    pd.testing.assert_frame_equal(shuffled.loc[["net", "a", "b"]], found)
    assert found.index.tolist() == ["net", "a", "b"]
    assert found["n_splits"].tolist() == [3, 3, 3]
    leads = np.array([0.8 - 0.7, 0.7 - 0.5, 0.9 - 0.8])
    for metric in ("accuracy", "f1_macro"):
        net = found.loc["net"]
        assert net[f"{metric}_mean"] == pytest.approx(0.8)
        assert net[f"{metric}_sd"] == pytest.approx(0.1)
        assert net[f"{metric}_lead_mean"] == pytest.approx(leads.mean())
        assert net[f"{metric}_lead_sd"] == pytest.approx(leads.std(ddof=1))
        assert net[f"{metric}_lead_p_value"] == pytest.approx(correct_p_value(leads, 10 / 80))


def test_what_only_rounding_tells_apart_is_no_lead(scores):
    scores.loc[scores["model"] == "net", "accuracy"] = [0.7, 0.5, 0.8 + 4e-10]
    net = summarise(scores, ["a", "b"]).loc["net"]
    assert str(net["accuracy_lead_mean"]) == "0.0"
    assert net["accuracy_lead_sd"] == 0
    assert np.isnan(net["accuracy_lead_p_value"])


def test_without_shared_samples_it_is_the_plain_t_test():
    leads = np.random.default_rng(0).normal(0.3, 1, 12)
    assert correct_p_value(leads, 0.0) == pytest.approx(stats.ttest_1samp(leads, 0).pvalue)
    assert correct_p_value(leads, 0.1) == pytest.approx(correct_p_value(-leads, 0.1)), "on either side"


def test_sharing_samples_costs_certainty_and_more_splits_do_not_buy_it_back():
    leads = np.array([0.01, 0.03])
    assert correct_p_value(leads, 0.5) > correct_p_value(leads, 0.1) > correct_p_value(leads, 0.0)
    # However many splits: the statistic stays below mean / sd / sqrt(ratio).
    many = np.tile(leads, 2000)
    bound = 2 * stats.norm.sf(many.mean() / many.std(ddof=1) / np.sqrt(0.5))
    assert correct_p_value(many, 0.5) > 0.99 * bound > 1e-3
    assert correct_p_value(many, 0.0) < 1e-9


def predict(surety, wrong=0):
    """Two types in turn, six samples to judge on and six to test on; the first `wrong` of these are wrong."""
    truth = np.arange(12) % 2
    samples = pd.DataFrame({"patient": [f"P{n}" for n in range(12)], "split": ["validation", "test"] * 6})
    samples = samples.sort_values("split", ascending=False, kind="stable")
    right = np.full(12, surety)
    right[6 : 6 + wrong] = 0.1
    probabilities = np.where(np.eye(2)[truth] == 1, right[:, None], 1 - right[:, None])
    return samples, probabilities, truth, ["A", "B"]


def test_of_equals_on_validation_samples_log_loss_chooses_whatever_test_samples_say():
    kinds = {"net": "network", "first": "baseline", "surer": "baseline", "other": "network"}
    described = {model: {"kind": kind, "depth": 0} for model, kind in kinds.items()}
    predictions = {"net": predict(0.9), "first": predict(0.6), "surer": predict(0.8, wrong=3)}
    predictions["other"] = predict(0.4)
    evaluation = EvaluationParams(n_resamples=10, level=0.95, seed=1, answered_accuracy=0.9, false_alarms=0.1)
    found = compare_models(described, predictions, pd.DataFrame(), evaluation)[2]
    assert (found["winner"], found["best_baseline"]) == ("net", "surer")
    level = "In macro-F1 on validation samples surer is level with first: the least log-loss on them chose "
    assert found["verdict"].endswith(f"{level}surer as the baseline model to hold it against.")
