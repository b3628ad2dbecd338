"""What every row of the table of backbones must do; new rows are picked up by themselves."""

import warnings
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from expressionist import params
from expressionist.backbones import BACKBONES, build_backbone, build_untrained, find_backbone, randomise
from expressionist.cut import divide, last_block_depth, weighted_layers
from expressionist.errors import ParamsError
from expressionist.layers import PixelScaling

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
    side = find_backbone(name).smallest_side
    built = build_backbone(name, (side, side), None, seed=3)
    _disturb_normalisations(built)
    return built


@pytest.fixture
def backbone(name):
    return build(name)


@pytest.fixture(scope="module")
def pixels(row):
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (2, row.smallest_side, row.smallest_side, 3)).astype(np.float32)


def _disturb_normalisations(backbone):
    """Make inference differ from training mode, which untouched statistics would hide."""
    rng = np.random.default_rng(1)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 1.5, layer.moving_variance.shape))


def test_its_constructor_refuses_what_is_smaller_and_so_do_we(name, row):
    side = row.smallest_side - 1
    with pytest.raises(ValueError, match="at least"):
        build_untrained(name, (side, side, 3))
    with pytest.raises(ParamsError, match=f"at least {row.smallest_side} pixels"):
        build_backbone(name, (row.smallest_side, side), None, seed=0)


def test_its_first_weights_file_is_the_one_that_keras_asks_for(name, row, monkeypatch):
    class Asked(Exception):
        pass

    def get_file(fname, *args, **kwargs):
        raise Asked(fname)

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", get_file)
    warnings.simplefilter("ignore")  # pytest restores the filters after every test
    with pytest.raises(Asked) as asked:
        build_untrained(name, (row.smallest_side, row.smallest_side, 3), weights="imagenet")
    assert asked.value.args[0] == row.weights_files[0]


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
    depth_0 = divide(backbone, 0, params.STRIDES)
    ratios = [backbone.input.shape[1] / tensor.shape[1] for tensor in depth_0.prefix.outputs]
    assert [2 ** round(np.log2(ratio)) for ratio in ratios] == list(params.STRIDES)


def test_every_depth_cuts_it_without_changing_what_it_computes(name, backbone, pixels):
    """And what trains is exactly so many layers, counted from the head, all of them behind the cut."""
    names = [layer.name for layer in backbone.layers]
    layers = weighted_layers(backbone)
    maps = None
    for depth in range(last_block_depth(name, backbone) + 1):
        division = divide(backbone, depth, STRIDES)
        unfrozen = [layer.name for layer in layers[:depth]]
        assert division.unfrozen == tuple(unfrozen)
        assert names[division.cut.position] == division.cut.layer
        assert all(names.index(each) > division.cut.position for each in unfrozen)
        assert not {layer.name for layer in division.prefix.layers} & set(unfrozen)
        if maps is None:
            # At depth 0 nothing is computed behind the cut, so the prefix ends in the maps themselves.
            assert not division.tail.weights
            maps = _whole_maps(backbone, division, pixels)
        for part, whole in zip(_run(division, pixels), maps, strict=True):
            scale = np.abs(whole).max()
            assert scale > 0
            np.testing.assert_allclose(part / scale, whole / scale, rtol=0, atol=1e-5)
        expected = {id(variable) for layer in layers[:depth] for variable in layer.weights}
        assert {id(variable) for variable in division.tail.trainable_variables} == expected
        assert not division.prefix.trainable_variables


def _whole_maps(backbone, division, pixels):
    """The maps that the head looks at, from the uncut backbone; the deepest one is its output."""
    tensors = division.prefix.outputs
    assert tensors[-1] is backbone.output
    ratios = [backbone.input.shape[1] / tensor.shape[1] for tensor in tensors]
    assert [2 ** round(np.log2(ratio)) for ratio in ratios] == list(STRIDES)
    return [array.numpy() for array in keras.Model(backbone.input, tensors)(pixels, training=False)]


def _run(division, pixels):
    kept = division.prefix(pixels, training=False)
    # In training mode: batch normalisations must stay in inference mode even then.
    maps = division.tail(kept, training=True)
    return [array.numpy() for array in (maps if isinstance(maps, list | tuple) else [maps])]


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
        "xception": {
            "block14_sepconv2": 9 * 1536 + 1536 * 2048,
            "block14_sepconv1": 9 * 1024 + 1024 * 1536,
        },
        "densenet169": {
            "conv5_block32_2_conv": 9 * 128 * 32,
            "conv5_block32_1_conv": (640 + 31 * 32) * 128,
        },
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
