import os
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax

import toy
from expressionist.errors import ParamsError
from expressionist.evaluation.metrics import score
from expressionist.network.tracing import trace_prediction
from expressionist.training import loop as training
from expressionist.training.loop import Rows, fit_tail, predict_types, weigh_samples
from expressionist.training.optimiser import GroupedAdamW, compile_tail
from forked import Forked
from training.epochs import BrokenOff, break_off_at, note

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
    first, second = (keras.initializers.GlorotUniform(each) for each in (seed, seed + 1))
    features = keras.layers.Dense(5, activation="tanh", kernel_initializer=first, name="unfrozen")(inputs)
    features = keras.layers.Dropout(dropout, seed=seed)(features)
    logits = keras.layers.Dense(N_TYPES, kernel_initializer=second, name="classifier")(features)
    return keras.Model({"features": inputs}, {"classifier": logits})


def fit(model, params, **kwargs):
    return fit_tail(model, make_rows(), make_rows(30, seed=1), params, **kwargs)


def assert_equal_weights(one, other):
    for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


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


def take_one_step(make_optimizer):
    """By Keras's own step; return what every variable moved by, and where from."""
    model, rows = make_model(), make_rows()
    before = {each.path: each.numpy() for each in model.trainable_variables}
    plain = keras.Model(model.input, model.output["classifier"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile(make_optimizer(before), loss, jit_compile=False)
    plain.train_on_batch(rows.inputs, rows.types)
    return {each.path: each.numpy() - before[each.path] for each in model.trainable_variables}, before


@pytest.mark.parametrize(("ratio", "decay"), [(1.0, 0.0), (0.1, 0.0), (0.0, 0.5), (0.3, 0.5)])
def test_a_step_is_that_of_adam_by_each_variables_own_rate_and_decay(ratio, decay):
    def make_optimizer(paths):
        rules = {path: (ratio, 0.0) if "unfrozen" in path else (1.0, decay) for path in paths}
        return GroupedAdamW(rules, learning_rate=1e-2)

    ours, _ = take_one_step(make_optimizer)
    # Keras names a second model's layers alike, so the paths agree.
    theirs, before = take_one_step(lambda _: keras.optimizers.Adam(1e-2))
    for path, step in theirs.items():
        assert np.abs(step).max() > 1e-3
        expected = step * ratio if "unfrozen" in path else step - 1e-2 * decay * before[path]
        # Steps are differences of numbers near 1 in float32.
        np.testing.assert_allclose(ours[path], expected, atol=3e-7)
        assert (np.abs(ours[path]).max() == 0) == (ratio == 0 and "unfrozen" in path)


def test_compiling_takes_tail_and_classifiers_apart_and_lets_the_rate_fall():
    model = make_two_classifiers()
    params = toy.training_params(epochs=3, batch_size=8, rank_learning_rate=7e-2)
    compile_tail(model, params, 20)
    rate, decay = params.learning_rate, params.weight_decay
    rules = {
        "unfrozen": (params.tail_learning_rate / rate, 0.0),
        "classifier": (1.0, decay),
        "rank_classifier": (7e-2 / rate, decay),
    }
    for name, rule in rules.items():
        for each in model.get_layer(name).variables:
            assert model.optimizer.rules[each.path] == pytest.approx(rule)
    steps = np.array([0, 4, 9])
    rates = [float(model.optimizer._learning_rate(step)) for step in steps]
    np.testing.assert_allclose(rates, rate * (1 + np.cos(np.pi * steps / 9)) / 2, atol=1e-8)


# --- the training


def test_the_last_epochs_weights_are_kept_not_those_that_validation_likes_best():
    model, weights = make_model(), []
    params = toy.training_params(epochs=8, learning_rate=0.5, tail_learning_rate=0.5, batch_size=4)
    found = fit(model, params, on_epoch=lambda _: bool(weights.append(model.get_weights())))
    losses = [row["validation_log_loss"] for row in found.history]
    assert min(losses) < losses[-1], "the last epoch is the best: nothing else could have been kept"
    for now, last in zip(model.get_weights(), weights[-1], strict=True):
        np.testing.assert_array_equal(now, last)
    validation = make_rows(30, seed=1)
    scores = score(predict_types(trace_prediction(model), validation), validation.types)
    assert {name: found.history[-1][f"validation_{name}"] for name in scores} == pytest.approx(scores)
    assert not found.stopped


def test_as_many_epochs_as_asked_for_are_reported_with_all_scores():
    told = []
    found = fit(make_model(), toy.training_params(epochs=3), on_epoch=lambda epoch: bool(told.append(epoch)))
    assert [row["epoch"] for row in found.history] == [1, 2, 3]
    assert told == found.history
    expected = {f"validation_{name}" for name in score(np.eye(3), np.arange(3))}
    assert set(told[0]) == {"epoch", "loss", "seconds"} | expected


def test_the_caller_can_break_off():
    found = fit(make_model(), toy.training_params(epochs=9), on_epoch=lambda epoch: epoch["epoch"] == 2)
    assert len(found.history) == 2
    assert found.stopped


def test_every_epoch_shows_every_sample_once_in_another_order():
    rows, seen = make_rows(21), []
    for epoch in (0, 1, 0):
        weights, params = np.arange(21, dtype=np.float32), toy.training_params(batch_size=8, seed=4)
        taken = list(training._draw_batches(rows, weights, params, epoch))
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
    models, histories = [make_model(dropout=0.4) for _ in range(3)], []
    for model, validation in zip(models, (likely, mislabelled, make_rows(7, seed=2)), strict=True):
        histories.append(fit_tail(model, make_rows(), validation, params).history)
        assert_equal_weights(model, models[0])
    losses = [[row["loss"] for row in history] for history in histories]
    assert losses[0] == losses[1] == losses[2]
    seen = [tuple(row["validation_log_loss"] for row in history) for history in histories]
    assert len(set(seen)) == 3
    # Validation would choose another epoch each time.
    assert len({int(np.argmin(each)) for each in seen}) > 1


def test_probabilities_are_the_softmax_of_all_rows_in_order():
    model, rows = make_model(), make_rows(600)
    found = predict_types(trace_prediction(model), rows)
    logits = model(rows.inputs)["classifier"].numpy().astype(np.float64)
    np.testing.assert_allclose(found, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)


def test_huge_logits_do_not_overflow():
    model = make_model()
    model.get_layer("classifier").set_weights([np.full((5, N_TYPES), 1e30, np.float32), np.zeros(N_TYPES)])
    assert np.isfinite(predict_types(trace_prediction(model), make_rows(4))).all()


# --- broken off and gone on


PARAMS = toy.training_params(epochs=4, batch_size=16)


def fit_part(checkpoint, on_epoch=lambda epoch: False):
    """The training that is broken off below: with dropout, so that its random state matters too."""
    model = make_model(dropout=0.4)
    return model, fit(model, PARAMS, checkpoint=checkpoint, on_epoch=on_epoch)


@pytest.fixture(scope="module")
def uninterrupted():
    return fit_part(None)


def assert_ends_like(expected, checkpoint, *, trained):
    """Gone on with, a training trains these epochs and ends as if it had never been broken off."""
    told = []
    found = fit_part(checkpoint, note(told))
    assert told == list(trained)
    assert not found[1].stopped
    for row, other in zip(*(without_seconds(each[1].history) for each in (found, expected)), strict=True):
        assert row == pytest.approx(other, rel=1e-6, abs=1e-9)
    for now, then in zip(found[0].get_weights(), expected[0].get_weights(), strict=True):
        np.testing.assert_allclose(now, then, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("breaks", [(1,), (1, 3, 4)])
def test_a_training_that_was_broken_off_ends_like_one_that_was_not(tmp_path, uninterrupted, breaks):
    """The error comes between an epoch and its checkpoint, so that epoch is trained again."""
    for last in breaks:
        with pytest.raises(BrokenOff):
            fit_part(tmp_path, break_off_at(last))
    assert_ends_like(uninterrupted, tmp_path, trained=range(breaks[-1], 5))


@pytest.mark.parametrize("last", [1, 2])
def test_a_checkpoint_does_not_say_that_a_training_was_ended_by_its_caller(tmp_path, uninterrupted, last):
    """As a pruned trial does that is killed before it is tidied up: a later training asks its own caller."""
    _, ended = fit_part(tmp_path, lambda epoch: epoch["epoch"] == last)
    assert ended.stopped
    assert_ends_like(uninterrupted, tmp_path, trained=range(last, 5))


def test_a_finished_training_gives_its_last_epoch_again(tmp_path):
    params = toy.training_params(epochs=6, learning_rate=0.5, tail_learning_rate=0.5, batch_size=4)
    first, second = make_model(), make_model()
    expected = fit(first, params, checkpoint=tmp_path)
    assert fit(second, params, checkpoint=tmp_path) == expected
    assert_equal_weights(first, second)


def test_checkpoints_keep_the_last_epoch_only(tmp_path):
    kept = []

    def look(_):
        kept.append([path.name for path in tmp_path.glob("epoch-*")])

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
    assert_ends_like(uninterrupted, tmp_path, trained=trained)
    assert [path.name for path in tmp_path.glob("epoch-*")] == ["epoch-4.npz"]


def fit_part_and_die(checkpoint):
    fit_part(checkpoint, lambda epoch: epoch["epoch"] == 3 and toy.kill_me())


def test_a_training_under_kill_9_is_resumed_by_another_process(tmp_path, uninterrupted):
    checkpoint, log = tmp_path / "checkpoint", tmp_path / "killed.log"
    about = {"folder": tmp_path, "environment": os.environ, "stdout": log, "stderr": log}
    assert Forked(fit_part_and_die, checkpoint, **about).wait(600) == -9, log.read_text()
    assert_ends_like(uninterrupted, checkpoint, trained=[3, 4])


def test_a_loss_that_is_not_finite_is_refused():
    rows = make_rows()
    broken = Rows({"features": np.full_like(rows.inputs["features"], np.nan)}, rows.types)
    with pytest.raises(ParamsError, match=r"must stay finite, but got nan in epoch 1"):
        fit_tail(make_model(), broken, rows, toy.training_params(epochs=2, learning_rate=1.0))


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
    expected = softmax(
        np.mean([np.asarray(each) for each in both(both_rows.inputs).values()], axis=0), axis=1
    )
    np.testing.assert_allclose(predict_types(trace_prediction(both), both_rows), expected, atol=1e-6)
    accuracy = (expected.argmax(axis=1) == rows.types).mean()
    assert fitted.history[-1]["validation_accuracy"] == pytest.approx(accuracy)
