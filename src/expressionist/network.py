"""The network: expression → picture → backbone → tumour type as one Keras graph."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from expressionist.backbones import Backbone
from expressionist.cohort import LINEAR_UNITS
from expressionist.cut import listed, rebuild_after
from expressionist.expression import Scale
from expressionist.layout import Layout


@keras.saving.register_keras_serializable("expressionist")
class Log2(keras.layers.Layer):
    """log2(x + 1) of linear expression of shape (n_samples, n_genes)."""

    def call(self, expression: Any) -> Any:
        """Return the logarithm, of the same shape."""
        return ops.log2(expression + 1.0)


@keras.saving.register_keras_serializable("expressionist")
class Rescale(keras.layers.Layer):
    """(x - low) / span per gene, with the bounds that were fitted on training rows.

    Parameters
    ----------
    n_genes : int
        Number of genes; the bounds themselves are weights, so that they are saved with the model.
    """

    def __init__(self, n_genes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_genes = n_genes
        self.low = self.add_weight(shape=(n_genes,), initializer="zeros", trainable=False, name="low")
        self.span = self.add_weight(shape=(n_genes,), initializer="ones", trainable=False, name="span")

    def call(self, log2: Any) -> Any:
        """Return scaled expression, of the same shape."""
        return (log2 - self.low) / self.span

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {**super().get_config(), "n_genes": self.n_genes}


@keras.saving.register_keras_serializable("expressionist")
class Paint(keras.layers.Layer):
    """Draw samples: a pixel shows the mean of its genes, and 0 where there is none. Linear in every gene.

    Parameters
    ----------
    n_genes : int
        Number of genes; their pixels are weights, so that they are saved with the model.
    shape : tuple of int
        (height, width) in pixels.
    """

    def __init__(self, n_genes: int, shape: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_genes = n_genes
        self.shape = (int(shape[0]), int(shape[1]))
        n_pixels = self.shape[0] * self.shape[1]
        self.pixel = self.add_weight(
            shape=(n_genes,), initializer="zeros", dtype="int32", trainable=False, name="pixel"
        )
        self.share = self.add_weight(shape=(n_pixels, 1), initializer="ones", trainable=False, name="share")

    def call(self, scaled: Any) -> Any:
        """Return images of shape (n_samples, height, width, 1)."""
        summed = ops.segment_sum(ops.transpose(scaled), self.pixel, num_segments=self.share.shape[0])
        return ops.reshape(ops.transpose(summed * self.share), (-1, *self.shape, 1))

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {**super().get_config(), "n_genes": self.n_genes, "shape": self.shape}


@keras.saving.register_keras_serializable("expressionist")
class PixelScaling(keras.layers.Layer):
    """Turn grey pixels, 0 to 1, into the three channels that a backbone was pretrained on.

    Parameters
    ----------
    mode : str
        ``tf``, ``torch`` or ``caffe``, as in `keras.applications.imagenet_utils.preprocess_input`.
    """

    def __init__(self, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, images: Any) -> Any:
        """Return images of shape (n_samples, height, width, 3)."""
        colour = ops.repeat(images * 255.0, 3, axis=-1)
        return keras.applications.imagenet_utils.preprocess_input(
            colour, data_format="channels_last", mode=self.mode
        )

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable("expressionist")
class Centre(keras.layers.Layer):
    """Subtract every activation's mean and divide by one spread, both taken over training rows.

    Maps of different depth (and of backbones with random weights) differ by orders of magnitude. One spread
    for the whole map, rather than one per activation, does not blow up the activations that are almost always
    zero.
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False, name="mean")
        self.spread = self.add_weight(shape=(), initializer="ones", trainable=False, name="spread")

    def call(self, features: Any) -> Any:
        """Return centred features, of the same shape."""
        return (features - self.mean) / self.spread


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


def attach_head(tail: keras.Model, n_types: int, *, head: str, dropout: float, seed: int) -> keras.Model:
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
        Share of features dropped while training.
    seed : int
        Seed of the classifier's initial weights and of the dropout.

    Returns
    -------
    keras.Model
        Frozen activations → logits of shape (n_samples, n_types).
    """
    inputs = [
        keras.Input(tensor.shape[1:], name=f"activation_{place}") for place, tensor in enumerate(tail.inputs)
    ]
    maps = tail(inputs)
    flatten = keras.layers.Flatten if head == "places" else keras.layers.GlobalAveragePooling2D
    parts = [Centre(name=f"centre_{place}")(flatten()(each)) for place, each in enumerate(listed(maps))]
    features = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    features = keras.layers.Dropout(dropout, seed=seed)(features)
    initial = keras.initializers.GlorotUniform(seed=seed)
    logits = keras.layers.Dense(n_types, kernel_initializer=initial, name="classifier")(features)
    return keras.Model(inputs, logits, name="tail_and_head")


def centre_head(model: keras.Model, blocks: Iterable[Sequence[np.ndarray]]) -> None:
    """Fit the head's centring on the activations of training rows.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it.
    blocks : iterable of sequence of numpy.ndarray
        The model's inputs for the training rows, block of rows by block of rows. Read once.
    """
    layers = [layer for layer in model.layers if isinstance(layer, Centre)]
    features, _ = split_head(model)
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
        spread = np.sqrt(np.maximum(square / n_samples - mean**2, 0).mean())
        layer.mean.assign(mean)
        layer.spread.assign(spread if spread > 0 else 1.0)


def split_head(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Split a tail with its head where the head's features are flat or pooled, before they are centred.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it.

    Returns
    -------
    features : keras.Model
        Frozen activations → list of features, one per map.
    head : keras.Model
        Those features → logits, sharing all layers with `model`.
    """
    pools = (keras.layers.Flatten, keras.layers.GlobalAveragePooling2D)
    flat = [place for place, layer in enumerate(model.layers) if isinstance(layer, pools)]
    features = keras.Model(model.inputs, [model.layers[place].output for place in flat])
    head = rebuild_after(model, max(flat), flat, [len(model.layers) - 1])
    return features, keras.Model(head.inputs, listed(head.output)[0])


def image_front(shape: tuple[int, int], magnify: int, mode: str) -> keras.Model:
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

    Returns
    -------
    keras.Model
        (n_samples, height, width, 1) in [0, 1] → (n_samples, height · magnify, width · magnify, 3).
    """
    images = keras.Input((*shape, 1), name="image")
    magnified = keras.layers.UpSampling2D(magnify, interpolation="nearest")(images) if magnify > 1 else images
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
        Frozen activations → logits.

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
    logits = trained(listed(prefix(front(paint(rescale(log2))))))
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
        Scaled expression of shape (n_samples, n_genes) → logits of shape (n_samples, n_types), sharing all
        layers.
    """
    scaled = keras.Input(network.input_shape[1:], name="scaled")
    front, prefix, trained = (network.get_layer(name) for name in ("front", "prefix", "tail_and_head"))
    return keras.Model(scaled, trained(listed(prefix(front(network.get_layer("paint")(scaled))))))
