"""The head: classifiers on a tail's maps, on the genes beside them and on their ranks."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from expressionist.network.cut import rebuild_after
from expressionist.network.layers import Centre
from expressionist.network.tracing import listed, trace_prediction

# Names of the layers of the head that train.
CLASSIFIER, RANK_LAYERS = "classifier", ("hidden", "rank_classifier")
_HIDDEN_DROPOUT = 0.5


def attach_head(
    tail: keras.Model,
    n_types: int,
    *,
    head: str,
    dropout: float,
    seed: int,
    genes: tuple[int, ...] | None = None,
    gene_dropout: float = 0.0,
    ranks: tuple[int, ...] | None = None,
    n_hidden: int = 0,
) -> keras.Model:
    """Put the classifier on a tail, and beside it, where ranks are given, one of its own for them.

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
        Share of genes dropped on that path, and of ranks.
    ranks : tuple of int, optional
        Shape of the genes' ranks within their sample, if a second classifier is to see them, through one
        hidden layer. Each classifier is trained for itself; the network's logits are the mean of both.
    n_hidden : int
        Units of that layer.

    Returns
    -------
    keras.Model
        Painted images if `genes` are given, ranks if these are, and frozen activations → logits of shape
        (n_samples, n_types), or a list of them where there are two classifiers.
    """
    activations = [
        keras.Input(tensor.shape[1:], name=f"activation_{place}") for place, tensor in enumerate(tail.inputs)
    ]
    beside = []
    maps = _call_tail(tail, activations)
    flatten = keras.layers.Flatten if head == "places" else keras.layers.GlobalAveragePooling2D
    parts = [Centre(name=f"centre_{place}")(flatten()(each)) for place, each in enumerate(maps)]
    features = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    features = keras.layers.Dropout(dropout, seed=seed)(features)
    if genes is not None:
        beside.append(keras.Input(genes, name="genes"))
        wide = Centre(each=True, name="centre_genes")(keras.layers.Flatten()(beside[-1]))
        wide = keras.layers.Dropout(gene_dropout, seed=seed)(wide)
        features = keras.layers.Concatenate()([wide, features])
    logits = [keras.layers.Dense(n_types, kernel_initializer="zeros", name=CLASSIFIER)(features)]
    if ranks is not None:
        beside.append(keras.Input(ranks, name="ranks"))
        logits.append(_classify_ranks(beside[-1], n_types, n_hidden, gene_dropout, seed))
    outputs = logits if len(logits) > 1 else logits[0]
    return keras.Model([*beside, *activations], outputs, name="tail_and_head")


def _classify_ranks(ranks: Any, n_types: int, n_hidden: int, dropout: float, seed: int) -> Any:
    standardised = Centre(each=True, name="centre_ranks")(keras.layers.Flatten()(ranks))
    kept = keras.layers.Dropout(dropout, seed=seed)(standardised)
    initial = keras.initializers.GlorotUniform(seed)
    first, second = RANK_LAYERS
    hidden = keras.layers.Dense(n_hidden, "relu", kernel_initializer=initial, name=first)(kept)
    hidden = keras.layers.Dropout(_HIDDEN_DROPOUT, seed=seed)(hidden)
    return keras.layers.Dense(n_types, kernel_initializer="zeros", name=second)(hidden)


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
    predict = trace_prediction(features)
    layers = [layer for layer in head.layers if isinstance(layer, Centre)]
    sums = [np.zeros(layer.mean.shape, np.float64) for layer in layers]
    squares = [np.zeros(layer.mean.shape, np.float64) for layer in layers]
    n_samples = 0
    for block in blocks:
        n_samples += len(block[0])
        for place, part in enumerate(predict(list(block))):
            values = part.numpy()
            sums[place] += values.sum(axis=0, dtype=np.float64)
            squares[place] += np.square(values, dtype=np.float64).sum(axis=0)
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
    return features, _rebuild_head(model, flat)


def _rebuild_head(model: keras.Model, known: Sequence[int]) -> keras.Model:
    classifiers = [model.layers.index(tensor._keras_history.operation) for tensor in model.outputs]
    head = rebuild_after(model, known, classifiers)
    return head if len(classifiers) > 1 else keras.Model(head.inputs, listed(head.output)[0])


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
    return list(pooling), _rebuild_head(model, known)
