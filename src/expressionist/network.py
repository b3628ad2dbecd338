"""The network: expression → picture → backbone → tumour type as one Keras graph."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from expressionist.backbones import Backbone
from expressionist.cohort import LINEAR_UNITS
from expressionist.cut import listed, rebuild_after
from expressionist.expression import Scale
from expressionist.layers import Centre, Log2, Paint, PixelScaling, Rescale, Temperature, Views
from expressionist.layout import Layout


def choose_magnification(shape: tuple[int, int], magnify: int, smallest_side: int, backbone: Backbone) -> int:
    """Return the edge of the square that a pixel is drawn as.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the painted images.
    magnify : int
        As asked for; 0 chooses the least that gives both smallest sides.
    smallest_side : int
        Of the images that the backbone sees, in pixels.
    backbone : Backbone
        Which has a smallest side of its own.

    Examples
    --------
    >>> from expressionist.backbones import find_backbone
    >>> choose_magnification((27, 27), 0, 96, find_backbone("mobilenet"))
    4
    """
    return magnify or -(-max(smallest_side, backbone.smallest_side) // min(shape))


def attach_head(
    tail: keras.Model,
    n_types: int,
    *,
    head: str,
    dropout: float,
    seed: int,
    genes: tuple[int, ...] | None = None,
    gene_dropout: float = 0.0,
) -> keras.Model:
    """Put the classifier on a tail.

    Parameters
    ----------
    tail : keras.Model
        Frozen activations → maps.
    n_types : int
        Number of tumour types.
    head : str
        ``places`` flattens every map, so that the classifier knows where, hence in which genes, a feature
        was; ``pooled`` averages it away.
    dropout : float
        Share of a map's features dropped while training.
    seed : int
        Seed of the dropout. The classifier starts at zero: what random weights it began with in directions
        that training samples do not vary in would stay there, and be noise in every logit.
    genes : tuple of int, optional
        Shape of the painted images, if the classifier is also to see them as they are: a linear path beside
        the deep one (Cheng et al. 2016, arXiv:1606.07792).
    gene_dropout : float
        Share of genes dropped on that path.

    Returns
    -------
    keras.Model
        Painted images if `genes` are given, and frozen activations → logits of shape (n_samples, n_types).
    """
    inputs = [
        keras.Input(tensor.shape[1:], name=f"activation_{place}") for place, tensor in enumerate(tail.inputs)
    ]
    maps = _call_tail(tail, inputs)
    flatten = keras.layers.Flatten if head == "places" else keras.layers.GlobalAveragePooling2D
    parts = [Centre(name=f"centre_{place}")(flatten()(each)) for place, each in enumerate(maps)]
    features = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    features = keras.layers.Dropout(dropout, seed=seed)(features)
    if genes is not None:
        inputs = [keras.Input(genes, name="genes"), *inputs]
        wide = Centre(each=True, name="centre_genes")(keras.layers.Flatten()(inputs[0]))
        wide = keras.layers.Dropout(gene_dropout, seed=seed)(wide)
        features = keras.layers.Concatenate()([wide, features])
    logits = keras.layers.Dense(n_types, kernel_initializer="zeros", name="classifier")(features)
    return keras.Model(inputs, logits, name="tail_and_head")


def _call_tail(tail: keras.Model, inputs: Sequence[Any]) -> list[Any]:
    """Call a tail on what must be computed; maps that are frozen activations themselves pass by it."""
    given = {id(tensor): inputs[place] for place, tensor in enumerate(tail.inputs)}
    later = [tensor for tensor in tail.outputs if id(tensor) not in given]
    if later:
        read = [
            place
            for place, tensor in enumerate(tail.inputs)
            if tensor._keras_history.operation._outbound_nodes
        ]
        called = keras.Model([tail.inputs[place] for place in read], later, name=tail.name)
        maps = called([inputs[place] for place in read])
        given |= {id(tensor): found for tensor, found in zip(later, listed(maps), strict=True)}
    return [given[id(tensor)] for tensor in tail.outputs]


def centre_head(model: keras.Model, blocks: Iterable[Sequence[np.ndarray]]) -> None:
    """Fit the head's centring on the activations of training rows.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it.
    blocks : iterable of sequence of numpy.ndarray
        The model's inputs for the training rows, block of rows by block of rows. Read once.
    """
    features, head = split_head(model)
    layers = [layer for layer in head.layers if isinstance(layer, Centre)]
    sums = [np.zeros(layer.mean.shape, np.float64) for layer in layers]
    squares = [np.zeros(layer.mean.shape, np.float64) for layer in layers]
    n_samples = 0
    for block in blocks:
        n_samples += len(block[0])
        for place, part in enumerate(listed(features.predict_on_batch(list(block)))):
            sums[place] += part.sum(axis=0, dtype=np.float64)
            squares[place] += np.square(part, dtype=np.float64).sum(axis=0)
    for layer, total, square in zip(layers, sums, squares, strict=True):
        mean = total / n_samples
        layer.fit(mean, np.maximum(square / n_samples - mean**2, 0))


def split_head(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a tail with its head where the head's features are flat or pooled, before they are centred.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it.

    Returns
    -------
    features : keras.Model
        What `model` takes → list of features, one array per map, and one of the genes where they are given.
    head : keras.Model
        Those features → logits, sharing all layers with `model`.
    """
    pools = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D)
    flat = [place for place, layer in enumerate(model.layers) if isinstance(layer, pools)]
    features = keras.Model(model.inputs, [model.layers[place].output for place in flat])
    head = rebuild_after(model, flat, [len(model.layers) - 1])
    return features, keras.Model(head.inputs, listed(head.output)[0])


def pool_once(model: keras.Model) -> tuple[list[int], keras.Model]:
    """Find the frozen maps that the head averages and nothing else reads: once is enough for all epochs.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it.

    Returns
    -------
    pooled : list of int
        Positions of such maps among the model's inputs.
    rest : keras.Model
        The same inputs, those maps averaged over places → logits, sharing all layers with `model`.
    """
    readers = [
        [node.operation for node in tensor._keras_history.operation._outbound_nodes]
        for tensor in model.inputs
    ]
    pooling = {
        place: layers[0]
        for place, layers in enumerate(readers)
        if len(layers) == 1 and isinstance(layers[0], keras.layers.GlobalAveragePooling2D)
    }
    known = [
        model.layers.index(pooling.get(place, tensor._keras_history.operation))
        for place, tensor in enumerate(model.inputs)
    ]
    rest = rebuild_after(model, known, [len(model.layers) - 1])
    return list(pooling), keras.Model(rest.inputs, listed(rest.output)[0])


def image_front(shape: tuple[int, int], magnify: int, mode: str, views: Views | None = None) -> keras.Model:
    """Build the graph from painted images to the backbone's input.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the painted images.
    magnify : int
        Edge of the square that a pixel is drawn as; repeating pixels keeps their borders and invents no
        values.
    mode : str
        Pixel scaling of the backbone.
    views : Views, optional
        What the three channels show; without it, all three are the image.

    Returns
    -------
    keras.Model
        (n_samples, height, width, 1) in [0, 1] → (n_samples, height · magnify, width · magnify, 3).
    """
    images = keras.Input((*shape, 1), name="image")
    shown = images if views is None else views(images)
    magnified = keras.layers.UpSampling2D(magnify, interpolation="nearest")(shown) if magnify > 1 else shown
    return keras.Model(images, PixelScaling(mode)(magnified), name="front")


def assemble(
    layout: Layout, scale: Scale, unit: str, front: keras.Model, prefix: keras.Model, trained: keras.Model
) -> keras.Model:
    """Stitch all parts into the network that is evaluated, explained and registered.

    Parameters
    ----------
    layout : Layout
        Gene → pixel.
    scale : Scale
        Bounds per gene, fitted on training rows.
    unit : str
        Unit of the expression that the network will be given; the logarithm is taken of linear ones only.
    front, prefix : keras.Model
        Painted images → backbone's input → frozen activations.
    trained : keras.Model
        As `attach_head` gives it.

    Returns
    -------
    keras.Model
        Expression of shape (n_samples, n_genes), genes in the order of the layout → probabilities of shape
        (n_samples, n_types).
    """
    n_genes = len(layout.genes)
    rescale, paint = Rescale(n_genes, name="rescale"), Paint(n_genes, layout.shape, name="paint")
    rescale.low.assign(scale.low)
    rescale.span.assign(scale.span)
    paint.pixel.assign(layout.pixel.astype(np.int32))
    paint.share.assign(layout.share[:, None])
    # A fresh model of the same layers leaves the optimiser behind.
    trained = keras.Model(trained.inputs, trained.output, name=trained.name)
    expression = keras.Input((n_genes,), name="expression")
    log2 = Log2(name="log2")(expression) if unit in LINEAR_UNITS else expression
    logits = Temperature(name="temperature")(_classify(paint(rescale(log2)), front, prefix, trained))
    return keras.Model(expression, keras.layers.Softmax(name="probabilities")(logits), name="expressionist")


def logits_of_scaled(network: keras.Model) -> keras.Model:
    """Return the part of an assembled network that attributions go through.

    Parameters
    ----------
    network : keras.Model
        As `assemble` gives it.

    Returns
    -------
    keras.Model
        Scaled expression of shape (n_samples, n_genes) → logits of shape (n_samples, n_types) as the softmax
        gets them, divided by the temperature; all layers are shared.
    """
    scaled = keras.Input(network.input_shape[1:], name="scaled")
    parts = (network.get_layer(name) for name in ("front", "prefix", "tail_and_head"))
    logits = _classify(network.get_layer("paint")(scaled), *parts)
    return keras.Model(scaled, network.get_layer("temperature")(logits))


def _classify(painted: Any, front: keras.Model, prefix: keras.Model, trained: keras.Model) -> Any:
    """Go from painted images to logits; the head takes the images themselves first, if it asked for genes."""
    activations = listed(prefix(front(painted)))
    genes = [painted] * (len(trained.inputs) - len(activations))
    return trained([*genes, *activations])
