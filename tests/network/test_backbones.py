import hashlib
import re
import socket
import warnings
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from expressionist.errors import ParamsError, WeightsError
from expressionist.network import backbones
from expressionist.network.assembly import fit_ranks
from expressionist.network.backbones import (
    BACKBONES,
    Weights,
    build_backbone,
    build_untrained,
    find_backbone,
    find_weights,
    randomise,
)
from expressionist.network.cut import divide, last_block_depth, weighted_layers
from expressionist.network.layers import PixelScaling
from expressionist.params import sections as params
from network.parts import find_maps, make_network, run

NAME = "mobilenet"
ROW = BACKBONES[NAME]
KERAS_ADDRESS = "keras.src.applications.mobilenet.BASE_WEIGHT_PATH"


@pytest.fixture
def keras_cache(tmp_path, monkeypatch):
    """An empty cache of Keras's; nothing of the user's own is read or written."""
    home = tmp_path / "keras"
    (home / "models").mkdir(parents=True)
    monkeypatch.setenv("KERAS_HOME", str(home))
    # Keras reads the variable only when it is imported.
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(home))
    backbones._download.cache_clear()
    yield home / "models"
    backbones._download.cache_clear()


@pytest.fixture
def offline(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setattr(KERAS_ADDRESS, f"http://127.0.0.1:{port}/")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """A weights file as Keras serves it, in its older format, of a network that was never trained."""
    path = tmp_path_factory.mktemp("served") / ROW.weights_files[0]
    model = build_untrained(NAME, (32, 32, 3))
    model.save(path)
    return path


def find(folder, *, source="imagenet", required=False, seed=4):
    return find_weights(NAME, source, folder, required=required, seed=seed)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_an_unknown_backbone_names_the_known_ones():
    with pytest.raises(ParamsError, match="xception, densenet169, resnet50, vgg19.*but got 'resnet51'"):
        find_backbone("resnet51")


@pytest.mark.usefixtures("offline")
def test_the_folder_comes_first_then_kerass_cache(folder, keras_cache):
    for n_there, place in enumerate((keras_cache, folder)):
        for file in reversed(ROW.weights_files):
            content = f"{n_there} {file}".encode()
            (place / file).write_bytes(content)
            # What was found before is still there: each new file is preferred to all earlier ones.
            assert find(folder, required=True) == (Weights("imagenet", file, sha256(content)), place / file)


def test_random_weights_are_taken_when_asked_for_whatever_lies_there(folder, keras_cache):
    for place in (folder, keras_cache):
        (place / ROW.weights_files[0]).write_bytes(b"weights")
    weights = Weights("random", "", "random-4")
    assert find(folder, source="random", required=True) == (weights, None)
    assert weights.random


@pytest.mark.usefixtures("offline")
def test_required_weights_that_cannot_be_had_are_refused_with_file_and_folder(folder, keras_cache):
    with pytest.raises(WeightsError) as refusal:
        find(folder, required=True)
    message = str(refusal.value)
    assert f"Put {ROW.weights_files[0]} into {folder}" in message
    assert str(keras_cache) in message
    assert "weights.required" in message
    assert re.match(rf"{NAME} must .+, but got .+\. Put .+\.$", message)


@pytest.mark.usefixtures("offline")
def test_weights_that_are_not_required_fall_back_to_random_ones_that_say_so(folder, keras_cache):
    assert find(folder, seed=9) == (Weights("random", "", "random-9"), None)
    # What Keras began to download must not be taken for weights next time.
    assert list(keras_cache.iterdir()) == []


def test_weights_are_downloaded_once_into_the_cache(folder, keras_cache, weights_file, monkeypatch, server):
    content = server.files[f"/{weights_file.name}"] = weights_file.read_bytes()
    monkeypatch.setattr(KERAS_ADDRESS, server.url("/"))
    found = [find(folder, required=True) for _ in range(2)]
    assert len(server.asked) == 1
    expected = Weights("imagenet", weights_file.name, sha256(content)), keras_cache / weights_file.name
    assert found == [expected, expected]
    assert not found[0][0].random
    assert found[0][1].read_bytes() == content
    assert list(folder.iterdir()) == []


def test_keras_cache_is_below_home_without_its_variable(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".keras" / "models" / ROW.weights_files[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert find(folder, required=True)[1] == path


def test_without_a_home_the_cache_is_where_keras_has_it(monkeypatch):
    """As Keras in a container whose user has none: its own answer is made on import."""
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert backbones._keras_cache() == Path("/tmp/.keras/models")


def test_both_formats_of_weights_files_are_loaded(weights_file, folder):
    model = keras.saving.load_model(weights_file, compile=False)
    newer = folder / ROW.weights_files[1]
    model.save_weights(newer)
    for path in (weights_file, newer):
        loaded = build_backbone(NAME, (32, 64), path, seed=0)
        for got, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_a_file_that_does_not_hold_the_weights_is_refused(tmp_path):
    torn = tmp_path / ROW.weights_files[0]
    torn.write_bytes(b"half a download")
    with pytest.raises(WeightsError, match=f"{torn} must hold the weights of mobilenet.*Fetch it again"):
        build_backbone("mobilenet", (32, 32), torn, seed=1)


# What every row of the table of backbones must do; new rows are picked up by themselves.


# The strides of params.yaml: every backbone must have these maps.
STRIDES = (8, 32)


@pytest.fixture(scope="module", params=BACKBONES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def row(name):
    return find_backbone(name)


@cache
def build(name):
    """Inference differs from training mode, which untouched statistics would hide."""
    side = find_backbone(name).smallest_side
    built, rng = build_backbone(name, (side, side), None, seed=3), np.random.default_rng(1)
    for layer in built.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))
    return built


@pytest.fixture
def backbone(name):
    return build(name)


@pytest.fixture(scope="module")
def pixels(row):
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (2, row.smallest_side, row.smallest_side, 3)).astype(np.float32)


def test_its_constructor_refuses_what_is_smaller_and_so_do_we(name, row):
    side = row.smallest_side - 1
    with pytest.raises(ValueError, match="at least"):
        build_untrained(name, (side, side, 3))
    for given in ((side, 72), (72, side)):
        message = f"Images for {name} must be at least {side + 1} pixels.*but got {given[0]} x {given[1]}"
        with pytest.raises(ParamsError, match=message):
            build_backbone(name, given, None, seed=0)


def test_its_first_weights_file_is_the_one_that_keras_asks_for(name, row, monkeypatch):
    def get_file(fname, *args, **kwargs):
        raise LookupError(fname)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    warnings.simplefilter("ignore")  # pytest restores the filters after every test
    with pytest.raises(LookupError, match=f"^{re.escape(row.weights_files[0])}$"):
        build_untrained(name, (row.smallest_side, row.smallest_side, 3), weights="imagenet")


def test_its_pixel_scaling_is_its_familys_own(row):
    families = [
        family
        for family in vars(keras.applications).values()
        if hasattr(family, row.constructor) and hasattr(family, "preprocess_input")
    ]
    grey = np.random.default_rng(0).random((2, 5, 4, 1)).astype(np.float32)
    scaled = PixelScaling(row.mode)(grey).numpy()
    assert families
    for family in families:
        # A copy: Keras scales NumPy arrays in place.
        expected = family.preprocess_input(np.repeat(grey * 255, 3, axis=-1).copy())
        np.testing.assert_allclose(scaled, expected, rtol=1e-6, atol=1e-4)


def test_its_last_block_is_one_run_of_layers_next_to_the_head(name, row, backbone):
    matches = [Path(layer.name).match(row.last_block + "*") for layer in weighted_layers(backbone)]
    depth = last_block_depth(name, backbone)
    assert 0 < depth < len(matches)
    assert matches == [True] * depth + [False] * (len(matches) - depth)


def test_its_layers_are_as_many_as_keras_builds(row, backbone):
    """Params are checked by the table, without Keras: it refuses what cannot be cut, and nothing else."""
    assert row.n_layers == len(weighted_layers(backbone))
    assert len(divide(backbone, row.n_layers, STRIDES).unfrozen) == row.n_layers
    with pytest.raises(ParamsError, match=f"must be 0 to {row.n_layers}, but got"):
        divide(backbone, row.n_layers + 1, STRIDES)


def test_it_has_a_map_of_every_stride_that_params_may_name(backbone):
    tensors = divide(backbone, 0, params.STRIDES).prefix.output.values()
    ratios = [backbone.input.shape[1] / tensor.shape[1] for tensor in tensors]
    assert [2 ** round(np.log2(ratio)) for ratio in ratios] == list(params.STRIDES)


def test_every_depth_cuts_it_without_changing_what_it_computes(name, backbone, pixels):
    """And what trains is exactly so many layers, counted from the head, all of them behind the cut."""
    names = [layer.name for layer in backbone.layers]
    layers = weighted_layers(backbone)
    # At depth 0 nothing is computed behind the cut, so the prefix ends in the maps themselves.
    assert divide(backbone, 0, STRIDES).tail is None
    maps = divide(backbone, 0, STRIDES).prefix.output
    assert list(maps.values())[-1] is backbone.output
    maps = run(keras.Model(backbone.input, list(maps.values())), pixels)
    for depth in range(last_block_depth(name, backbone) + 1):
        division = divide(backbone, depth, STRIDES)
        unfrozen = [layer.name for layer in layers[:depth]]
        assert division.unfrozen == tuple(unfrozen)
        assert all(names.index(each) > names.index(division.kept[-1]) for each in unfrozen)
        assert not {layer.name for layer in division.prefix.layers} & set(unfrozen)
        # In training mode: batch normalisations must stay in inference mode even then.
        for part, whole in zip(find_maps(division, pixels, training=True), maps, strict=True):
            scale = np.abs(whole).max()
            assert scale > 0
            np.testing.assert_allclose(part / scale, whole / scale, rtol=0, atol=1e-5)
        expected = {id(variable) for layer in layers[:depth] for variable in layer.weights}
        trained = division.tail.trainable_variables if division.tail else []
        assert {id(variable) for variable in trained} == expected
        assert not division.prefix.trainable_variables


def test_random_weights_come_from_the_seed_alone_and_keep_the_signal_alive(row, backbone, pixels):
    drawn = []
    for seed in (7, 8, 7):
        randomise(backbone, seed)
        drawn.append(backbone.get_weights())
    one, other, again = drawn
    for variable, kernel, different, same in zip(backbone.weights, one, other, again, strict=True):
        np.testing.assert_array_equal(kernel, same)
        assert "kernel" not in variable.name or not np.array_equal(kernel, different)
    maps = backbone(pixels, training=False).numpy()
    # He's rule keeps the size of activations within reach of 1; without it they fall to 1e-14 in mobilenet.
    assert 1e-3 < maps.std() < 1e6
    assert np.abs(maps[0] - maps[1]).max() > 1e-2 * maps.std()


# Which layers are in the last blocks, and how many parameters each has, worked out by hand from the papers'
# channels.
@pytest.mark.parametrize(
    ("known", "expected"),
    {
        "xception": {"block14_sepconv2": 9 * 1536 + 1536 * 2048, "block14_sepconv1": 9 * 1024 + 1024 * 1536},
        "densenet169": {"conv5_block32_2_conv": 9 * 128 * 32, "conv5_block32_1_conv": (640 + 31 * 32) * 128},
        "resnet50": {
            "conv5_block3_3_conv": 512 * 2048 + 2048,
            "conv5_block3_2_conv": 9 * 512 * 512 + 512,
            "conv5_block3_1_conv": 2048 * 512 + 512,
        },
        "vgg19": {f"block5_conv{number}": 9 * 512 * 512 + 512 for number in (4, 3, 2, 1)},
        "mobilenet": {"conv_pw_13": 256 * 256, "conv_dw_13": 9 * 256},
    }.items(),
)
def test_the_last_blocks_are_those_that_people_know(known, expected):
    backbone = build(known)
    depth = last_block_depth(known, backbone)
    assert depth == len(expected)
    for unfrozen in range(1, depth + 1):
        division = divide(backbone, unfrozen, STRIDES)
        assert division.unfrozen == tuple(expected)[:unfrozen]
        n_parameters = sum(np.prod(variable.shape) for variable in division.tail.trainable_variables)
        assert n_parameters == sum(list(expected.values())[:unfrozen])


def test_random_kernels_follow_hes_rule_whatever_keras_calls_them():
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
    randomise(wide, 3)
    kernels = [each.numpy() for each in wide.weights if "kernel" in each.name]
    assert len(kernels) == len(fans)
    for kernel, fan in zip(kernels, fans, strict=True):
        bound = np.sqrt(6 / fan)
        assert 0.8 * bound < np.abs(kernel).max() <= bound
        assert abs(kernel.mean()) < 0.2 * bound


def test_randomise_resets_the_rest_but_keeps_what_was_fitted_to_expression(layout, scale):
    network = make_network(layout, scale, ranks=fit_ranks(layout, scale))
    before = {each.path: each.numpy() for each in network.weights}
    randomise(network, 1)
    fitted = ("low", "span", "pixel", "share", "mean", "spread", "mask", "temperature", "shares")
    reset = {"bias": 0, "beta": 0, "gamma": 1, "gain": 1, "moving_mean": 0, "moving_variance": 1}
    for variable in network.weights:
        name = variable.name
        if name in fitted:
            np.testing.assert_array_equal(variable, before[variable.path])
        elif name in reset:
            np.testing.assert_array_equal(variable, np.full(variable.shape, reset[name]))
        else:
            assert not np.isclose(variable.numpy(), before[variable.path]).any()
    assert {variable.name for variable in network.weights} >= {*fitted, *reset, "kernel"}
