"""The cut: where a backbone is divided into what stays frozen and what trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.errors import ParamsError
from expressionist.network.backbones import find_backbone
from expressionist.network.tracing import listed

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
class Cut:
    """Where a backbone is cut in two.

    Parameters
    ----------
    layer : str
        Name of the layer at whose output the prefix ends.
    position : int
        Position of that layer among the backbone's.
    kept : tuple of int
        Positions of the layers whose outputs are needed from there on: the cut, and the maps before it.
    frozen : tuple of int
        Positions of the layers whose outputs the tail takes, the frozen activations: those of `kept`, or
        later ones too, where a way runs around what trains, so that no cut can come later.
    """

    layer: str
    position: int
    kept: tuple[int, ...]
    frozen: tuple[int, ...]


@dataclass(frozen=True)
class Division:
    """A backbone cut in two, with what the head looks at.

    Parameters
    ----------
    prefix : keras.Model
        Images of shape (n_samples, height, width, 3) → frozen activations, a list of one or more arrays.
    tail : keras.Model
        Those activations → the maps that the head looks at.
    unfrozen : tuple of str
        Names of the weighted layers that train, from the head down; one name per depth.
    cut : Cut
        Where one ends and the other begins.
    """

    prefix: keras.Model
    tail: keras.Model
    unfrozen: tuple[str, ...]
    cut: Cut


def weighted_layers(backbone: keras.Model) -> list[keras.layers.Layer]:
    """List the layers that count for the fine-tune depth, from the head down: those with a kernel."""
    return [layer for layer in reversed(backbone.layers) if isinstance(layer, _WEIGHTED)]


def last_block_depth(name: str, backbone: keras.Model) -> int:
    """Return how many weighted layers the last block has: the greatest depth that stays inside it."""
    matches = [
        Path(layer.name).match(find_backbone(name).last_block + "*") for layer in weighted_layers(backbone)
    ]
    return matches.index(False)


def articulation_points(backbone: keras.Model) -> list[int]:
    """List the positions of layers through which every path from the input to the output goes.

    Parameters
    ----------
    backbone : keras.Model
        A functional model with one input and one output.

    Returns
    -------
    list of int
        Positions in ``backbone.layers``, from the input to the output.
    """
    position = {id(layer): place for place, layer in enumerate(backbone.layers)}
    # The layers stand in topological order, so nothing bypasses one whose predecessors' last reader it is.
    reach, points = 0, []
    for place, layer in enumerate(backbone.layers):
        if reach <= place:
            points.append(place)
        readers = [
            position[id(node.operation)] for node in layer._outbound_nodes if id(node.operation) in position
        ]
        reach = max([reach, *readers])
    return points


def _stride(backbone: keras.Model, place: int) -> int:
    ratio = backbone.input.shape[1] / backbone.layers[place].output.shape[1]
    return int(2 ** round(np.log2(ratio)))


def _last_maps(backbone: keras.Model, points: list[int]) -> dict[int, int]:
    """Return the position of the last map of every stride; one that only pads the map before it is none."""
    return {
        _stride(backbone, place): place
        for place in points
        if not isinstance(backbone.layers[place], keras.layers.ZeroPadding2D)
    }


def choose_strides(backbone: keras.Model, magnify: int) -> tuple[int, ...]:
    """Choose the maps that a head looks at: fine ones, which tell genes apart, and the last, which can train.

    Parameters
    ----------
    backbone : keras.Model
        As `build_backbone` gives it.
    magnify : int
        Edge of the square that a gene's pixel is drawn as.

    Returns
    -------
    tuple of int
        Their strides: 4 and 8 where such a map has no more places than there are genes' pixels, nor too many
        features to train on; and the greatest.
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


def divide(backbone: keras.Model, depth: int, strides: Sequence[int]) -> Division:
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

    Returns
    -------
    Division
        Prefix and tail; tail(prefix(images)) are the maps of the whole backbone.

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
    place = max(place for place in points if place < first)
    kept = sorted({each for each in maps if each < place} | ({place} if max(maps) >= place else set()))
    frozen = _advance(backbone, kept, max(maps), unfrozen)
    prefix = keras.Model(backbone.input, [backbone.layers[each].output for each in frozen], name="prefix")
    tail = rebuild_after(backbone, frozen, maps)
    names = tuple(layer.name for layer in unfrozen)
    return Division(prefix, tail, names, Cut(backbone.layers[place].name, place, tuple(kept), frozen))


def _advance(
    backbone: keras.Model, kept: Sequence[int], last: int, unfrozen: Sequence[keras.layers.Layer]
) -> tuple[int, ...]:
    """Go on from the cut to the last frozen outputs, where that spares the tail a layer with a kernel."""
    cut, spared = kept[-1], False
    fixed, read = {id(backbone.layers[cut].output): cut}, set[int]()
    for place, layer in enumerate(backbone.layers[cut + 1 : last + 1], cut + 1):
        given = [id(tensor) for tensor in listed(layer.input)]
        if layer not in unfrozen and all(tensor in fixed for tensor in given):
            fixed[id(layer.output)] = place
            spared = spared or isinstance(layer, _WEIGHTED)
        else:
            read |= {fixed[tensor] for tensor in given if tensor in fixed}
    return tuple(sorted({*kept[:-1], *read})) if spared else tuple(kept)


def rebuild_after(backbone: keras.Model, known: Sequence[int], wanted: Sequence[int]) -> keras.Model:
    """Call layers once more, on inputs that stand for the known outputs of layers before them.

    Parameters
    ----------
    backbone : keras.Model
        A functional model.
    known : sequence of int
        Positions of the layers whose outputs are given; every path to the wanted ones goes through them.
    wanted : sequence of int
        Positions of the layers whose outputs are wanted.

    Returns
    -------
    keras.Model
        Outputs of the known layers → list of the outputs wanted, sharing all layers.
    """
    layers = backbone.layers
    inputs = {place: keras.Input(_outputs(layers[place])[0].shape[1:]) for place in known}
    found = {id(_outputs(layers[place])[0]): tensor for place, tensor in inputs.items()}
    for place in _list_between(layers, known, wanted):
        layer = layers[place]
        given = [found[id(tensor)] for tensor in _inputs(layer)]
        made = listed(layer(given if len(given) > 1 else given[0]))
        found |= {id(tensor): again for tensor, again in zip(_outputs(layer), made, strict=True)}
    outputs = [found[id(_outputs(layers[place])[0])] for place in wanted]
    return keras.Model(list(inputs.values()), outputs, name="tail")


def _list_between(
    layers: Sequence[keras.layers.Layer], known: Sequence[int], wanted: Sequence[int]
) -> list[int]:
    """List the positions of the layers that the wanted outputs need beyond the known ones, in order."""
    position = {id(tensor): place for place, layer in enumerate(layers) for tensor in _outputs(layer)}
    needed, open_ends = set[int](), set(wanted)
    while open_ends := open_ends - needed - set(known):
        needed |= open_ends
        open_ends = {position[id(tensor)] for place in open_ends for tensor in _inputs(layers[place])}
    return sorted(needed)


def _inputs(layer: keras.layers.Layer) -> list[Any]:
    """List what a layer was first called on; a model that is a layer of another has inputs of its own too."""
    return list(layer._inbound_nodes[0].input_tensors)


def _outputs(layer: keras.layers.Layer) -> list[Any]:
    return list(layer._inbound_nodes[0].output_tensors)
