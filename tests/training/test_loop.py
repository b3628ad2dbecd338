import os
from contextlib import nullcontext
from pathlib import Path

import keras
import numpy as np
import pytest

import toy
from expressionist.errors import ParamsError
from expressionist.evaluation.metrics import score
from expressionist.network.tracing import trace_prediction
from expressionist.training import loop as training
from expressionist.training.loop import (
    Rows,
    fit_tail,
    predict_types,
    weigh_samples,
)
from expressionist.training.optimiser import Group, GroupedAdamW, compile_tail
from forked import Forked

N_TYPES, N_FEATURES = 3, 6


def make_rows(n_samples=40, *, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    types = rng.integers(0, N_TYPES, n_samples)
    centres = np.random.default_rng(99).normal(size=(N_TYPES, N_FEATURES))
    features = centres[types] + noise * rng.normal(size=(n_samples, N_FEATURES))
    return Rows({"features": features.astype(np.float32)}, types)


def make_model(*, dropout=0.0, seed=3):
    """An unfrozen layer below a head, as a tail has."""
    inputs = keras.Input((N_FEATURES,), name="features")
    initial = keras.initializers.GlorotUniform(seed=seed)
    features = keras.layers.Dense(5, activation="tanh", kernel_initializer=initial, name="unfrozen")(inputs)
    features = keras.layers.Dropout(dropout, seed=seed)(features)
    initial = keras.initializers.GlorotUniform(seed=seed + 1)
    logits = keras.layers.Dense(N_TYPES, kernel_initializer=initial, name="classifier")(features)
    return keras.Model({"features": inputs}, {"classifier": logits})


def fit(model, params, **kwargs):
    return fit_tail(model, make_rows(), make_rows(30, seed=1), params, **kwargs)


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


# --- weights of samples


@pytest.mark.parametrize("rule", ["none", "sqrt", "balanced"])
@pytest.mark.parametrize("counts", [(5, 5, 5), (100, 10, 1), (7, 0, 3)])
def test_weights_have_mean_one_and_balance_types_as_far_as_asked(rule, counts):
    types = np.repeat(np.arange(3), counts)
    weights = weigh_samples(types, 3, rule)
    assert weights.dtype == np.float32
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    n_samples = np.bincount(types, minlength=3)
    total = np.bincount(types, weights, minlength=3)[n_samples > 0]
    share = total / n_samples[n_samples > 0] ** {"none": 1.0, "sqrt": 0.5, "balanced": 0.0}[rule]
    np.testing.assert_allclose(share, share[0], rtol=1e-5)


def test_class_weights_reach_the_loss():
    """A rare type that is weighed up is found where it was drowned before."""
    rng = np.random.default_rng(0)
    types = np.repeat([0, 1], [190, 10])
    features = rng.normal(size=(200, N_FEATURES)) + types[:, None]
    rows = Rows({"features": features.astype(np.float32)}, types)
    recalls = {}
    for rule in ("none", "balanced"):
        model = make_model()
        fit_tail(model, rows, rows, toy.training_params(epochs=8, batch_size=32, class_weight=rule))
        recalls[rule] = (predict_types(trace_prediction(model), rows).argmax(axis=1)[types == 1] == 1).mean()
    assert recalls["balanced"] > recalls["none"] + 0.2


# --- the optimiser


def train_once(model, optimizer):
    """By Keras's own step."""
    plain, rows = keras.Model(model.input, model.output["classifier"]), make_rows()
    plain.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    plain.train_on_batch(rows.inputs, rows.types)


def take_one_step(ratio, *, weight_decay=0.0, learning_rate=1e-2):
    model = make_model()
    before = {each.path: each.numpy() for each in model.trainable_variables}
    slow, others = (
        [each for each in model.trainable_variables if ("unfrozen" in each.path) == unfrozen]
        for unfrozen in (True, False)
    )
    groups = [Group(slow, ratio, 0.0), Group(others, 1.0, weight_decay)]
    optimizer = GroupedAdamW(groups, learning_rate=learning_rate)
    train_once(model, optimizer)
    return {each.path: each.numpy() - before[each.path] for each in model.trainable_variables}, before


def test_slow_variables_move_by_the_lower_rate_and_the_others_by_the_full_one():
    one, _ = take_one_step(1.0)
    slower, _ = take_one_step(0.1)
    for path, step in one.items():
        assert np.abs(step).max() > 1e-3
        share = 0.1 if "unfrozen" in path else 1.0
        # Steps are differences of numbers near 1 in float32.
        np.testing.assert_allclose(slower[path], step * share, atol=3e-7)


def test_at_a_ratio_of_nothing_slow_variables_stand_still():
    steps, _ = take_one_step(0.0, weight_decay=0.5)
    for path, step in steps.items():
        assert (np.abs(step).max() == 0) == ("unfrozen" in path)


def test_only_the_head_is_decayed():
    plain, before = take_one_step(0.3)
    decayed, _ = take_one_step(0.3, weight_decay=0.5)
    for path, step in plain.items():
        expected = -1e-2 * 0.5 * before[path] if "classifier" in path else 0
        np.testing.assert_allclose(decayed[path] - step, np.broadcast_to(expected, step.shape), atol=3e-7)


def test_with_one_rate_and_no_decay_it_is_adam():
    steps, _ = take_one_step(1.0)
    model = make_model()
    before = {each.path: each.numpy() for each in model.trainable_variables}
    train_once(model, keras.optimizers.Adam(1e-2))
    # Keras names a second model's layers alike, so the paths agree.
    for path, step in steps.items():
        now = next(each for each in model.trainable_variables if each.path == path)
        np.testing.assert_allclose(now.numpy() - before[path], step, atol=3e-7)


def test_the_classifier_of_ranks_has_a_rate_of_its_own():
    model, params = make_two_classifiers(), toy.training_params(rank_learning_rate=7e-2)
    compile_tail(model, params, 20)
    found = model.optimizer.rules[model.get_layer("rank_classifier").kernel.path]
    assert found == pytest.approx((7e-2 / params.learning_rate, params.weight_decay))


def test_compiling_takes_head_and_tail_apart_and_lets_the_rate_fall():
    model, params = make_model(), toy.training_params(epochs=3, batch_size=8)
    compile_tail(model, params, 20)
    optimizer = model.optimizer
    ratio = params.tail_learning_rate / params.learning_rate
    for name, rule in (("unfrozen", (ratio, 0.0)), ("classifier", (1.0, params.weight_decay))):
        for each in model.get_layer(name).variables:
            assert optimizer.rules[each.path] == pytest.approx(rule)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 4, 9)]
    np.testing.assert_allclose(
        rates, params.learning_rate * (1 + np.cos(np.pi * np.array([0, 4, 9]) / 9)) / 2, atol=1e-8
    )


# --- the training


def test_the_last_epochs_weights_are_kept_not_those_that_validation_likes_best():
    model, weights = make_model(), []

    def keep(epoch):
        weights.append(model.get_weights())
        return False

    params = toy.training_params(epochs=8, learning_rate=0.5, tail_learning_rate=0.5, batch_size=4)
    found = fit(model, params, on_epoch=keep)
    losses = [row["validation_log_loss"] for row in found.history]
    assert min(losses) < losses[-1], "the last epoch is the best: nothing else could have been kept"
    for now, last in zip(model.get_weights(), weights[-1], strict=True):
        np.testing.assert_array_equal(now, last)
    validation = make_rows(30, seed=1)
    scores = score(predict_types(trace_prediction(model), validation), validation.types)
    assert {name: found.history[-1][f"validation_{name}"] for name in scores} == pytest.approx(scores)
    assert not found.stopped


def test_as_many_epochs_as_asked_for():
    found = fit(make_model(), toy.training_params(epochs=3))
    assert [row["epoch"] for row in found.history] == [1, 2, 3]


def test_every_epoch_is_reported_with_all_scores():
    told = []
    found = fit(make_model(), toy.training_params(epochs=2), on_epoch=lambda epoch: bool(told.append(epoch)))
    assert told == found.history
    expected = {f"validation_{name}" for name in score(np.eye(3), np.arange(3))}
    assert set(told[0]) == {"epoch", "loss", "seconds"} | expected


def test_the_caller_can_break_off():
    found = fit(make_model(), toy.training_params(epochs=9), on_epoch=lambda epoch: epoch["epoch"] == 2)
    assert len(found.history) == 2
    assert found.stopped


def test_every_epoch_shows_every_sample_once_in_another_order():
    rows, seen = make_rows(21), []
    batches = training._Batches(rows, np.arange(21, dtype=np.float32), 8, seed=4)
    for epoch in (0, 1, 0):
        taken = list(batches.of_epoch(epoch))
        assert len(taken) == 3
        positions = np.concatenate([weights for _, _, weights in taken]).astype(int)
        assert sorted(positions) == list(range(21))
        for inputs, types, weights in taken:
            np.testing.assert_array_equal(inputs["features"], rows.inputs["features"][weights.astype(int)])
            np.testing.assert_array_equal(types, rows.types[weights.astype(int)])
        seen.append([frozenset(weights) for _, _, weights in taken])
    assert seen[0] == seen[2] != seen[1]


def test_the_same_seed_gives_the_same_training_and_another_one_another():
    histories = [
        without_seconds(fit(make_model(dropout=0.4), toy.training_params(seed=seed)).history)
        for seed in (1, 1, 2)
    ]
    assert histories[0] == histories[1] != histories[2]


@pytest.mark.parametrize("rate", [1e-2, 0.5])
def test_validation_rows_change_nothing(rate):
    """Other validation rows give other scores but the same weights, dropout and a rising loss included."""
    params = toy.training_params(epochs=6, learning_rate=rate, tail_learning_rate=rate)
    likely = make_rows(30, seed=1)
    mislabelled = Rows(likely.inputs, (likely.types + 1) % N_TYPES)
    weights, histories = [], []
    for validation in (likely, mislabelled, make_rows(7, seed=2)):
        model = make_model(dropout=0.4)
        histories.append(fit_tail(model, make_rows(), validation, params).history)
        weights.append(model.get_weights())
    for other in weights[1:]:
        for one, another in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(one, another)
    losses = [[row["loss"] for row in history] for history in histories]
    assert losses[0] == losses[1] == losses[2]
    seen = [tuple(row["validation_log_loss"] for row in history) for history in histories]
    assert len(set(seen)) == 3
    assert len({int(np.argmin(each)) for each in seen}) > 1, (
        "validation would choose the same epoch each time"
    )


def test_probabilities_are_the_softmax_of_all_rows_in_order():
    model, rows = make_model(), make_rows(600)
    found = predict_types(trace_prediction(model), rows)
    logits = model(rows.inputs)["classifier"].numpy().astype(np.float64)
    np.testing.assert_allclose(found, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("quick", [False, True])
def test_small_maps_are_convolved_the_quick_way_only_where_that_is_allowed(monkeypatch, quick):
    asked = []
    monkeypatch.setattr(training, "quick_convolutions", lambda model: asked.append(model) or nullcontext())
    fit(make_model(), toy.training_params(epochs=1), quick=quick)
    assert len(asked) == quick


def test_huge_logits_do_not_overflow():
    model = make_model()
    model.get_layer("classifier").set_weights([np.full((5, N_TYPES), 1e30, np.float32), np.zeros(N_TYPES)])
    assert np.isfinite(predict_types(trace_prediction(model), make_rows(4))).all()


# --- broken off and gone on


class BrokenOff(Exception):
    pass


PARAMS = toy.training_params(epochs=4, batch_size=16)


def fit_part(checkpoint, on_epoch=lambda epoch: False):
    """The training that is broken off below: with dropout, so that its random state matters too."""
    model = make_model(dropout=0.4)
    return model, fit(model, PARAMS, checkpoint=checkpoint, on_epoch=on_epoch)


@pytest.fixture(scope="module")
def uninterrupted():
    return fit_part(None)


def assert_same(found, expected):
    for row, other in zip(*(without_seconds(each[1].history) for each in (found, expected)), strict=True):
        assert row == pytest.approx(other, rel=1e-6, abs=1e-9)
    for now, then in zip(found[0].get_weights(), expected[0].get_weights(), strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("breaks", [(1,), (1, 3, 4)])
def test_a_training_that_was_broken_off_ends_like_one_that_was_not(tmp_path, uninterrupted, breaks):
    """The error comes between an epoch and its checkpoint, so that epoch is trained again, from the one
    before."""
    for last in breaks:

        def break_off(epoch, last=last):
            if epoch["epoch"] == last:
                raise BrokenOff
            return False

        with pytest.raises(BrokenOff):
            fit_part(tmp_path, break_off)
    told = []
    found = fit_part(tmp_path, lambda epoch: bool(told.append(epoch["epoch"])))
    assert told == list(range(breaks[-1], 5)), "epochs that were done are trained again"
    assert_same(found, uninterrupted)


@pytest.mark.parametrize("last", [1, 2])
def test_a_checkpoint_does_not_say_that_a_training_was_ended_by_its_caller(tmp_path, uninterrupted, last):
    """A pruned trial that is killed before it is tidied up leaves its checkpoint. A later training of the
    same facts must not take it for its own end: it asks its own caller, from the epoch that was broken off.
    """
    _, ended = fit_part(tmp_path, lambda epoch: epoch["epoch"] == last)
    assert ended.stopped
    told = []
    found = fit_part(tmp_path, lambda epoch: bool(told.append(epoch["epoch"])))
    assert told == list(range(last, 5))
    assert not found[1].stopped
    assert_same(found, uninterrupted)


def test_a_finished_training_gives_its_last_epoch_again(tmp_path):
    params = toy.training_params(epochs=6, learning_rate=0.5, tail_learning_rate=0.5, batch_size=4)
    first, second = make_model(), make_model()
    expected = fit(first, params, checkpoint=tmp_path)
    assert fit(second, params, checkpoint=tmp_path) == expected
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_checkpoints_keep_the_last_epoch_only(tmp_path):
    kept = []

    def look(epoch):
        kept.append([path.name for path in tmp_path.glob("epoch-*")])
        return False

    fit(make_model(), toy.training_params(epochs=4), checkpoint=tmp_path, on_epoch=look)
    look(None)
    assert kept == [[], *([f"epoch-{epoch}.npz"] for epoch in range(1, 5))]


@pytest.mark.parametrize(
    ("moment", "trained"),
    [("before the weights", [3, 4]), ("before the state", [3, 4]), ("before the tidying", [4])],
)
def test_a_kill_while_a_checkpoint_is_written_costs_at_most_that_epoch(
    tmp_path, monkeypatch, uninterrupted, moment, trained
):
    def at_third(function):
        def wrapped(self, *args, **kwargs):
            wrapped.n += 1
            if wrapped.n == 3:
                raise BrokenOff
            return function(self, *args, **kwargs)

        wrapped.n = 0
        return wrapped

    owner, name = {
        "before the weights": (np, "savez"),
        "before the state": (Path, "replace"),
        "before the tidying": (Path, "glob"),
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, at_third(getattr(owner, name)))
        with pytest.raises(BrokenOff):
            fit_part(tmp_path)
    told = []
    assert_same(fit_part(tmp_path, lambda epoch: bool(told.append(epoch["epoch"]))), uninterrupted)
    assert told == trained
    assert [path.name for path in tmp_path.glob("epoch-*")] == ["epoch-4.npz"]


def fit_part_and_die(checkpoint):
    fit_part(checkpoint, lambda epoch: epoch["epoch"] == 3 and toy.kill_me())


def test_a_training_under_kill_9_is_resumed_by_another_process(tmp_path, uninterrupted):
    checkpoint, log = tmp_path / "checkpoint", tmp_path / "killed.log"
    about = {"folder": tmp_path, "environment": os.environ, "stdout": log, "stderr": log}
    assert Forked(fit_part_and_die, checkpoint, **about).wait(600) == -9, log.read_text()
    told = []
    found = fit_part(checkpoint, lambda epoch: bool(told.append(epoch["epoch"])))
    assert told == [3, 4]
    assert_same(found, uninterrupted)


def test_a_loss_that_is_not_finite_is_refused():
    model, params = make_model(), toy.training_params(epochs=2, learning_rate=1.0)
    rows = make_rows()
    broken = Rows({"features": np.full_like(rows.inputs["features"], np.nan)}, rows.types)
    with pytest.raises(ParamsError, match=r"must stay finite, but got nan in epoch 1"):
        fit_tail(model, broken, rows, params)


def make_two_classifiers():
    model, second = make_model(), make_second()
    return keras.Model(model.input | second.input, model.output | second.output)


def make_second():
    squares = keras.Input((N_FEATURES,), name="squares")
    logits = keras.layers.Dense(N_TYPES, kernel_initializer="zeros", name="rank_classifier")(squares)
    return keras.Model({"squares": squares}, {"rank_classifier": logits})


def test_two_classifiers_are_each_trained_for_itself_and_their_mean_logits_predict():
    params, rows = toy.training_params(epochs=3), make_rows()
    squares = {"squares": rows.inputs["features"] ** 2}
    both_rows = Rows(rows.inputs | squares, rows.types)
    alone, other, both = make_model(), make_second(), make_two_classifiers()
    square_rows = Rows(squares, rows.types)
    apart = [fit_tail(alone, rows, rows, params), fit_tail(other, square_rows, square_rows, params)]
    fitted = fit_tail(both, both_rows, both_rows, params)
    losses = np.mean([[row["loss"] for row in each.history] for each in apart], axis=0)
    np.testing.assert_allclose([row["loss"] for row in fitted.history], losses, rtol=1e-5)
    for name in ("unfrozen", "classifier"):
        weights = (each.get_layer(name).get_weights() for each in (alone, both))
        for one, another in zip(*weights, strict=True):
            np.testing.assert_allclose(one, another, atol=1e-6)
    assert np.abs(both.get_layer("rank_classifier").get_weights()[0]).max() > 1e-3
    logits = np.mean([np.asarray(each) for each in both(both_rows.inputs).values()], axis=0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_types(trace_prediction(both), both_rows), expected, atol=1e-6)
    accuracy = (expected.argmax(axis=1) == rows.types).mean()
    assert fitted.history[-1]["validation_accuracy"] == pytest.approx(accuracy)
