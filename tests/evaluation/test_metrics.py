import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn import metrics as sk

from expressionist.errors import Refusal
from expressionist.evaluation.metrics import METRICS, McNemar, bootstrap, confusion, mcnemar, per_type, score


def draw(rng, n_samples, n_types, *, sharpness=2.0):
    truth = rng.integers(n_types, size=n_samples)
    logits = rng.normal(size=(n_samples, n_types)) + sharpness * np.eye(n_types)[truth]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), truth


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def resample(probabilities, truth, n_resamples=30, level=0.95, seed=0, patients=None):
    """Draw patients, or samples of a patient each."""
    keys = {"n_resamples": n_resamples, "level": level, "rng": np.random.default_rng(seed)}
    patients = np.arange(len(truth)) if patients is None else patients
    return bootstrap(probabilities, truth, **keys, patients=patients)


def test_a_few_samples_all_right_may_still_be_luck():
    probabilities, truth = np.eye(3)[[0, 1, 2, 2]] * 0.7 + 0.1, np.array([0, 1, 2, 2])
    patients = np.array(["a", "b", "c", "c"])
    found = bootstrap(
        probabilities, truth, n_resamples=50, level=0.95, rng=np.random.default_rng(0), patients=patients
    )
    # Of three patients.
    exact = binomtest(3, 3).proportion_ci(0.95).low
    for name in ("accuracy", "f1_macro", "precision_macro", "balanced_accuracy"):
        assert found[name] == (pytest.approx(exact), 1.0)
    assert found["log_loss"][0] == pytest.approx(-np.log(0.8))


def test_score_agrees_with_scikit_learn(rng):
    probabilities, truth = draw(rng, 300, 6)
    predicted, labels = probabilities.argmax(axis=1), np.unique(truth)
    macro = {"average": "macro", "labels": labels, "zero_division": 0}
    expected = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, predicted),
        "f1_macro": sk.f1_score(truth, predicted, **macro),
        "precision_macro": sk.precision_score(truth, predicted, **macro),
        "log_loss": sk.log_loss(truth, probabilities, labels=range(6)),
    }
    scores = score(probabilities, truth)
    assert scores.keys() == set(METRICS)
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_types_absent_from_the_truth_do_not_enter_macro_means():
    # Nobody has type 2, but one sample of type 1 is taken for it.
    probabilities = np.eye(3)[[0, 0, 1, 2]]
    scores = score(probabilities, np.array([0, 0, 1, 1]))
    assert scores["balanced_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
    assert scores["precision_macro"] == pytest.approx((1 + 1) / 2)
    assert scores["f1_macro"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_type_never_predicted_has_precision_zero():
    assert score(np.eye(2)[[0, 0]], np.array([0, 1]))["precision_macro"] == pytest.approx(0.25)


def test_ece_by_hand():
    # Three samples at confidence 0.9 of which two are right, and one at 0.6 that is right.
    top = np.array([0.9, 0.9, 0.9, 0.6])
    probabilities = np.column_stack([top, 1 - top])
    scores = score(probabilities, np.array([0, 0, 1, 0]))
    assert scores["ece"] == pytest.approx(3 / 4 * abs(0.9 - 2 / 3) + 1 / 4 * abs(0.6 - 1))


def test_ece_is_the_weighted_gap_of_the_reliability_table(rng):
    probabilities, truth = draw(rng, 500, 5)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    bins = pd.cut(confidence, np.linspace(0, 1, 16))  # (0, 1/15], (1/15, 2/15] and so on
    table = pd.DataFrame({"confidence": confidence, "right": right}).groupby(bins, observed=True)
    gap = (table.size() * (table["right"].mean() - table["confidence"].mean()).abs()).sum() / 500
    assert table.size().sum() == 500
    assert score(probabilities, truth)["ece"] == pytest.approx(gap)


@pytest.mark.parametrize(("other", "ece"), [(0.59, (0.6 - 0.41) / 2), (0.61, (0.4 + 0.61) / 2)])
def test_a_bound_falls_into_the_bin_below_it(other, ece):
    # 0.6 is 9/15: right at that confidence, and wrong beside it, in the same bin or in the next.
    top = np.array([0.6, other])
    probabilities = np.column_stack([top, 1 - top])
    assert score(probabilities, np.array([0, 1]))["ece"] == pytest.approx(abs(ece))


def test_a_certain_mistake_costs_the_same_in_float32_and_float64():
    losses = {
        dtype: score(np.array([[1.0, 0.0]], dtype=dtype), np.array([1]))["log_loss"]
        for dtype in ("float32", "float64")
    }
    assert losses["float32"] == losses["float64"] == pytest.approx(-np.log(np.finfo(np.float32).eps))


def test_confusion_and_scores_per_type_agree_with_scikit_learn_and_with_the_macro_means(rng):
    probabilities, truth = draw(rng, 200, 5, sharpness=1.0)
    truth[truth == 3] = 4
    predicted, table = probabilities.argmax(axis=1), per_type(probabilities, truth, list("abcde"))
    expected = sk.confusion_matrix(truth, predicted, labels=range(5))
    np.testing.assert_array_equal(confusion(probabilities, truth), expected)
    *scores, n_samples = sk.precision_recall_fscore_support(
        truth, predicted, labels=range(5), zero_division=0
    )
    present = n_samples > 0
    assert table["n_samples"].tolist() == n_samples.tolist()
    means = {"precision": "precision_macro", "recall": "balanced_accuracy", "f1": "f1_macro"}
    for (column, mean), expected in zip(means.items(), scores, strict=True):
        np.testing.assert_allclose(table[column][present], expected[present])
        assert np.isnan(table[column][3])
        assert table[column].mean() == pytest.approx(score(probabilities, truth)[mean])


@pytest.mark.parametrize("of_patients", [False, True])
def test_one_resample_is_the_score_of_the_drawn_samples_or_of_all_samples_of_the_drawn_patients(
    rng, of_patients
):
    probabilities, truth = draw(rng, 60, 4)
    units = np.array([f"p{number}" for number in rng.integers(20, size=60)]) if of_patients else np.arange(60)
    intervals = resample(probabilities, truth, 1, seed=1, patients=units if of_patients else None)
    names = np.unique(units)
    times = np.random.default_rng(1).multinomial(len(names), np.full(len(names), 1 / len(names)))
    drawn = np.concatenate([np.flatnonzero(units == name) for name in np.repeat(names, times)])
    expected = score(probabilities[drawn], truth[drawn])
    assert {name: low for name, (low, _) in intervals.items()} == pytest.approx(expected)
    assert {name: high for name, (_, high) in intervals.items()} == pytest.approx(expected)


def test_the_interval_of_accuracy_is_that_of_the_binomial():
    probabilities, truth = np.eye(2)[[0] * 80 + [1] * 20], np.zeros(100, dtype=int)
    low, high = resample(probabilities, truth, 4000)["accuracy"]
    assert low == pytest.approx(binom.ppf(0.025, 100, 0.8) / 100, abs=0.0101)
    assert high == pytest.approx(binom.ppf(0.975, 100, 0.8) / 100, abs=0.0101)


def test_twins_widen_the_interval_only_if_patients_are_drawn(rng):
    probabilities, truth = draw(rng, 100, 4, sharpness=1.0)
    four_times = np.repeat(probabilities, 4, axis=0), np.repeat(truth, 4)

    apart, together = (
        np.ptp(resample(*four_times, 500, patients=patients)["accuracy"])
        for patients in (None, np.repeat(np.arange(100), 4))
    )
    assert together > 1.5 * apart


def test_many_resamples_in_parts_are_the_same_as_at_once(rng, monkeypatch):
    probabilities, truth = draw(rng, 50, 4)
    at_once = resample(probabilities, truth)
    monkeypatch.setattr("expressionist.evaluation.metrics._N_WEIGHTS_AT_ONCE", 7 * 50)
    in_parts = resample(probabilities, truth)
    for name in METRICS:
        assert in_parts[name] == pytest.approx(at_once[name])


def test_a_thousand_resamples_of_a_thousand_samples_are_fast(rng):
    probabilities, truth = draw(rng, 1000, 33)
    start = time.process_time()
    resample(probabilities, truth, 1000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resample(np.eye(2), np.array([0, 1]), patients=np.array(["a"])), "1 patients for 2 samples"),
        (lambda: mcnemar(np.ones(2, dtype=bool), np.ones(3, dtype=bool)), "same samples"),
        (lambda: per_type(np.eye(2), np.array([0, 1]), ["ACC"]), "1 names for 2"),
    ],
)
def test_what_does_not_fit_together_is_refused(call, words):
    with pytest.raises(Refusal, match=words):
        call()


@pytest.mark.parametrize(
    ("only_a", "only_b", "p_value"), [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 2 / 2**6), (1, 7, 2 * 9 / 2**8)]
)
def test_mcnemar_by_hand(only_a, only_b, p_value):
    a = np.array([True] * only_a + [False] * only_b + [True] * 3 + [False] * 2)
    b = np.array([False] * only_a + [True] * only_b + [True] * 3 + [False] * 2)
    assert mcnemar(a, b) == McNemar(only_a, only_b, pytest.approx(p_value))


@pytest.mark.parametrize(
    ("probabilities", "truth", "words"),
    [
        (np.eye(2), np.array([0]), "one true type per sample"),
        (np.zeros((0, 2)), np.zeros(0, dtype=int), "at least one sample"),
        (np.array([[0.5, 0.5], [np.nan, 1.0]]), np.array([0, 1]), "1 rows do not: 1"),
        (np.array([[2.0, -1.0]]), np.array([0]), "at least 0"),
        (np.array([[3.0, 1.0]]), np.array([0]), "logits"),
        (np.eye(2), np.array([0, 2]), "from 0 to 1"),
        (np.eye(2), np.array([0.0, 1.0]), "whole numbers"),
    ],
)
def test_what_is_no_prediction_is_refused(probabilities, truth, words):
    with pytest.raises(Refusal, match=words):
        score(probabilities, truth)


# Invariants on awkward input.


awkward = settings(deadline=None)


@st.composite
def predictions(draw):
    n_samples, n_types = draw(st.integers(1, 40)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    probabilities = rng.dirichlet(np.full(n_types, draw(st.sampled_from([0.1, 1.0, 10.0]))), size=n_samples)
    return probabilities, rng.integers(n_types, size=n_samples)


@awkward
@given(predictions())
def test_scores_lie_in_their_ranges(made):
    scores = score(*made)
    assert scores.pop("log_loss") >= 0
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in scores.values())


@awkward
@given(predictions(), st.randoms(use_true_random=False))
def test_neither_the_order_of_samples_nor_of_types_matters(made, random):
    probabilities, truth = made
    rows, columns = list(range(len(truth))), list(range(probabilities.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = score(probabilities[rows][:, columns], np.argsort(columns)[truth[rows]])
    assert shuffled == pytest.approx(score(probabilities, truth))


@awkward
@given(predictions())
def test_every_sample_twice_scores_the_same(made):
    twice = score(*(np.concatenate([each, each]) for each in made))
    assert twice == pytest.approx(score(*made))


@awkward
@given(predictions())
def test_confusion_counts_every_sample_once(made):
    counts = confusion(*made)
    assert counts.sum() == len(made[1])
    assert np.trace(counts) / counts.sum() == pytest.approx(score(*made)["accuracy"])


@awkward
@given(predictions(), st.integers(1, 20), st.integers(0, 99))
def test_intervals_are_ordered_and_nested(made, n_resamples, seed):
    narrow, wide = (resample(*made, n_resamples, level, seed) for level in (0.5, 0.9))
    for name, (low, high) in narrow.items():
        assert wide[name][0] - 1e-12 <= low <= high <= wide[name][1] + 1e-12


@awkward
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_mcnemar_is_symmetric(pairs):
    a, b = np.array(pairs).T
    one, other = mcnemar(a, b), mcnemar(b, a)
    assert (one.only_a, one.only_b) == (other.only_b, other.only_a)
    assert one.p_value == pytest.approx(other.p_value)
    assert 0 < one.p_value <= 1
