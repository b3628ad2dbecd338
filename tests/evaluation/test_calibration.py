import numpy as np
import pytest
from scipy.special import softmax

import scikit_temperature
from expressionist.evaluation import fit_temperature
from expressionist.evaluation.calibration import bin_reliability, choose_threshold, trace_coverage
from expressionist.evaluation.metrics import score


def draw(n_samples=4000, n_types=5, seed=0):
    """Logits whose softmax is the truth's own distribution."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n_samples, n_types))
    truth = (rng.random((n_samples, 1)) > softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1)
    return logits, np.minimum(truth, n_types - 1)


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_the_temperature_undoes_a_factor(factor):
    logits, truth = draw()
    assert fit_temperature(factor * logits, truth) == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_the_temperature_of_a_network_is_scikit_learns(factor):
    logits, truth = draw(500)
    logits = (factor * logits).astype(np.float32)  # what a network gives
    theirs = scikit_temperature.calibrate(logits, truth)
    ours = softmax(logits / fit_temperature(logits, truth), axis=1)
    # But for the prior.
    np.testing.assert_allclose(ours, theirs.predict_proba(logits), atol=2e-3)


def test_scaling_moves_no_prediction_and_calibrates():
    logits, truth = draw()
    before = softmax(3 * logits, axis=1)
    after = softmax(3 * logits / fit_temperature(3 * logits[:2000], truth[:2000]), axis=1)
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    held_out = slice(2000, None)
    assert score(before[held_out], truth[held_out])["ece"] > 0.1
    assert score(after[held_out], truth[held_out])["ece"] < 0.04


def test_perfect_and_no_predictions_have_a_temperature():
    assert 0.5 < fit_temperature(9 * np.eye(3), np.arange(3)) < 1
    # Few samples that are all right do not make those sure that are not.
    sharp = softmax(2 * np.eye(3) / fit_temperature(2 * np.eye(3), np.arange(3)), axis=1)
    assert sharp.max() < 0.95
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0


@pytest.mark.parametrize("n_samples", [100, 7, 15])
def test_bins_hold_all_samples_in_equal_numbers(n_samples):
    logits, truth = draw(n_samples)
    probabilities = softmax(logits, axis=1)
    table = bin_reliability(probabilities, truth, 15)
    assert table["n_samples"].sum() == n_samples
    assert np.ptp(table["n_samples"]) <= 1
    assert table["confidence"].is_monotonic_increasing
    right = (table["share_right"] * table["n_samples"]).sum()
    assert right == pytest.approx((probabilities.argmax(axis=1) == truth).sum())


def test_coverage_ends_at_the_accuracy_and_ties_stand_together():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.3, 0.7], [0.6, 0.4]])
    curve = trace_coverage(probabilities, np.array([0, 0, 0, 0]))
    assert curve["threshold"].tolist() == [0.9, 0.7, 0.6]
    assert curve["coverage"].tolist() == [0.25, 0.75, 1.0]
    assert curve["accuracy"].tolist() == pytest.approx([1, 2 / 3, 0.75])


@pytest.mark.parametrize("wanted", [0.8, 0.9, 0.97])
def test_the_threshold_reaches_the_wanted_accuracy_and_no_lower_one_does(wanted):
    logits, truth = draw()
    probabilities = softmax(2 * logits, axis=1)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    threshold = choose_threshold(probabilities, truth, wanted)
    assert right[confidence >= threshold].mean() >= wanted
    lower = np.sort(confidence[confidence < threshold])
    assert all(right[confidence >= each].mean() < wanted for each in lower)


def test_all_or_nothing_is_answered_where_it_must_be():
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert choose_threshold(probabilities, np.array([0, 0]), 0.99) == 0.8
    assert choose_threshold(probabilities, np.array([1, 1]), 0.99) == 1.0
