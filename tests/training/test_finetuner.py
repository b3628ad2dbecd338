"""Training on cached activations against the naive way: the whole network, all images, every epoch."""

from dataclasses import asdict, replace

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import toy
from expressionist.data import AS_IS_UNIT
from expressionist.data.expression import Scale
from expressionist.evaluation.metrics import score
from expressionist.files.store import write_array, write_json, write_table
from expressionist.network.assembly import fit_gain, image_front
from expressionist.network.backbones import BACKBONES, Backbone, Weights, build_backbone
from expressionist.painting.images import ImageSet, read_image_sets
from expressionist.painting.layout import Layout
from expressionist.params import NetworkParams, SearchParams
from expressionist.pipeline import train_members
from expressionist.training import activation_cache as prefix
from expressionist.training import finetuner as finetuning
from expressionist.training.activation_cache import ActivationCache
from expressionist.training.depth_search import plan_search
from expressionist.training.finetuner import FineTuner, Fold, TrainingData
from expressionist.training.loop import Fit, weigh_samples
from expressionist.training.optimiser import compile_tail
from network.parts import MAPS, WEIGHTED
from training.epochs import BrokenOff, break_off_at, note

N_TYPES, SHAPE = 3, (5, 4)
SEARCH = SearchParams(
    n_trials=2,
    epochs=1,
    folds=2,
    depths=(0,),
    learning_rate=None,
    dropout=None,
    objective="log_loss",
    prune=False,
    storage=None,
    seed=1,
)


def make_images(n_samples, shape=SHAPE, *, seed):
    """Noise, with one pixel per type that is brighter in it."""
    rng = np.random.default_rng(seed)
    types = rng.integers(0, N_TYPES, n_samples)
    images = rng.random((n_samples, *shape, 1)).astype(np.float32)
    images[np.arange(n_samples), types, types, 0] += 1
    patients = np.array([f"patient-{seed}-{row}" for row in range(n_samples)])
    return ImageSet(images, types, f"images-{seed}", patients)


@pytest.fixture(autouse=True)
def toy_backbone(monkeypatch):
    def build(name, side, path, *, seed):
        return (
            toy.make_backbone(side, seed=seed)
            if name == "toy"
            else build_backbone(name, side, path, seed=seed)
        )

    monkeypatch.setitem(BACKBONES, "toy", Backbone("Toy", "tf", 8, "late_", 7, ()))
    monkeypatch.setattr(finetuning, "build_backbone", build)


@pytest.fixture
def untrained(monkeypatch):
    """Everything but the training itself, for what does not depend on it."""

    def skip(model, training, validation, params, *, checkpoint, **kwargs):
        checkpoint.mkdir(parents=True)
        return Fit([{"epoch": 1}], stopped=False)

    monkeypatch.setattr(finetuning, "fit_tail", skip)
    monkeypatch.setattr(finetuning, "centre_head", lambda model, blocks: None)


def make_tuner(
    tmp_path, backbone="toy", *, shape=SHAPE, n_samples=(26, 12), weights_seed=0, scheduler=None, **network
):
    """The first pixel holds no gene."""
    training, validation = (make_images(n, shape, seed=seed) for seed, n in enumerate(n_samples))
    weights = Weights("random", "", f"random-{weights_seed}")
    pixel = np.arange(1, shape[0] * shape[1])
    laid = Layout(pixel.astype(str), pixel, shape, "random")
    scale = Scale(np.zeros(len(pixel), np.float32), np.ones(len(pixel), np.float32))
    params = toy.network_params(**network)
    data = TrainingData(training, validation, list("ABC"), laid, scale, {"unit": AS_IS_UNIT, "cohort": "toy"})
    cache = ActivationCache(tmp_path / "prefix", params.precision, scheduler=scheduler)
    return FineTuner(backbone, weights, None, data, params, cache, weights_seed=weights_seed)


def fit(tuner, tmp_path, depth, dropout=0.0, params=None, **kwargs):
    params = params or toy.training_params()
    return tuner.fit(depth, dropout, params, checkpoints=tmp_path / "checkpoints", **kwargs)


def train_naively(tuner, backbone, unfrozen, maps, dropout, params):
    """Losses, validation scores and weights of the whole network, frozen by nothing but `trainable`.

    Written without the package's cutting, caching, centring, batching and epochs.
    """
    for layer in backbone.layers:
        layer.trainable = layer.name in unfrozen
    training, validation = tuner.data.training, tuner.data.validation
    genes = training.images.reshape(len(training.images), -1).astype(np.float64)
    linear = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000)
    ).fit(genes, training.types)
    gain = None
    if tuner.network.gain:
        coefficients = linear[-1].coef_ / np.where(linear[0].scale_, linear[0].scale_, 1)[np.newaxis]
        gain = fit_gain(training.images, coefficients.T)
    front = image_front(training.images.shape[1:3], tuner.magnify, BACKBONES[tuner.backbone].mode, gain)
    images = keras.Input(training.images.shape[1:])
    average = tuner.network.head == "global_average"
    flatten = keras.layers.GlobalAveragePooling2D if average else keras.layers.Flatten
    outputs = {name: flatten()(backbone.get_layer(name).output) for name in maps}
    found = keras.Model(images, keras.Model(backbone.input, outputs)(front(images)))
    seen, initial = (list(each.values()) for each in (found.output, found(training.images)))
    initial = [np.asarray(each, np.float64) for each in initial]
    centred = [
        (each - part.mean(axis=0).astype(np.float32)) / np.float32(np.sqrt(part.var(axis=0).mean()))
        for each, part in zip(seen, initial, strict=True)
    ]
    features = keras.layers.Concatenate()(centred) if len(centred) > 1 else centred[0]
    features = keras.layers.Dropout(dropout, seed=params.seed)(features)
    model = keras.Model(
        images, keras.layers.Dense(N_TYPES, kernel_initializer="zeros", name="classifier")(features)
    )
    types = training.types
    compile_tail(model, params, len(types))
    weights = weigh_samples(types, N_TYPES, params.class_weight)
    losses, scores = [], []
    linear = linear.decision_function(validation.images.reshape(len(validation.images), -1))
    for epoch in range(params.epochs):
        order, total = np.random.default_rng([params.seed, epoch]).permutation(len(types)), 0.0
        for start in range(0, len(types), params.batch_size):
            rows = np.sort(order[start : start + params.batch_size])
            model.reset_metrics()
            loss = model.train_on_batch(training.images[rows], types[rows], sample_weight=weights[rows])
            total += float(loss) * len(rows)
        losses.append(total / len(types))
        logits = np.asarray(model(validation.images, training=False), np.float64)
        if tuner.network.genes:
            logits = (logits + linear) / 2
        scores.append(score(softmax(logits, axis=1), validation.types))
    return losses, scores, {name: backbone.get_layer(name).get_weights() for name in unfrozen}


def find_tail(tuner, tuned):
    """The part of the whole network that trained, with what it learnt."""
    return tuner.assemble(tuned).get_layer("tail_and_head")


def assert_same_training(tuner, tuned, backbone, maps, dropout, params):
    """The backbone is one with its initial weights, and trains here."""
    initial = {name: backbone.get_layer(name).get_weights() for name in tuned.unfrozen}
    losses, scores, weights = train_naively(tuner, backbone, tuned.unfrozen, maps, dropout, params)
    np.testing.assert_allclose([row["loss"] for row in tuned.fit.history], losses, atol=1e-4)
    found = [row["validation_log_loss"] for row in tuned.fit.history]
    np.testing.assert_allclose(found, [each["log_loss"] for each in scores], atol=1e-3)
    assert losses[-1] < losses[0], "nothing was learned, so nothing was compared"
    for name in tuned.unfrozen:
        ours = find_tail(tuner, tuned).get_layer("tail").get_layer(name).get_weights()
        for now, naively, before in zip(ours, weights[name], initial[name], strict=True):
            np.testing.assert_allclose(now, naively, atol=1e-3)
            assert np.abs(now - before).max() > 2e-3


@pytest.mark.parametrize(
    ("depth", "dropout", "network"),
    [
        (0, 0.0, {}),
        (0, 0.5, {"head": "global_average"}),
        (2, 0.0, {"strides": (4,), "head": "global_average", "genes": False}),
        (2, 0.5, {"gain": True}),
        (5, 0.3, {"genes": False}),
        (1, 0.0, {"genes": False, "gain": True}),
    ],
)
def test_the_losses_are_those_of_the_whole_network(tmp_path, depth, dropout, network):
    tuner, params = make_tuner(tmp_path, **network), toy.training_params(epochs=3)
    tuned = fit(tuner, tmp_path, depth, dropout, params)
    assert tuned.unfrozen == tuple(WEIGHTED[:depth])
    maps = [MAPS[each] for each in sorted(tuner.network.strides)]
    assert_same_training(tuner, tuned, toy.make_backbone((10, 8)), maps, dropout, params)


def test_the_losses_are_those_of_a_whole_mobilenet(tmp_path):
    network = {"magnify": 8, "strides": (32,)}
    tuner = make_tuner(tmp_path, "mobilenet", shape=(4, 4), n_samples=(12, 6), weights_seed=3, **network)
    params = toy.training_params(epochs=2)
    tuned = fit(tuner, tmp_path, 2, 0.2, params)
    assert tuned.unfrozen == ("conv_pw_13", "conv_dw_13")
    backbone = build_backbone("mobilenet", (32, 32), None, seed=3)
    assert_same_training(tuner, tuned, backbone, [backbone.layers[-1].name], 0.2, params)


# --- what is kept, and for whom


@pytest.mark.usefixtures("untrained")
def test_trials_that_are_cut_alike_share_their_activations(tmp_path, monkeypatch):
    computed = []
    write = prefix._write_rows
    monkeypatch.setattr(
        prefix, "_write_rows", lambda *args: computed.append(args[1][0].parent) or write(*args)
    )
    tuner, params = make_tuner(tmp_path), toy.training_params(epochs=1)
    trials = [(2, 0.3, 4), (1, 0.0, 6), (2, 0.0, 6), (1, 0.2, 6), (3, 0.0, 8), (0, 0.0, 10), (3, 0.5, 10)]
    for depth, dropout, n_expected in trials:
        fit(tuner, tmp_path, depth, dropout, params)
        # Training and validation images each; all look at the same fine map. Depths 1 and 2 are both cut
        # before the last residual block, and depth 1 has frozen activations inside it too.
        assert len(computed) == n_expected
    fit(make_tuner(tmp_path, weights_seed=1), tmp_path, 1, params=params)
    fit(make_tuner(tmp_path, magnify=3), tmp_path, 1, params=params)
    assert len(computed) == 22
    # Whoever looks at fewer maps finds all that is frozen.
    fit(make_tuner(tmp_path, strides=(4,)), tmp_path, 1, params=params)
    assert len(computed) == 22
    assert len(set(computed)) == 22


@pytest.mark.parametrize("network", [{}, {"head": "global_average"}])
def test_a_trial_starts_as_if_no_other_had_gone_before_it(tmp_path, network):
    """One backbone serves all trials of a tuner, so each must find its first weights, and its own depth."""
    params, used = toy.training_params(epochs=2), make_tuner(tmp_path, **network)
    for depth in (5, 2, 1, 0):
        fit(used, tmp_path, depth, 0.5, params)
    for depth in (0, 2, 1, 5):
        fresh = make_tuner(tmp_path / f"fresh-{depth}", **network)
        expected, found = (fit(each, tmp_path, depth, 0.3, params) for each in (fresh, used))
        assert found.n_unfrozen_parameters == expected.n_unfrozen_parameters
        assert found.unfrozen == expected.unfrozen
        for name in ("loss", "validation_log_loss"):
            then = [row[name] for row in expected.fit.history]
            # Activations come from the images or from those of an earlier cut, which rounds otherwise.
            np.testing.assert_allclose([row[name] for row in found.fit.history], then, rtol=1e-5)
        again = fit(used, tmp_path, depth, 0.3, params)
        assert [row["loss"] for row in again.fit.history] == [row["loss"] for row in found.fit.history]


def test_a_training_that_was_broken_off_is_resumed_and_tidied_up(tmp_path):
    params = toy.training_params(epochs=3)
    with pytest.raises(BrokenOff):
        fit(make_tuner(tmp_path), tmp_path, 2, 0.4, params, on_epoch=break_off_at(2))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    told = []
    # Another dropout is another training, and must not take up this one's checkpoint.
    for dropout in (0.1, 0.4):
        fit(make_tuner(tmp_path), tmp_path, 2, dropout, params, on_epoch=note(told))
    assert told == [1, 2, 3, 2, 3]
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("side", ["training", "validation"])
def test_other_labels_of_the_same_images_are_another_training(tmp_path, side):
    """A corrected label leaves the images as they are, and must not resume what the wrong one taught."""
    tuner, params, told = make_tuner(tmp_path), toy.training_params(epochs=2), []
    with pytest.raises(BrokenOff):
        fit(tuner, tmp_path, 1, params=params, on_epoch=break_off_at(2))
    wrong = getattr(tuner.data, side)
    mended = replace(wrong, types=wrong.types[::-1].copy())
    tuner.data = replace(tuner.data, **{side: mended})
    fit(tuner, tmp_path, 1, params=params, on_epoch=note(told))
    assert told == [1, 2]


@pytest.mark.usefixtures("untrained")
def test_the_number_of_unfrozen_parameters_is_counted_without_the_head(tmp_path):
    tuner, pointwise, separable = make_tuner(tmp_path), 12 * 12 + 12, 9 * 12 + 12 * 12 + 12
    for depth, expected in ((0, 0), (1, pointwise), (2, pointwise + separable)):
        assert fit(tuner, tmp_path, depth).n_unfrozen_parameters == expected
    assert tuner.last_block_depth() == 2


@pytest.mark.usefixtures("untrained")
def test_progress_covers_training_and_validation_images(tmp_path):
    tuner, done = make_tuner(tmp_path), []
    for _ in range(2):
        fit(tuner, tmp_path, 0, on_progress=done.append)
        assert sum(done) == 38
        done.clear()


def test_read_image_sets_never_opens_the_test_images(tmp_path):
    images, split, names = tmp_path / "images", tmp_path / "split.tsv", list("vwxyz")
    sides = ["train", "test", "validation", "train", "test"]
    table = pd.DataFrame({"patient": names, "tumour_type": list("BCAAB"), "split": sides}, index=names)
    write_table(split, table.rename_axis("sample"))
    for side, n_samples in (("train", 2), ("validation", 1)):
        blocks = iter([np.full((n_samples, 2, 2, 1), len(side), np.float32)])
        write_array(images / f"{side}.npy", blocks, (n_samples, 2, 2, 1))
    # There is no test.npy: it would raise if it were asked for.
    write_json(images / "images.json", {side: {"md5": f"md5 of {side}"} for side in sides})
    sets, tumour_types = read_image_sets(images, split)
    assert tumour_types == ["A", "B", "C"]
    assert set(sets) == {"train", "validation"}
    assert sets["train"].types.tolist() == [1, 0]
    assert sets["validation"].types.tolist() == [0]
    assert sets["train"].digest == "md5 of train"
    assert isinstance(sets["train"].images, np.memmap)
    assert (sets["validation"].images == len("validation")).all()


def test_ranks_are_computed_once_and_teach_a_classifier_of_their_own(tmp_path, monkeypatch):
    first, tuner = make_tuner(tmp_path), make_tuner(tmp_path, rank_units=6)
    plain, computed, whole = fit(first, tmp_path, depth=0), [], ActivationCache.compute

    def compute(self, model, inputs, identity, **kwargs):
        computed.append("ranks" in identity)
        return whole(self, model, inputs, identity, **kwargs)

    monkeypatch.setattr(ActivationCache, "compute", compute)
    tuned = [fit(tuner, tmp_path, depth=0) for _ in range(2)][-1]
    assert sum(computed) == 2, "once for the training and once for the validation samples"
    assert plain.branches == ("maps", "genes")
    tail = find_tail(tuner, tuned)
    kernels = [each.get_layer("classifier").kernel for each in (find_tail(first, plain), tail)]
    # The first classifier must not know of the second.
    np.testing.assert_allclose(*kernels, atol=1e-6)
    assert np.abs(tail.get_layer("rank_classifier").kernel).max() > 1e-3


def test_a_training_returns_weights_that_the_next_one_leaves_alone(tmp_path):
    tuner, params = make_tuner(tmp_path), toy.training_params(epochs=2)
    tuned = fit(tuner, tmp_path, 2, params=params)
    samples = np.random.default_rng(0).random((4, 19)).astype(np.float32)
    before = tuner.assemble(tuned).predict_on_batch(samples)
    other = fit(tuner, tmp_path, 5, params=params)
    assert not np.allclose(tuner.assemble(other).predict_on_batch(samples), before, atol=1e-3)
    np.testing.assert_allclose(tuner.assemble(tuned).predict_on_batch(samples), before, rtol=1e-5)


@pytest.mark.usefixtures("untrained")
def test_the_scheduler_reaches_the_prefix_and_names_nothing(tmp_path, monkeypatch):
    given, whole = {}, ActivationCache.compute

    def compute(self, model, inputs, identity, **kwargs):
        given.setdefault(self.scheduler, []).append(identity)
        return whole(replace(self, scheduler=None), model, inputs, identity, **kwargs)

    monkeypatch.setattr(ActivationCache, "compute", compute)
    for address in (None, "tcp://head:8786"):
        fit(make_tuner(tmp_path, scheduler=address), tmp_path, depth=1)
    assert given[None] == given["tcp://head:8786"]


# --- folds, members and branches


def predict_tail_of(tuner, tuned, images):
    """Logits of the whole network, before the temperature, for painted images without the empty pixel."""
    whole = tuner.assemble(*tuned)
    logits = keras.Model(whole.input, whole.get_layer("temperature").output)
    return logits.predict_on_batch(images.reshape(len(images), -1)[:, 1:])


def test_a_fold_is_learned_from_and_judged_by_its_own_samples(tmp_path):
    tuner = make_tuner(tmp_path)
    tuner.data.training.images[:, 0, 0], tuner.data.validation.images[:, 0, 0] = 0, 0
    # Of both subsets: training samples have the positions 0 to 25.
    fold = Fold(np.array([0, 3, 5, 8, 26, 28, 30, 31]), np.array([1, 2, 25, 27, 37]))
    equal = {"classifier": 0.5, "linear_classifier": 0.5}
    tuned = fit(tuner, tmp_path, 2, fold=fold, shares=equal)
    sets = (tuner.data.training, tuner.data.validation)
    images, types = (np.concatenate([getattr(each, name) for each in sets]) for name in ("images", "types"))
    logits = predict_tail_of(tuner, [tuned], images[fold.judging]).astype(np.float64)
    scores = score(softmax(logits, axis=1), types[fold.judging])
    assert tuned.fit.history[-1]["validation_log_loss"] == pytest.approx(scores["log_loss"], rel=1e-3)
    for name, same in (("judging", True), ("learned", False)):
        other = make_tuner(tmp_path)
        for part in (other.data.training, other.data.validation):
            part.images[:, 0, 0] = 0
        place = getattr(fold, name)[0]
        other.data.training.types[place] = (other.data.training.types[place] + 1) % N_TYPES
        again = fit(other, tmp_path, 2, fold=fold)
        assert all(np.array_equal(*pair) for pair in zip(tuned.weights, again.weights, strict=True)) is same
        assert sum(again.shares.values()) == pytest.approx(1)


@pytest.mark.usefixtures("untrained")
def test_the_gain_is_taught_by_types_of_training_samples_only_and_never_where_folds_judge_by_some(tmp_path):
    def stretch(tuner):
        return tuner.front.get_layer("gain").gain.numpy()

    plain, other, mended = (make_tuner(tmp_path, gain=True) for _ in range(3))
    other.data.validation.images[:] = 0
    other.data.validation.types[:] = 0
    np.testing.assert_array_equal(stretch(plain), stretch(other))
    mended.data.training.types[:] = mended.data.training.types[::-1].copy()
    assert np.abs(stretch(plain) - stretch(mended)).max() > 0.1
    # Activations of other gains are others, though the images are the same.
    for tuner, n_entries in ((plain, 2), (mended, 4), (plain.without_gain(), 6)):
        fit(tuner, tmp_path, 0)
        assert len([each for each in (tmp_path / "prefix").iterdir() if each.is_dir()]) == 2 * n_entries
    searched = [
        plan_search(make_tuner(tmp_path, gain=gain), toy.training_params(), SEARCH) for gain in (True, False)
    ]
    without = make_tuner(tmp_path)
    assert without.without_gain() is without, "nothing is built twice"
    for planned in searched:
        assert "gain" not in {layer.name for layer in planned.tuner.front.layers}
    assert len({planned.study for planned in searched}) == 1


def test_a_patient_is_in_one_fold_and_every_sample_is_judged_once(tmp_path):
    tuner = make_tuner(tmp_path)
    patients = np.array(["a", "b", "c", "d", "e", "f"])
    tuner.data.training.patients[:], tuner.data.validation.patients[:] = patients[np.arange(26) % 6], "f"
    folds = tuner.deal(3, seed=1)
    assert sorted(np.concatenate([fold.judging for fold in folds])) == list(range(38))
    whose = np.concatenate([tuner.data.training.patients, tuner.data.validation.patients])
    for fold in folds:
        assert not set(whose[fold.learned]) & set(whose[fold.judging])
        assert sorted([*fold.learned, *fold.judging]) == list(range(38))


@pytest.mark.parametrize("depth", [0, 2])
def test_several_members_give_the_mean_of_their_logits(tmp_path, depth):
    tuner = make_tuner(tmp_path, rank_units=4)
    shares = {"classifier": 0.2, "linear_classifier": 0.3, "rank_classifier": 0.5}
    members = [
        fit(tuner, tmp_path, depth, params=toy.training_params(seed=seed), fold=fold, shares=shares)
        for seed, fold in enumerate(tuner.deal(3, seed=0))
    ]
    images = make_images(6, seed=9).images
    each = [predict_tail_of(tuner, [member], images) for member in members]
    assert np.abs(each[0] - each[1]).max() > 1e-2
    np.testing.assert_allclose(
        predict_tail_of(tuner, members, images), np.mean(each, axis=0), rtol=1e-4, atol=1e-5
    )


def test_members_learn_from_all_known_samples_and_differ_in_their_seeds(tmp_path):
    tuner = make_tuner(tmp_path, gene_dropout=0.5)
    training, best = toy.training_params(members=2), {"params": {"depth": 1}, "depth": 1}
    shares = {"classifier": 0.2, "linear_classifier": 0.8}
    members = train_members(tuner, best, training, tmp_path / "checkpoints", shares=shares)
    assert all(member.shares == shares for member in members)
    assert [member.seed for member in members] == [training.seed, training.seed + 1]
    assert any(not np.array_equal(*pair) for pair in zip(*(each.weights for each in members), strict=True))
    for part in ("training", "validation"):
        other = make_tuner(tmp_path, gene_dropout=0.5)
        types = getattr(other.data, part).types
        types[-1] = (types[-1] + 1) % N_TYPES
        found = train_members(other, best, training, tmp_path / "checkpoints", shares=shares)[0].weights
        assert any(not np.array_equal(*pair) for pair in zip(found, members[0].weights, strict=True))


@pytest.mark.parametrize("branches", [("genes",), ("ranks",), ("genes", "ranks")])
def test_without_maps_the_backbone_takes_no_part(tmp_path, branches):
    tuner = make_tuner(tmp_path, rank_units=4)
    tuned = fit(tuner, tmp_path, 0, branches=branches)
    assert (tuned.unfrozen, tuned.n_unfrozen_parameters) == ((), 0)
    whole = tuner.assemble(tuned)
    assert not {"front", "prefix"} & {layer.name for layer in whole.layers}
    images = tuner.data.validation.images.copy()
    images[:, 0, 0] = 0
    found = predict_tail_of(tuner, [tuned], images)
    assert found.shape == (12, N_TYPES)
    assert np.isfinite(found).all()


def test_the_references_protocol_leaves_images_averaged_once_and_nothing_else(tmp_path):
    params = NetworkParams(**{**asdict(toy.network_params(rank_units=4, gain=True)), "protocol": "reference"})
    told = (params.gain, params.head, params.strides, params.genes, params.rank_units)
    assert told == (False, "global_average", (32,), False, 0)


def test_shares_are_fitted_on_the_samples_that_judge_and_move_no_weight(tmp_path):
    found = []
    for mislabelled in (slice(0, None, 3), slice(1, None, 3)):
        tuner = make_tuner(tmp_path, rank_units=4)
        types = tuner.data.validation.types
        types[mislabelled] = (types[mislabelled] + 1) % N_TYPES
        found.append(fit(tuner, tmp_path, 0))
        assert sum(found[-1].shares.values()) == pytest.approx(1)
        layer = tuner.assemble(found[-1]).get_layer("logits")
        np.testing.assert_allclose(layer.shares, [share for _, share in sorted(found[-1].shares.items())])
    assert found[0].shares != found[1].shares
    assert all(np.array_equal(*pair) for pair in zip(*(each.weights for each in found), strict=True))
