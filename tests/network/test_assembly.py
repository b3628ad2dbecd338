from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import toy
from expressionist.data.cohort import AS_IS_UNIT, LOG2_UNIT
from expressionist.data.expression import Scale, to_log2
from expressionist.errors import ParamsError
from expressionist.files.store import read_array, write_array
from expressionist.network import cut
from expressionist.network.assembly import (
    assemble,
    choose_magnification,
    fit_ranks,
    image_front,
    load_network,
    logits_of_scaled,
    predict_logits,
)
from expressionist.network.backbones import Backbone, build_backbone, randomise
from expressionist.network.cut import (
    Division,
    articulation_points,
    choose_strides,
    continue_from,
    divide,
    weighted_layers,
)
from expressionist.network.head import attach_head, centre_head
from expressionist.network.layers import Centre, Log2, Paint, Ranks, Rescale
from expressionist.painting.layout import Layout

N_GENES, N_TYPES, SHAPE = 30, 3, (5, 4)
DEPTHS = range(7)
WEIGHTED = [
    "late_pointwise",
    "late_separable",
    "branch",
    "down",
    "early_pointwise",
    "early_depthwise",
    "stem",
]


@pytest.fixture
def backbone():
    return toy.make_backbone((10, 8))


@pytest.fixture
def pixels():
    return np.random.default_rng(0).normal(size=(3, 10, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def layout():
    return toy.make_layout(N_GENES, SHAPE)


@pytest.fixture(scope="module")
def scale():
    return toy.make_scale(N_GENES)


def run(model, arrays):
    """What a model gives, by name or as a list."""
    found = model(arrays, training=False)
    if isinstance(found, dict):
        return {name: array.numpy() for name, array in found.items()}
    return [array.numpy() for array in keras.tree.flatten(found)]


def run_tail(division, frozen, **kwargs):
    return division.tail([frozen[name] for name in division.read], **kwargs)


def find_maps(division, pixels):
    """The maps that prefix and tail compute together."""
    found = run(division.prefix, pixels)
    if division.tail:
        found |= {name: each.numpy() for name, each in run_tail(division, found).items()}
    return [found[name] for name in division.maps]


def make_parts(depth=2, strides=(2, 4), *, average=False, genes=True, ranks=None):
    division = divide(toy.make_backbone((10, 8)), depth, strides, average=average)
    front = image_front(SHAPE, 2, "tf")
    shape = (*SHAPE, 1)
    model = attach_head(
        division,
        N_TYPES,
        dropout=0.5,
        seed=1,
        genes=shape if genes else None,
        gene_dropout=0.2,
        ranks=shape if ranks else None,
        n_hidden=7,
    )
    images = np.random.default_rng(3).random((6, *SHAPE, 1)).astype(np.float32)
    block = run(division.prefix, front(images)) | ({"genes": images} if genes else {})
    centre_head(model, [block | ({"ranks": ranks(images).numpy()} if ranks else {})])
    teach(model)
    return front, division, model


def draw_scaled(n_samples, *, seed):
    """Scaled expression with a gene that never varies, and one that hardly does."""
    scaled = np.random.default_rng(seed).random((n_samples, N_GENES)).astype(np.float32)
    scaled[:, 3], scaled[:, 4] = 0, 0.5 + scaled[:, 4] / 1000
    return scaled


def teach(model):
    """Give the classifier weights, as training would: it starts at zero."""
    for layer in model.layers:
        if layer.name in ("classifier", "rank_classifier"):
            shape = layer.kernel.shape
            layer.kernel.assign(np.random.default_rng(7).normal(0, shape[0] ** -0.5, shape))


def divide_nothing(*shapes, average=False):
    """A division in which nothing is left to compute, as at depth 0: maps a, b, ..."""
    names = tuple("abc"[: len(shapes)])
    inputs = {name: keras.Input(shape, name=name) for name, shape in zip(names, shapes, strict=True)}
    taken = dict(inputs)
    if average:
        taken = {name: keras.layers.GlobalAveragePooling2D()(each) for name, each in inputs.items()}
    averaged = names if average else ()
    return Division(keras.Model(inputs, taken), None, (), names, names, averaged, (), average)


# --- layers


def test_log2_is_what_the_stages_compute():
    counts = np.array([[0, 1e-6, 0.3, 1, 7, 541_000]], np.float32)
    np.testing.assert_allclose(Log2()(counts).numpy(), to_log2(counts, "RSEM"), rtol=1e-5, atol=1e-6)


def test_rescale_is_the_fitted_scale(scale):
    log2 = np.random.default_rng(0).normal(3, 4, (5, N_GENES)).astype(np.float32)
    rescale = Rescale(N_GENES)
    rescale.low.assign(scale.low)
    rescale.span.assign(scale.span)
    np.testing.assert_array_equal(rescale(log2).numpy(), scale.apply(log2))


@pytest.mark.parametrize(
    "make",
    [
        Log2,
        Ranks,
        lambda: Rescale(4),
        lambda: Paint(4, (2, 3)),
        lambda: image_front((2, 3), 2, "caffe").layers[-1],
    ],
)
def test_layers_are_rebuilt_from_their_config(make):
    layer = make()
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert [each.shape for each in again.weights] == [each.shape for each in layer.weights]


def test_layers_hold_nothing_that_trains(layout):
    held = (Rescale(4), Paint(4, (2, 3)), fit_ranks(layout, toy.make_scale(N_GENES)))
    assert not [each for layer in held for each in layer.trainable_variables]


def test_the_front_repeats_pixels_and_keeps_three_equal_channels():
    images = np.random.default_rng(0).random((2, 2, 3, 1)).astype(np.float32)
    shown = image_front((2, 3), 3, "tf")(images).numpy()
    assert shown.shape == (2, 6, 9, 3)
    expected = np.repeat(np.repeat(images, 3, axis=1), 3, axis=2) * 2 - 1
    np.testing.assert_allclose(shown, np.repeat(expected, 3, axis=-1), atol=1e-6)
    assert image_front((2, 3), 1, "tf").output.shape == (None, 2, 3, 3)


@pytest.mark.parametrize(
    ("shape", "magnify", "side", "least", "expected"),
    [
        ((27, 27), 0, 96, 32, 4),
        ((72, 72), 0, 96, 71, 1),
        ((67, 67), 0, 96, 32, 2),
        ((68, 68), 0, 96, 32, 1),
        ((68, 68), 0, 96, 71, 2),
        ((102, 102), 0, 96, 71, 1),
        ((96, 200), 0, 96, 32, 1),
        ((200, 50), 0, 96, 32, 2),
        ((102, 102), 0, 1, 71, 1),
        ((10, 10), 0, 32, 71, 8),
        ((10, 10), 3, 96, 71, 3),
    ],
)
def test_magnification_comes_nearest_to_the_side_above_the_backbones_least(
    shape, magnify, side, least, expected
):
    row = Backbone("X", "tf", least, "", 1, ())
    found = choose_magnification(shape, magnify, side, row)
    assert found == expected
    if not magnify:
        able = [each for each in range(1, 200) if each * min(shape) >= least]
        assert found == min(able, key=lambda each: abs(np.log(each * min(shape) / side)))


# --- random weights


def test_random_kernels_follow_hes_rule_whatever_keras_calls_them():
    model = toy.make_backbone((8, 8))
    wide = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(128, 3),
            keras.layers.DepthwiseConv2D(3, depth_multiplier=2),
            keras.layers.SeparableConv2D(64, 3),
            # An assembled network holds its backbone as a nested model.
            keras.Sequential([keras.Input((2, 2, 64)), keras.layers.DepthwiseConv2D(2)]),
            keras.layers.Flatten(),
            keras.layers.Dense(50),
        ]
    )
    fans = [27, 9, 9, 256, 4, 64]
    for network in (model, wide):
        randomise(network, 3)
    kernels = [each.numpy() for each in wide.weights if "kernel" in each.name]
    assert len(kernels) == len(fans)
    for kernel, fan in zip(kernels, fans, strict=True):
        bound = np.sqrt(6 / fan)
        assert 0.8 * bound < np.abs(kernel).max() <= bound
        assert abs(kernel.mean()) < 0.2 * bound


def test_randomise_resets_the_rest_but_keeps_what_was_fitted_to_expression(layout, scale):
    ranks = fit_ranks(layout, scale)
    front, division, model = make_parts(ranks=ranks)
    network = assemble(layout, scale, "RSEM", front, division.prefix, model, ranks)
    before = {each.path: each.numpy() for each in network.weights}
    randomise(network, 1)
    fitted = ("low", "span", "pixel", "share", "mean", "spread", "mask", "temperature")
    reset = {"bias": 0, "beta": 0, "gamma": 1, "moving_mean": 0, "moving_variance": 1}
    names = set()
    for variable in network.weights:
        name = variable.name
        names.add(name)
        if name in fitted:
            np.testing.assert_array_equal(variable, before[variable.path])
        elif name in reset:
            np.testing.assert_array_equal(variable, np.full(variable.shape, reset[name]))
        else:
            assert not np.isclose(variable.numpy(), before[variable.path]).any()
    assert names >= {*fitted, *reset, "kernel"}


def test_a_backbone_of_too_small_images_is_refused():
    with pytest.raises(ParamsError, match="Images for mobilenet must be at least 32 pixels.*but got 64 x 31"):
        build_backbone("mobilenet", (64, 31), None, seed=0)


# --- where it can be cut


def _is_bottleneck(backbone, place):
    """Whether no path from the input to the output goes round a layer: walk all of them, without it."""
    removed, seen, waiting = backbone.layers[place], set(), [backbone.layers[0]]
    if removed in (backbone.layers[0], backbone.layers[-1]):
        return True
    inside = set(backbone.layers)
    while waiting:
        layer = waiting.pop()
        for node in layer._outbound_nodes:
            reader = node.operation
            if reader in inside and reader is not removed and reader not in seen:
                seen.add(reader)
                waiting.append(reader)
    return backbone.layers[-1] not in seen


@pytest.mark.parametrize("build", [toy.make_backbone, lambda: make_ladder(2), lambda: make_ladder(5)])
def test_articulation_points_are_those_that_no_path_goes_round(build):
    backbone = build()
    expected = [place for place in range(len(backbone.layers)) if _is_bottleneck(backbone, place)]
    assert 2 < len(expected) < len(backbone.layers)
    assert articulation_points(backbone) == expected


def make_ladder(span):
    """Every layer is also added to one that comes `span` layers later, as in a densely connected network."""
    x = inputs = keras.Input((4, 4, 2))
    line = [x]
    for place in range(8):
        x = keras.layers.Conv2D(2, 1)(x)
        if 3 <= place < 6:
            x = keras.layers.Add()([x, line[max(0, len(line) - span)]])
        line.append(x)
    return keras.Model(inputs, x)


def test_a_residual_sum_whose_shortcut_crosses_is_no_place_to_cut(backbone):
    names = [backbone.layers[place].name for place in articulation_points(backbone)]
    assert {"stem_relu", "early_add", "down_relu", "concat", "late_add", "out"} <= set(names)
    assert not {"early_depthwise", "early_relu", "branch", "late_separable", "late_pointwise"} & set(names)


@pytest.mark.parametrize("depth", [1, 4])
def test_training_what_no_map_depends_on_is_refused(backbone, depth):
    """The map of stride 2 is finished before any of these four layers begins."""
    with pytest.raises(ParamsError, match=f"must lie before a map.*but got depth {depth}"):
        divide(backbone, depth, (2,))


@pytest.mark.parametrize(
    ("depth", "strides"),
    [*product(DEPTHS, [(4,), (2, 4), (4, 2, 4)]), *product((0, 5, 6), [(2,)])],
)
def test_dividing_changes_nothing_that_is_computed(backbone, pixels, depth, strides):
    names = [layer.name for layer in backbone.layers]
    wanted = [
        backbone.get_layer(name).output
        for stride, name in ((2, "early_add"), (4, "out"))
        if stride in strides
    ]
    expected = run(keras.Model(backbone.input, wanted), pixels)
    division = divide(backbone, depth, strides)
    maps = find_maps(division, pixels)
    assert len(maps) == len(expected)
    for part, whole in zip(maps, expected, strict=True):
        np.testing.assert_allclose(part, whole, rtol=1e-5, atol=1e-5 * np.abs(whole).max())
    assert division.unfrozen == tuple(WEIGHTED[:depth])
    assert all(names.index(name) > names.index(division.kept[-1]) for name in division.unfrozen)


# Worked out by hand: the last layer before all that trains that nothing bypasses; and what is frozen behind
# it, where a layer with a kernel lies between.
@pytest.mark.parametrize(
    ("depth", "cut", "frozen"),
    [
        (0, "out", ["early_add", "out"]),
        (1, "concat", ["early_add", "concat", "late_relu"]),
        (2, "concat", ["early_add", "concat"]),
        (3, "down_relu", ["early_add", "down_relu"]),
        (4, "early_add", ["early_add"]),
        (5, "stem_relu", ["stem_relu", "early_relu"]),
        (7, "pixels", ["pixels"]),
    ],
)
def test_the_cut_is_as_late_as_it_can_be(backbone, depth, cut, frozen):
    division = divide(backbone, depth, (2, 4))
    assert division.kept[-1] == cut
    assert list(division.prefix.output) == frozen
    for name, tensor in division.prefix.output.items():
        assert tensor is backbone.get_layer(name).output
    assert set(frozen) == set(division.read) | (set(division.maps) & set(frozen))
    taken = division.tail.inputs if division.tail else []
    assert [each.shape for each in taken] == [backbone.get_layer(name).output.shape for name in division.read]


def test_an_earlier_map_needs_nothing_of_what_comes_behind_it(backbone):
    division = divide(backbone, 0, (2,))
    assert division.kept[-1] == "early_add"
    assert "down" not in {layer.name for layer in division.prefix.layers}


@pytest.mark.parametrize("depth", DEPTHS)
def test_only_so_many_layers_train_and_batch_normalisations_stay_in_inference_mode(backbone, pixels, depth):
    division = divide(backbone, depth, (2, 4))
    expected = {
        id(each) for name in WEIGHTED[:depth] for each in backbone.get_layer(name).trainable_variables
    }
    trained = division.tail.trainable_variables if division.tail else []
    assert {id(each) for each in trained} == expected
    assert not division.prefix.trainable_variables
    before = [each.numpy() for each in backbone.non_trainable_variables]
    kept = run(division.prefix, pixels)
    if division.tail:
        training, inference = (run_tail(division, kept, training=each) for each in (True, False))
        for name in training:
            np.testing.assert_array_equal(training[name], inference[name])
    for each, value in zip(backbone.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(each, value)


def test_dividing_again_forgets_the_earlier_depth(backbone):
    divide(backbone, 5, (4,))
    assert len(divide(backbone, 1, (4,)).tail.trainable_variables) == 2


@pytest.mark.parametrize("depth", [-1, 8])
def test_a_depth_beyond_the_backbone_is_refused(backbone, depth):
    with pytest.raises(ParamsError, match=f"must be 0 to 7, but got {depth}"):
        divide(backbone, depth, (4,))


@pytest.mark.parametrize("strides", [(), (8,), (2, 3)])
def test_a_map_that_the_backbone_lacks_is_refused_with_those_it_has(backbone, strides):
    with pytest.raises(ParamsError, match="which has 1, 2, 4, but got"):
        divide(backbone, 1, strides)


@pytest.mark.parametrize(
    ("side", "magnify", "most", "expected"),
    [
        (64, 4, 10_000, (4, 8, 32)),  # 16 x 16 genes, as many places at stride 4
        (64, 8, 10_000, (8, 32)),  # 8 x 8 genes: stride 4 has four places for each
        (64, 1, 10_000, (4, 8, 32)),
        (64, 1, 8_000, (8, 32)),  # 16 x 16 x 32 features at stride 4
        (64, 16, 10_000, (32,)),
    ],
)
def test_the_head_looks_at_maps_that_tell_genes_apart_and_at_the_last(
    monkeypatch, side, magnify, most, expected
):
    monkeypatch.setattr(cut, "_MOST_FEATURES", most)
    assert choose_strides(build_backbone("mobilenet", (side, side), None, seed=1), magnify) == expected


def test_a_map_is_not_looked_at_twice(backbone):
    assert choose_strides(backbone, 1) == (4,)


def test_weighted_layers_count_from_the_head(backbone):
    assert [layer.name for layer in weighted_layers(backbone)] == WEIGHTED


# --- the head


@pytest.mark.parametrize("genes", [True, False])
@pytest.mark.parametrize(("average", "n_features"), [(False, 5 * 4 * 6 + 3 * 2 * 12), (True, 6 + 12)])
def test_a_head_sees_every_place_or_only_their_mean(average, n_features, genes):
    _, _, model = make_parts(average=average, genes=genes)
    n_inputs = n_features + genes * SHAPE[0] * SHAPE[1]
    assert model.get_layer("classifier").kernel.shape == (n_inputs, N_TYPES)
    assert model.output["classifier"].shape == (None, N_TYPES)


def test_only_a_head_that_keeps_places_tells_where_a_feature_is():
    features = np.random.default_rng(0).normal(size=(1, 3, 3, 2)).astype(np.float32)
    for average in (False, True):
        division = divide_nothing((3, 3, 2), average=average)
        model = attach_head(division, N_TYPES, dropout=0, seed=1)
        teach(model)
        (here, moved) = (
            run(model, run(division.prefix, {"a": each}))["classifier"]
            for each in (features, features[:, ::-1])
        )
        assert np.allclose(here, moved, atol=1e-5) == average


def test_an_untrained_classifier_prefers_no_type_and_its_dropout_comes_from_the_seed():
    division = divide_nothing((3, 3, 2))
    features = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype(np.float32)
    dropped = []
    for seed in (1, 1, 2):
        model = attach_head(division, N_TYPES, dropout=0.5, seed=seed)
        np.testing.assert_array_equal(run(model, {"a": features})["classifier"], np.zeros((2, N_TYPES)))
        teach(model)
        dropped.append(model({"a": features}, training=True)["classifier"].numpy())
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert not np.array_equal(dropped[0], dropped[2])


@pytest.mark.parametrize("sizes", [[7], [3, 4], [1, 5, 1]])
def test_centring_takes_mean_and_spread_over_all_rows_whatever_the_blocks(sizes):
    model = attach_head(divide_nothing((2, 3, 4)), N_TYPES, dropout=0.5, seed=0)
    rows = np.random.default_rng(0).normal(5, 3, (7, 2, 3, 4)).astype(np.float32)
    centre_head(model, [{"a": block} for block in np.split(rows, np.cumsum(sizes)[:-1])])
    (centre,) = [layer for layer in model.layers if isinstance(layer, Centre)]
    flat = rows.reshape(7, -1).astype(np.float64)
    np.testing.assert_allclose(centre.mean, flat.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(centre.spread, np.sqrt(flat.var(axis=0).mean()), rtol=1e-5)
    centred = centre(flat.astype(np.float32)).numpy()
    np.testing.assert_allclose(centred.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.square(centred).mean(), 1, rtol=1e-4)


def test_maps_of_very_different_size_count_alike_once_centred():
    shapes = ((2, 2, 3), (1, 1, 5))
    model = attach_head(divide_nothing(*shapes), N_TYPES, dropout=0, seed=0)
    rng = np.random.default_rng(0)
    parts = [
        rng.normal(0, size, (20, *shape)).astype(np.float32)
        for size, shape in zip((1e-4, 1e5), shapes, strict=True)
    ]
    centre_head(model, [dict(zip("ab", parts, strict=True))])
    centres = [layer for layer in model.layers if isinstance(layer, Centre)]
    spreads = [
        np.square(layer(part.reshape(20, -1)).numpy()).mean()
        for layer, part in zip(centres, parts, strict=True)
    ]
    np.testing.assert_allclose(spreads, 1, rtol=1e-3)


def test_features_that_never_vary_do_not_make_nan():
    model = attach_head(divide_nothing((1, 1, 2), average=True), 2, dropout=0, seed=0)
    rows = np.full((3, 2), 7, np.float32)
    centre_head(model, [{"a": rows}])
    np.testing.assert_array_equal(run(model, {"a": rows})["classifier"], np.zeros((3, 2)))


def test_genes_are_standardised_one_by_one_but_for_those_that_hardly_vary():
    model = make_parts()[2]
    (centre,) = [layer for layer in model.layers if isinstance(layer, Centre) and layer.each]
    centre.fit(np.arange(20.0), np.r_[np.full(18, 4.0), 0.0, 1e-9])
    common = np.sqrt(18 * 4 / 20)
    np.testing.assert_allclose(centre.spread, np.r_[np.full(18, 2.0), [0.2 * common] * 2], rtol=1e-5)
    centred = centre(np.arange(20.0, dtype=np.float32)[np.newaxis] + 2)
    np.testing.assert_allclose(centred, 2 / centre.spread[np.newaxis], rtol=1e-5)


# --- ranks


def rank_slowly(ranks, image, layout):
    """Rank gene by gene: shares of curves at the knots, and straight lines between."""
    low, span = ranks.low.numpy().ravel(), ranks.span.numpy().ravel()
    painted = np.flatnonzero(layout.overlap.ravel() > 0)
    values = (image.ravel() * span + low)[painted].astype(np.float64)
    least, most = low.min(), (low + span).max()
    knots = np.linspace(least, most, 24)
    less = [(1 / (1 + np.exp(-1.702 * (knot - values) / (knots[1] - knots[0])))).mean() for knot in knots]
    found = np.zeros(image.size)
    found[painted] = np.interp(values, knots, less)
    return found.reshape(image.shape)


def test_ranks_are_those_of_their_slow_definition(layout, scale):
    images = layout.paint(draw_scaled(5, seed=4) * 1.2 - 0.1)
    ranks = fit_ranks(layout, scale)
    found = ranks(images).numpy()
    for image, ours in zip(images, found, strict=True):
        np.testing.assert_allclose(ours, rank_slowly(ranks, image, layout), atol=2e-6)
    assert (layout.overlap == 0).any(), "a pixel without a gene belongs to the test"
    assert (found[:, layout.overlap == 0] == 0).all()


def test_ranks_say_the_order_of_expression_not_of_scaled_values(layout, scale):
    images = layout.paint(draw_scaled(4, seed=6))
    ranks, painted = fit_ranks(layout, scale), layout.overlap.ravel() > 0
    log2 = np.asarray(images * ranks.span + ranks.low).reshape(4, -1)[:, painted]
    found = ranks(images).numpy().reshape(4, -1)[:, painted]
    for one, other in zip(log2, found, strict=True):
        assert (np.diff(other[np.argsort(one)]) > -1e-6).all()
    assert 0 < found.min() < found.max() < 1


# --- the whole


@pytest.mark.parametrize("unit", ["RSEM", LOG2_UNIT, AS_IS_UNIT])
@pytest.mark.parametrize(("depth", "second"), [(0, False), (3, False), (3, True)])
def test_the_assembled_network_is_its_parts_one_after_the_other(layout, scale, unit, depth, second):
    ranks = fit_ranks(layout, scale) if second else None
    front, division, model = make_parts(depth, ranks=ranks)
    network = assemble(layout, scale, unit, front, division.prefix, model, ranks)
    expression = np.random.default_rng(1).gamma(1, 3, (5, N_GENES)).astype(np.float32)
    images = layout.paint(scale.apply(to_log2(expression, unit)))
    given = run(division.prefix, run(front, images)[0]) | {"genes": images}
    given |= {"ranks": run(ranks, images)[0]} if second else {}
    logits = np.mean(list(run(model, given).values()), axis=0, dtype=float)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = network.predict_on_batch(expression)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert found.std(axis=0).max() > 1e-3, "all samples look the same: the comparison would prove nothing"


@pytest.mark.parametrize(
    ("strides", "genes", "second", "average"),
    [
        ((4,), False, False, False),
        ((4,), True, False, True),
        ((2, 4), True, True, False),
        ((2, 4), False, True, True),
    ],
)
def test_a_saved_network_answers_the_same_and_can_be_explained(
    layout, scale, tmp_path, strides, genes, second, average
):
    ranks = fit_ranks(layout, scale) if second else None
    front, division, model = make_parts(2, strides, genes=genes, ranks=ranks, average=average)
    network = assemble(layout, scale, "RSEM", front, division.prefix, model, ranks)
    expression = np.random.default_rng(1).gamma(1, 3, (5, N_GENES)).astype(np.float32)
    network.save(tmp_path / "model.keras")
    loaded = load_network(tmp_path / "model.keras", 1.7)
    network.get_layer("temperature").temperature.assign(1.7)
    np.testing.assert_array_equal(loaded.predict_on_batch(expression), network.predict_on_batch(expression))
    scaled = scale.apply(to_log2(expression, "RSEM"))
    logits = logits_of_scaled(loaded).predict_on_batch(scaled)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = raised / raised.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, network.predict_on_batch(expression), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_samples", [1, 64, 65, 130])
def test_logits_of_any_number_of_samples_are_those_of_the_network(layout, scale, n_samples):
    front, division, model = make_parts()
    network = assemble(layout, scale, "RSEM", front, division.prefix, model)
    expression = np.random.default_rng(1).gamma(1, 3, (200, N_GENES)).astype(np.float32)
    samples = np.random.default_rng(2).permutation(200)[:n_samples]
    scaled = scale.apply(to_log2(expression[samples], "RSEM"))
    expected = logits_of_scaled(network)(scaled)
    found = predict_logits(network, expression, samples)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_temperature_divides_the_logits_and_nothing_else(layout, scale):
    front, division, model = make_parts(2)
    network = assemble(layout, scale, "RSEM", front, division.prefix, model)
    expression = np.random.default_rng(1).gamma(1, 3, (5, N_GENES)).astype(np.float32)
    scaled = scale.apply(to_log2(expression, "RSEM"))
    before, sure = logits_of_scaled(network).predict_on_batch(scaled), network.predict_on_batch(expression)
    network.get_layer("temperature").temperature.assign(4.0)
    after, unsure = logits_of_scaled(network).predict_on_batch(scaled), network.predict_on_batch(expression)
    np.testing.assert_allclose(after, before / 4, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(sure.argmax(axis=1), unsure.argmax(axis=1))
    assert (unsure.max(axis=1) < sure.max(axis=1)).all()


def test_gene_order_is_the_layouts_business(layout, scale):
    """Genes shuffled together with their pixels and bounds give the same probabilities."""
    front, division, model = make_parts()
    order = np.random.default_rng(5).permutation(N_GENES)
    shuffled = Layout(layout.genes[order], layout.pixel[order], layout.shape, layout.method)
    other_scale = type(scale)(scale.low[order], scale.span[order])
    expression = np.random.default_rng(1).gamma(1, 3, (4, N_GENES)).astype(np.float32)
    one = assemble(layout, scale, "RSEM", front, division.prefix, model)
    other = assemble(shuffled, other_scale, "RSEM", front, division.prefix, model)
    np.testing.assert_allclose(
        one.predict_on_batch(expression), other.predict_on_batch(expression[:, order]), rtol=1e-4, atol=1e-6
    )
    assert not np.allclose(
        one.predict_on_batch(expression), one.predict_on_batch(expression[:, order]), atol=1e-3
    )


@pytest.mark.parametrize(("deep", "shallow"), [(6, 0), (6, 3), (4, 1)])
def test_later_activations_come_from_an_earlier_cuts(backbone, pixels, deep, shallow):
    earlier, later = (divide(backbone, depth, (2, 4)) for depth in (deep, shallow))
    between = continue_from(backbone, earlier.kept[-1:], list(later.prefix.output)[-1:])
    known = run(continue_from(backbone, None, earlier.kept[-1:]), pixels)
    expected = run(later.prefix, pixels)
    for name, ours in run(between, list(known.values())).items():
        np.testing.assert_allclose(ours, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("depth", range(1, 7))
def test_a_tail_computes_no_frozen_kernel_that_nothing_unfrozen_precedes(backbone, depth):
    """Written the slow way: whether a layer that trains is among a layer's ancestors, or is it."""
    division = divide(backbone, depth, (2, 4))
    moved, layers = set(), {id(layer.output): layer for layer in backbone.layers}
    for layer in backbone.layers[1:]:
        before = {layers[id(tensor)].name for tensor in keras.tree.flatten(layer.input)}
        if layer.name in division.unfrozen or before & moved:
            moved.add(layer.name)
    weighted = {layer.name for layer in division.tail.layers} & set(WEIGHTED)
    assert weighted == set(WEIGHTED) & moved


# --- maps that are averaged once


@pytest.mark.parametrize(
    ("depth", "averaged"),
    [
        (0, ("early_add", "out")),  # both maps are frozen activations
        (2, ("early_add",)),  # the later map is computed by the tail
        (3, ("early_add",)),
        (4, ()),  # the earlier map is the cut itself, and read by the tail
        (5, ()),  # nothing that the head looks at lies before the cut
    ],
)
def test_frozen_maps_are_averaged_before_the_first_epoch(backbone, pixels, depth, averaged):
    whole = run(divide(backbone, depth, (2, 4)).prefix, pixels)
    division = divide(backbone, depth, (2, 4), average=True)
    assert division.averaged == averaged
    for name, found in run(division.prefix, pixels).items():
        expected = whole[name].mean(axis=(1, 2)) if name in averaged else whole[name]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_head_that_keeps_places_has_nothing_to_average(backbone):
    assert divide(backbone, 0, (2, 4)).averaged == ()


# The painting inside the network against the one that draws the images, on awkward layouts.


few = settings(deadline=None)


@st.composite
def layouts(draw):
    """Oblong, one row, one column or one pixel; more genes than pixels or fewer; crowded anyhow."""
    shape = draw(st.one_of(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.just((1, 9)), st.just((9, 1))))
    alone = draw(st.booleans())
    n_pixels = shape[0] * shape[1]
    most = n_pixels if alone else 40
    pixel = draw(st.lists(st.integers(0, n_pixels - 1), min_size=1, max_size=most, unique=alone))
    return Layout(np.array([f"g{gene}" for gene in range(len(pixel))]), np.array(pixel), shape, "random")


def make_paint(layout):
    paint = Paint(len(layout.genes), layout.shape)
    paint.pixel.assign(layout.pixel.astype(np.int32))
    paint.share.assign(layout.share[:, None])
    return paint


def paint_slowly(layout, scaled):
    height, width = layout.shape
    images = np.zeros((len(scaled), height, width, 1))
    for sample in range(len(scaled)):
        for row in range(height):
            for column in range(width):
                here = [
                    gene for gene, pixel in enumerate(layout.pixel) if divmod(pixel, width) == (row, column)
                ]
                if here:
                    images[sample, row, column, 0] = sum(float(scaled[sample, gene]) for gene in here) / len(
                        here
                    )
    return images


def draw_normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@few
@given(layouts(), st.integers(1, 4), st.integers(0, 99))
def test_painting_in_the_network_equals_the_layouts_and_its_slow_definition(layout, n_samples, seed):
    scaled = draw_normal(seed, n_samples, len(layout.genes))
    images = make_paint(layout)(scaled).numpy()
    assert images.shape == (n_samples, *layout.shape, 1)
    np.testing.assert_allclose(images, layout.paint(scaled), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(images, paint_slowly(layout, scaled), rtol=1e-5, atol=1e-5)


@few
@given(layouts(), st.integers(0, 5), st.integers(1, 4), st.integers(0, 99))
def test_painting_to_disk_equals_painting_in_the_network(tmp_path_factory, layout, n_samples, n_rows, seed):
    n_genes, path = len(layout.genes), tmp_path_factory.getbasetemp() / "images.npy"
    expression = draw_normal(seed, n_samples, n_genes)
    scale = Scale(draw_normal(seed + 1, n_genes), np.exp(draw_normal(seed + 2, n_genes)))
    rows = (expression[start : start + n_rows] for start in range(0, n_samples, n_rows))
    blocks = (layout.paint(scale.apply(block)) for block in rows)
    write_array(path, blocks, (n_samples, *layout.shape, 1))

    rescale = Rescale(n_genes)
    rescale.low.assign(scale.low)
    rescale.span.assign(scale.span)
    images = read_array(path)
    np.testing.assert_allclose(images, make_paint(layout)(rescale(expression)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(images, paint_slowly(layout, scale.apply(expression)), rtol=1e-5, atol=1e-5)
    assert not images[:, layout.overlap == 0].any()


@few
@given(layouts(), st.integers(0, 99))
def test_the_gradient_of_painting_is_its_adjoint(layout, seed):
    """<paint(x), y> = <x, gradient>, and every gene gets its pixel's value by its share of the pixel."""
    scaled, images = draw_normal(seed, 2, len(layout.genes)), draw_normal(seed + 1, 2, *layout.shape, 1)
    points = tf.constant(scaled)
    with tf.GradientTape() as tape:
        tape.watch(points)
        product = tf.reduce_sum(make_paint(layout)(points) * images)
    gradient = tape.gradient(product, points).numpy()
    np.testing.assert_allclose((gradient * scaled).sum(), product, rtol=1e-3, atol=1e-3)
    flat, overlap = images.reshape(2, -1), layout.overlap.ravel()
    np.testing.assert_allclose(gradient, flat[:, layout.pixel] / overlap[layout.pixel], rtol=1e-5, atol=1e-6)
