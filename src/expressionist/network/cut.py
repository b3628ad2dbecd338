"""The cut: where a backbone is divided into what stays frozen and what trains."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from expressionist.errors import ParamsError
from expressionist.network.backbones import find_backbone, list_layers

_WEIGHTED = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)
# Finer maps have more places than genes, coarser ones tell them no longer apart: docs/experiments.md.
_FINE_STRIDES = {4, 8}
# A classifier of 33 types on as many features has 4 million weights, about what an epoch on a CPU can bear.
_MOST_FEATURES = 131_072


@dataclass(frozen=True)
class Division:
    """A backbone cut in two; every activation goes by the name of the layer that it is the output of.

    Parameters
    ----------
    prefix : keras.Model
        Images of shape (n_samples, height, width, 3) → dict of the frozen activations.
    tail : keras.Model or None
        List of those that it reads → dict of the maps that train; None where no map does.
    read : tuple of str
        What the tail reads.
    maps : tuple of str
        What the head looks at, from the finest to the coarsest.
    kept : tuple of str
        The maps before the cut, and the cut, at whose output the prefix ends.
    averaged : tuple of str
        Frozen maps of which only the average over places is asked; the prefix takes it.
    unfrozen : tuple of str
        The weighted layers that train, from the head down; one per depth.
    average : bool
        Whether the head averages all maps over places.
    """

    prefix: keras.Model
    tail: keras.Model | None
    read: tuple[str, ...]
    maps: tuple[str, ...]
    kept: tuple[str, ...]
    averaged: tuple[str, ...]
    unfrozen: tuple[str, ...]
    average: bool


def weighted_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """List the layers with a kernel from the last to the first: of a backbone, or of a whole network.

    Those of a backbone count for the fine-tune depth.
    """
    return [layer for layer in reversed([*list_layers(model)]) if isinstance(layer, _WEIGHTED)]


def last_block_depth(name: str, backbone: keras.Model) -> int:
    """Return how many weighted layers the last block has: the greatest depth that stays inside it."""
    pattern = find_backbone(name).last_block + "*"
    return [Path(layer.name).match(pattern) for layer in weighted_layers(backbone)].index(False)


def articulation_points(backbone: keras.Model) -> list[int]:
    """List the positions of layers through which every path from the input to the output goes, in order."""
    position = {id(layer.output): place for place, layer in enumerate(backbone.layers)}
    last_reader = list(range(len(backbone.layers)))
    for place, layer in enumerate(backbone.layers[1:], 1):
        for tensor in keras.tree.flatten(layer.input):
            last_reader[position[id(tensor)]] = place
    # The layers stand in topological order, so nothing bypasses one whose predecessors' last reader it is.
    reach = np.maximum.accumulate([0, *last_reader[:-1]])
    return [place for place in range(len(backbone.layers)) if reach[place] <= place]


def _last_maps(backbone: keras.Model, points: list[int]) -> dict[int, int]:
    """Return the position of the last map of every stride; one that only pads the map before it is none."""
    last, stride, edge = dict[int, int](), 1, backbone.input.shape[1]
    for place in points:
        if not isinstance(backbone.layers[place], keras.layers.ZeroPadding2D):
            # Step by step, as what is lost at edges adds up: five halvings may leave 2 pixels of 92.
            before, edge = edge, backbone.layers[place].output.shape[1]
            stride *= 2 ** round(np.log2(before / edge))
            last[stride] = place
    return last


def choose_strides(backbone: keras.Model, magnify: int) -> tuple[int, ...]:
    """Choose the maps that a head looks at: fine ones, which tell genes apart, and the last, which can train.

    They are named by their strides: 4 and 8 where such a map has no more places than there are genes' pixels
    (squares of `magnify` pixels), nor too many features to train on; and the greatest.
    """
    last = _last_maps(backbone, articulation_points(backbone))
    n_pixels = np.prod(backbone.input.shape[1:3]) // magnify**2
    fine = []
    for stride in sorted(_FINE_STRIDES & set(last)):
        shape = backbone.layers[last[stride]].output.shape[1:]
        if np.prod(shape[:2]) <= n_pixels and np.prod(shape) <= _MOST_FEATURES:
            fine.append(stride)
    return (*(stride for stride in fine if stride < max(last)), max(last))


def _find_maps(backbone: keras.Model, points: list[int], strides: Sequence[int]) -> list[int]:
    last = _last_maps(backbone, points)
    unknown = [stride for stride in strides if stride not in last]
    if unknown or not strides:
        raise ParamsError(
            f"network.strides must name maps of the backbone, which has {', '.join(map(str, last))}, but got "
            f"{list(strides)}. Choose among these."
        )
    return sorted(last[stride] for stride in set(strides))


def divide(backbone: keras.Model, depth: int, strides: Sequence[int], *, average: bool = False) -> Division:
    """Cut a backbone in two at the last place before everything that trains.

    Parameters
    ----------
    backbone : keras.Model
        As `build_backbone` gives it. Its layers are shared by both parts, and their ``trainable`` is set
        here: the `depth` weighted layers nearest to the head train, all others and every batch normalisation
        do not.
    depth : int
        Fine-tune depth; 0 trains the head only.
    strides : sequence of int
        Maps that the head looks at, each the last of those that are so many times smaller than the image.
    average : bool
        Whether the head averages maps over places.

    Returns
    -------
    Division
        Prefix and tail, which together compute the maps of the whole backbone.

    Raises
    ------
    ParamsError
        If the backbone has fewer weighted layers than `depth`, no map of such a stride, or if the head looks
        at nothing that the unfrozen layers change.
    """
    weighted = weighted_layers(backbone)
    if not 0 <= depth <= len(weighted):
        raise ParamsError(
            f"Fine-tune depth must be 0 to {len(weighted)}, but got {depth}. Choose a smaller one."
        )
    unfrozen = weighted[:depth]
    for layer in backbone.layers:
        layer.trainable = layer in unfrozen
    points = articulation_points(backbone)
    maps = _find_maps(backbone, points, strides)
    # With depth 0 nothing is computed after the deepest map, so the cut is that map.
    first = min((backbone.layers.index(layer) for layer in unfrozen), default=max(maps) + 1)
    if unfrozen and first > max(maps):
        raise ParamsError(
            f"Layers that train must lie before a map that the head looks at, but got depth {depth} with "
            f"network.strides {list(strides)}. Add a larger stride, or search depth 0 only."
        )
    cut = max(place for place in points if place < first)
    read = _find_read(backbone, cut, max(maps), unfrozen) if unfrozen else set()
    frozen = {place for place in maps if place <= cut}
    averaged = frozen - read if average else set()

    def name(places: Iterable[int]) -> tuple[str, ...]:
        return tuple(backbone.layers[place].name for place in sorted(places))

    return Division(
        continue_from(backbone, None, name(frozen | read), average=name(averaged)),
        continue_from(backbone, name(read), name(set(maps) - frozen)) if unfrozen else None,
        read=name(read),
        maps=name(maps),
        kept=name({*frozen, cut}),
        averaged=name(averaged),
        unfrozen=tuple(layer.name for layer in unfrozen),
        average=average,
    )


def _find_read(
    backbone: keras.Model, cut: int, last: int, unfrozen: Sequence[keras.layers.Layer]
) -> set[int]:
    """Find what the tail reads: the cut, or later frozen outputs where that spares it a kernel."""
    spared, read = False, set[int]()
    fixed = {id(backbone.layers[cut].output): cut}
    for place, layer in enumerate(backbone.layers[cut + 1 : last + 1], cut + 1):
        given = [id(tensor) for tensor in keras.tree.flatten(layer.input)]
        if layer not in unfrozen and all(tensor in fixed for tensor in given):
            fixed[id(layer.output)] = place
            spared = spared or isinstance(layer, _WEIGHTED)
        else:
            read |= {fixed[tensor] for tensor in given if tensor in fixed}
    return read if spared else {cut}


def continue_from(
    backbone: keras.Model, known: Sequence[str] | None, wanted: Sequence[str], average: Sequence[str] = ()
) -> keras.Model:
    """Build the part of a model from the outputs of the `known` layers to those of the `wanted` ones.

    Every path to the wanted ones goes through the known ones; None stands for the images. Those in `average`
    are averaged over places. It takes a list, gives a dict by layer's name, and shares all layers.
    """
    found = {name: backbone.get_layer(name).output for name in wanted}
    found |= {name: keras.layers.GlobalAveragePooling2D()(found[name]) for name in average}
    given = backbone.input if known is None else [backbone.get_layer(name).output for name in known]
    return keras.Model(given, found, name="prefix" if known is None else "tail")
