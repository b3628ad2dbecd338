"""The head: classifiers on a tail's maps, on the genes themselves and on their ranks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from expressionist.network.cut import Division
from expressionist.network.layers import Centre
from expressionist.network.tracing import trace_prediction

# Names of the layers of the head that train, and of the one that is fitted before.
CLASSIFIER, RANK_LAYERS, LINEAR = "classifier", ("hidden", "rank_classifier"), "linear_classifier"
_HIDDEN_DROPOUT = 0.5


def attach_head(
    division: Division | None,
    n_types: int,
    *,
    dropout: float,
    seed: int,
    genes: tuple[int, ...] | None = None,
    gene_dropout: float = 0.0,
    ranks: tuple[int, ...] | None = None,
    n_hidden: int = 0,
) -> keras.Model:
    """Put a classifier on a divided backbone, and one each on genes and on ranks next to it.

    Each is trained for itself; the network's logits are their sum, by shares (`layers.Sum`).

    Parameters
    ----------
    division : Division, optional
        Where the head averages maps, they are averaged; else it flattens them, so that the classifier knows
        in which place, hence in which genes, a feature was. None leaves the image out.
    n_types : int
        Number of tumour types.
    dropout : float
        Share of a map's features dropped while training.
    seed : int
        Seed of the dropout. The classifier starts at zero: what random weights it began with in directions
        that training samples do not vary in would stay there, and be noise in every logit.
    genes : tuple of int, optional
        Shape of the painted images, if a classifier is to see the genes as they are, beside the deep one
        (Cheng et al. 2016, arXiv:1606.07792). It does not train: `set_linear` gives it its weights.
    gene_dropout : float
        Share of ranks dropped.
    ranks : tuple of int, optional
        Shape of the genes' ranks within their sample, if a classifier is to see them, through one hidden
        layer.
    n_hidden : int
        Units of that layer.

    Returns
    -------
    keras.Model
        Dict of the frozen activations, of ``genes`` (painted images) and ``ranks`` if they are asked for →
        dict of logits of shape (n_samples, n_types), one per classifier.
    """
    inputs: dict[str, Any] = {}
    logits: dict[str, Any] = {}
    if division is not None:
        taken = division.prefix.output.items()
        inputs |= {name: keras.Input(each.shape[1:], name=name) for name, each in taken}
        features = keras.layers.Dropout(dropout, seed=seed)(_flatten_maps(division, inputs))
        logits[CLASSIFIER] = keras.layers.Dense(n_types, kernel_initializer="zeros", name=CLASSIFIER)(
            features
        )
    if genes is not None:
        inputs["genes"] = keras.Input(genes, name="genes")
        wide = Centre(each=True, name="centre_genes")(keras.layers.Flatten()(inputs["genes"]))
        fitted = keras.layers.Dense(n_types, kernel_initializer="zeros", trainable=False, name=LINEAR)
        logits[LINEAR] = fitted(wide)
    if ranks is not None:
        inputs["ranks"] = keras.Input(ranks, name="ranks")
        ranked = _classify_ranks(inputs["ranks"], n_types, n_hidden, gene_dropout, seed)
        logits[RANK_LAYERS[-1]] = ranked
    return keras.Model(inputs, logits, name="tail_and_head")


def _flatten_maps(division: Division, given: Mapping[str, Any]) -> Any:
    """Go from frozen activations to the centred features of all maps that the head looks at."""
    maps = dict(given)
    if division.tail is not None:
        maps |= division.tail([given[name] for name in division.read])
    flatten = keras.layers.GlobalAveragePooling2D if division.average else keras.layers.Flatten
    flat = [maps[name] if name in division.averaged else flatten()(maps[name]) for name in division.maps]
    parts = [Centre(name=f"centre_{place}")(each) for place, each in enumerate(flat)]
    return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def average_heads(members: Sequence[keras.Model], name: str) -> keras.Model:
    """Join trainings of the same head into one that gives the mean of their logits, by classifier.

    Parameters
    ----------
    members : sequence of keras.Model
        As `attach_head` gives them, at least two, none of whose layers is another's.
    name : str
        Of what they are joined to.

    Returns
    -------
    keras.Model
        Takes and gives what each of them does.
    """
    inputs = {name: keras.Input(each.shape[1:], name=name) for name, each in members[0].input.items()}
    given = [member(inputs) for member in members]
    logits = {name: keras.layers.Average()([each[name] for each in given]) for name in given[0]}
    return keras.Model(inputs, logits, name=name)


def set_linear(model: keras.Model, weights: np.ndarray, intercepts: np.ndarray) -> None:
    """Give a centred head the linear classifier of its genes.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it, with genes, after `centre_head`.
    weights : numpy.ndarray of shape (n_pixels, n_types)
        Of the painted values as they are.
    intercepts : numpy.ndarray of shape (n_types,)
        Of the same.
    """
    mean, spread = (each.numpy() for each in model.get_layer("centre_genes").weights)
    model.get_layer(LINEAR).set_weights([weights * spread[:, None], intercepts + mean @ weights])


def _classify_ranks(ranks: Any, n_types: int, n_hidden: int, dropout: float, seed: int) -> Any:
    standardised = Centre(each=True, name="centre_ranks")(keras.layers.Flatten()(ranks))
    kept = keras.layers.Dropout(dropout, seed=seed)(standardised)
    initial = keras.initializers.GlorotUniform(seed)
    first, second = RANK_LAYERS
    hidden = keras.layers.Dense(n_hidden, "relu", kernel_initializer=initial, name=first)(kept)
    hidden = keras.layers.Dropout(_HIDDEN_DROPOUT, seed=seed)(hidden)
    return keras.layers.Dense(n_types, kernel_initializer="zeros", name=second)(hidden)


def centre_head(model: keras.Model, blocks: Iterable[Mapping[str, np.ndarray]]) -> None:
    """Fit the head's centring on the activations of training rows.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it.
    blocks : iterable of mapping
        The model's inputs for the training rows, block of rows by block of rows. Read once.
    """
    layers = [layer for layer in model.layers if isinstance(layer, Centre)]
    predict = trace_prediction(keras.Model(model.input, {layer.name: layer.input for layer in layers}))
    sums, squares = ({layer.name: np.zeros(layer.mean.shape) for layer in layers} for _ in range(2))
    n_samples = 0
    for block in blocks:
        for name, part in predict(block).items():
            values = part.numpy()
            sums[name] += values.sum(axis=0, dtype=np.float64)
            squares[name] += np.square(values, dtype=np.float64).sum(axis=0)
        n_samples += len(values)
    for layer in layers:
        mean = sums[layer.name] / n_samples
        layer.fit(mean, np.maximum(squares[layer.name] / n_samples - mean**2, 0))
