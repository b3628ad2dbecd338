import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.class_weight import compute_sample_weight

from expressionist.errors import CohortError, ParamsError
from expressionist.evaluation import baselines, logistic
from expressionist.evaluation.baselines import BASELINES, LabelledRows, fit_baseline
from expressionist.evaluation.calibration import fit_temperature
from expressionist.evaluation.metrics import score

N_TYPES = 4


def draw_fold(seed, n_samples=80, n_genes=30, *, distance=1.5):
    """Draw four types, unequally frequent, that differ in the means of all genes."""
    centres = np.random.default_rng(99).normal(scale=distance, size=(N_TYPES, n_genes))
    rng = np.random.default_rng(seed)
    types = np.r_[np.arange(N_TYPES), rng.choice(N_TYPES, n_samples - N_TYPES, p=[0.5, 0.25, 0.15, 0.1])]
    expression = 6 + centres[types] + rng.normal(size=(n_samples, n_genes)) * np.linspace(0.5, 3, n_genes)
    return LabelledRows(expression.astype(np.float32), types)


def fit(name, *folds, n_types=N_TYPES, seed=0):
    return fit_baseline(name, *folds, n_types=n_types, seed=seed)


def untempered(fitted):
    return replace(fitted, choice={**fitted.choice, "temperature": 1.0})


@pytest.fixture(autouse=True)
def _small_forest(monkeypatch):
    monkeypatch.setattr(baselines, "_N_TREES", 25)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("n_genes", [30, 400])
def test_every_baseline_learns_without_a_warning(name, n_genes):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        training, validation, test = (draw_fold(seed, n_genes=n_genes) for seed in (1, 2, 3))
        fitted = fit(name, training, validation)
    probabilities = fitted.predict_proba(test.expression)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert score(probabilities, test.types)["accuracy"] > 0.9
    assert BASELINES[name].choices[0].keys() <= fitted.choice.keys()


@pytest.mark.parametrize("name", BASELINES)
def test_types_without_training_samples_have_probability_zero(name):
    training, validation = draw_fold(1), draw_fold(2)
    seen = training.types != 2
    training = LabelledRows(training.expression[seen], training.types[seen])
    fitted = fit(name, training, validation, n_types=6)
    probabilities = fitted.predict_proba(validation.expression)
    assert probabilities.shape == (80, 6)
    np.testing.assert_array_equal(probabilities[:, [2, 4, 5]], 0)
    right = probabilities.argmax(axis=1) == validation.types
    assert right[validation.types == 3].mean() > 0.7


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_seed_gives_the_same_baseline_which_survives_pickling(name):
    training, validation = draw_fold(1, n_genes=200), draw_fold(2, n_genes=200)
    one, other = (fit(name, training, validation, seed=5) for _ in range(2))
    assert one.choice == other.choice
    again = pickle.loads(pickle.dumps(other))
    for each in (other, again):
        expected = one.predict_proba(validation.expression)
        np.testing.assert_array_equal(each.predict_proba(validation.expression), expected)


@pytest.mark.parametrize("name", BASELINES)
def test_validation_samples_choose_but_do_not_teach(name, monkeypatch):
    training, validation = draw_fold(1), draw_fold(2)
    fixed = BASELINES[name].choices[:1]
    monkeypatch.setitem(BASELINES, name, replace(BASELINES[name], choices=fixed))
    moved = LabelledRows(validation.expression * 3 + 5, validation.types[::-1].copy())
    fitted = [fit(name, training, fold) for fold in (validation, moved)]
    assert fitted[0].choice["temperature"] != fitted[1].choice["temperature"]
    np.testing.assert_array_equal(*(untempered(each).predict_proba(validation.expression) for each in fitted))


@pytest.mark.parametrize("name", BASELINES)
def test_probabilities_are_divided_by_the_temperature_of_validation_samples(name):
    training, validation, test = (draw_fold(seed, distance=0.3) for seed in (1, 2, 3))
    fitted = fit(name, training, validation)
    plain = untempered(fitted)
    logits = [np.log(plain.predict_proba(fold.expression)) for fold in (validation, test)]
    expected = softmax(logits[1] / fit_temperature(logits[0], validation.types), axis=1)
    np.testing.assert_allclose(fitted.predict_proba(test.expression), expected, atol=1e-4)
    assert abs(expected - np.exp(logits[1])).max() > 0.01


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("distance", [0.2, 0.4, 1.5])
def test_the_temperature_lowers_validation_log_loss_and_moves_no_prediction(name, distance):
    training, validation, test = (draw_fold(seed, distance=distance) for seed in (1, 2, 3))
    fitted = fit(name, training, validation)
    before, after = (
        [each.predict_proba(fold.expression) for fold in (validation, test)]
        for each in (untempered(fitted), fitted)
    )
    losses = [score(each[0], validation.types)["log_loss"] for each in (before, after)]
    assert losses[1] < losses[0]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.argmax(axis=1), other.argmax(axis=1))


def test_the_best_choice_on_validation_is_kept():
    training, validation = draw_fold(1, distance=0.4), draw_fold(2, distance=0.4)
    fitted = fit("k_nearest_neighbours", training, validation)
    x, held_out = (fitted.prepare.transform(fold.expression) for fold in (training, validation))
    row, reached = BASELINES["k_nearest_neighbours"], []
    for choice in row.choices:
        model = row.build(0, **choice).fit(x, training.types)
        reached.append(score(model.predict_proba(held_out), validation.types)["f1_macro"])
    assert len(set(reached)) > 1
    best = row.choices[int(np.argmax(reached))]
    assert fitted.choice == {**best, "temperature": fitted.choice["temperature"]}


def test_of_equal_choices_that_of_the_least_log_loss_is_kept(monkeypatch):
    choices = BASELINES["logistic_regression"].choices
    losses = iter([0.3, 0.1, *[0.2] * (len(choices) - 2)])
    monkeypatch.setattr(baselines, "score", lambda *_: {"f1_macro": 0.9, "log_loss": next(losses)})
    fitted = fit("logistic_regression", draw_fold(1), draw_fold(2))
    assert choices[1].items() <= fitted.choice.items()


def test_the_rotated_model_is_the_direct_one(monkeypatch):
    monkeypatch.setattr(logistic, "_TOLERANCE", 1e-9)
    training, test = draw_fold(1, n_samples=60, n_genes=300), draw_fold(2, n_genes=300)
    scaler = StandardScaler().fit(training.expression.astype(np.float64))
    x, held_out = (scaler.transform(fold.expression.astype(np.float64)) for fold in (training, test))
    rotation = logistic.RowSpace().fit(x)
    assert rotation.transform(x).shape == (60, 60)
    direct = BASELINES["logistic_regression"].build(0, C=0.01).fit(x, training.types)
    rotated = BASELINES["logistic_regression"].build(0, C=0.01).fit(rotation.transform(x), training.types)
    expected, found = (
        direct.decision_function(held_out),
        rotated.decision_function(rotation.transform(held_out)),
    )
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    few = x[:, :100]
    assert logistic.RowSpace().fit(few).transform(few) is few, "few genes are not rotated"


def test_logistic_regression_is_the_plain_scikit_learn_one():
    training, validation = draw_fold(1, n_genes=300), draw_fold(2, n_genes=300)
    fitted = fit("logistic_regression", training, validation)
    scaler = StandardScaler().fit(training.expression)
    plain = LogisticRegression(C=fitted.choice["C"], class_weight="balanced", max_iter=5000, tol=1e-7)
    plain.fit(scaler.transform(training.expression).astype(np.float64), training.types)
    expected = plain.predict_proba(scaler.transform(validation.expression))
    np.testing.assert_allclose(untempered(fitted).predict_proba(validation.expression), expected, atol=5e-3)


def rank(expression):
    return rankdata(expression, axis=1).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "prepare", "kernel", "gamma"),
    [("linear_svm", np.float64, "linear", 1.0), ("kernel_svm", rank, "rbf", baselines._WIDTH / 300)],
)
def test_svms_are_scikit_learns_with_one_kernel_for_all_types(name, prepare, kernel, gamma):
    training, test = (draw_fold(seed, n_genes=300, distance=0.3) for seed in (1, 2))
    fitted = fit(name, training, test)
    scaler = StandardScaler().fit(prepare(training.expression))
    x, held_out = (scaler.transform(prepare(fold.expression)) for fold in (training, test))
    C = fitted.choice["C"] / (300 if kernel == "linear" else 1)  # our linear kernel is the mean over genes
    weights = compute_sample_weight("balanced", training.types)
    ours = fitted.model.decision_function(fitted.prepare.transform(test.expression))
    for one in range(N_TYPES):
        plain = SVC(C=C, kernel=kernel, gamma=gamma).fit(x, training.types == one, sample_weight=weights)
        np.testing.assert_allclose(ours[:, one], plain.decision_function(held_out), atol=5e-3)


def test_neighbours_by_hand():
    # Two of three neighbours have type 0; the extra one has type 0 to 3/5 and type 1 to 2/5.
    x = np.array([[0.0], [1.0], [2.0], [50.0], [60.0]])
    model = BASELINES["k_nearest_neighbours"].build(0, n_neighbours=3).fit(x, np.array([0, 0, 1, 1, 0]))
    np.testing.assert_allclose(model.predict_proba(np.array([[0.5]])), [[(2 + 0.6) / 4, (1 + 0.4) / 4]])


def test_two_types_are_enough_and_one_more_baseline_is_one_more_row(monkeypatch):
    row = baselines.Baseline(
        prepare=BASELINES["logistic_regression"].prepare,
        build=lambda seed, C: LinearSVC(C=C, random_state=seed, max_iter=10_000),
        choices=({"C": 0.001},),
    )
    monkeypatch.setitem(BASELINES, "one_more", row)
    fold = draw_fold(1)
    pair = LabelledRows(fold.expression[fold.types < 2], fold.types[fold.types < 2])
    for name in BASELINES:
        fitted = fit(name, pair, pair, n_types=2)
        assert score(fitted.predict_proba(pair.expression), pair.types)["accuracy"] > 0.9
    assert fitted.choice.keys() == {"C", "temperature"}


def test_an_unknown_baseline_is_refused():
    with pytest.raises(ParamsError, match="one of logistic_regression, .*'xgboost'"):
        fit("xgboost", draw_fold(1), draw_fold(2))


@pytest.mark.parametrize(
    ("training", "validation", "words"),
    [
        (LabelledRows(np.ones((3, 2), np.float32), np.zeros(2, int)), draw_fold(2), "a type per sample"),
        (draw_fold(1), LabelledRows(np.ones((0, 30), np.float32), np.zeros(0, int)), "a type per sample"),
        (draw_fold(1), draw_fold(2, n_genes=31), "30 in training and 31"),
        (replace(draw_fold(1), types=draw_fold(1).types + 1), draw_fold(2), "from 0 to 3, but got 1 to 4"),
        (replace(draw_fold(1), types=np.zeros(80, int)), draw_fold(2), "at least two tumour types"),
    ],
)
def test_folds_that_do_not_fit_are_refused(training, validation, words):
    with pytest.raises(CohortError, match=words):
        fit("logistic_regression", training, validation)


def test_no_more_neighbours_are_asked_for_than_there_are_training_samples():
    types = np.arange(6) % 2
    fold = LabelledRows((np.eye(2)[types] + np.arange(6)[:, None] / 100).astype(np.float32), types)
    fitted = fit_baseline("k_nearest_neighbours", fold, fold, n_types=2, seed=0)
    assert fitted.choice["n_neighbours"] <= 6
    assert fitted.predict_proba(fold.expression).argmax(axis=1).tolist() == types.tolist()
