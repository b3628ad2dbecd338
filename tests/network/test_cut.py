"""Where a backbone is cut, and that cutting changes nothing that is computed."""

from itertools import product

import keras
import numpy as np
import pytest

import toy
from expressionist.errors import ParamsError
from expressionist.network import cut
from expressionist.network.backbones import build_backbone
from expressionist.network.cut import (
    articulation_points,
    choose_strides,
    continue_from,
    divide,
    weighted_layers,
)
from network.parts import DEPTHS, MAPS, WEIGHTED, find_maps, run, run_tail


def _is_bottleneck(backbone, place):
    """Whether no path from the input to the output goes round a layer: walk all of them, without it."""
    first, *others = backbone.layers
    removed, waiting, unseen = backbone.layers[place], [first], set(others) - {backbone.layers[place]}
    while waiting:
        readers = {node.operation for node in waiting.pop()._outbound_nodes} & unseen
        unseen -= readers
        waiting += readers
    return removed in (first, others[-1]) or others[-1] in unseen


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


@pytest.mark.parametrize(
    ("depth", "strides", "message"),
    [
        # The map of stride 2 is finished before any of these four layers begins.
        (1, (2,), "must lie before a map.*but got depth 1"),
        (4, (2,), "must lie before a map.*but got depth 4"),
        (-1, (4,), "must be 0 to 7, but got -1"),
        (8, (4,), "must be 0 to 7, but got 8"),
        *((1, strides, "which has 1, 2, 4, but got") for strides in ((), (8,), (2, 3))),
    ],
)
def test_what_the_backbone_cannot_be_divided_by_is_refused(backbone, depth, strides, message):
    with pytest.raises(ParamsError, match=message):
        divide(backbone, depth, strides)


@pytest.mark.parametrize(
    ("depth", "strides"), [*product(DEPTHS, [(4,), (2, 4), (4, 2, 4)]), *product((0, 5, 6), [(2,)])]
)
def test_dividing_changes_nothing_that_is_computed(backbone, pixels, depth, strides):
    names = [layer.name for layer in backbone.layers]
    wanted = [backbone.get_layer(MAPS[stride]).output for stride in sorted(set(strides))]
    expected = run(keras.Model(backbone.input, wanted), pixels)
    division = divide(backbone, depth, strides)
    for part, whole in zip(find_maps(division, pixels), expected, strict=True):
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


@pytest.mark.parametrize("name", ["mobilenet", "vgg19", "densenet169"])
def test_the_last_map_keeps_its_stride_where_edges_are_lost(name):
    """Five halvings leave 2 of 92 pixels, which is nearer to a 64th."""
    assert choose_strides(build_backbone(name, (92, 92), None, seed=1), 4)[-1] == 32


def test_a_map_is_not_looked_at_twice(backbone):
    assert choose_strides(backbone, 1) == (4,)


def test_weighted_layers_count_from_the_head(backbone):
    assert [layer.name for layer in weighted_layers(backbone)] == WEIGHTED


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
    keeping, division = (divide(backbone, depth, (2, 4), average=average) for average in (False, True))
    whole = run(keeping.prefix, pixels)
    assert keeping.averaged == ()
    assert division.averaged == averaged
    for name, found in run(division.prefix, pixels).items():
        expected = whole[name].mean(axis=(1, 2)) if name in averaged else whole[name]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
