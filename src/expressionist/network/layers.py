"""The layers of ours that a network is made of, registered so that a saved model loads."""

import hashlib
from typing import Any

import keras
import numpy as np
from keras import ops

# Of a gene, as a share of the root mean square over all: keeps genes that hardly vary from being blown up.
_LEAST_SPREAD = 0.2
# Of the curve by which a gene counts as expressed less: as a normal distribution's whose spread is one step.
_STEEPNESS = 1.702
# The most that a pixel is stretched, against the mean of all, and one over the most that it is shrunk.
_MOST_GAIN = 4.0


@keras.saving.register_keras_serializable("expressionist")
class Log2(keras.layers.Layer):
    """log2(x + 1) of linear expression of shape (n_samples, n_genes)."""

    def call(self, expression: Any) -> Any:
        """Return the logarithm, of the same shape."""
        return ops.log2(expression + 1.0)


@keras.saving.register_keras_serializable("expressionist")
class Rescale(keras.layers.Layer):
    """(x - low) / span per gene. The bounds, fitted on training rows, are weights: saved with the model."""

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

    The genes' pixels are weights, so that they are saved with the model; `shape` is (height, width).
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
class Ranks(keras.layers.Layer):
    """Where every gene stands among all of its sample: the share of genes that are expressed less, smoothly.

    Ranks within a sample do not change with its depth of sequencing, its unit, or anything else that moves
    all genes along one curve. Proper ranks are steps, whose gradient is 0, and Integrated Gradients through
    them would not be complete. Here a gene counts as less by a logistic curve, as wide as the knots lie
    apart, and shares are taken at the knots and read off between them on straight lines: that costs n_genes
    times n_knots instead of n_genes squared.

    Parameters
    ----------
    n_knots : int
        Values, evenly spaced over all that training samples have, at which shares are taken.
    """

    def __init__(self, n_knots: int = 24, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n_knots = n_knots

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weights; until they are fitted, every pixel holds a gene whose values are 0 to 1."""
        self.low = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False, name="low")
        self.span = self.add_weight(shape=shape[1:], initializer="ones", trainable=False, name="span")
        self.mask = self.add_weight(shape=shape[1:], initializer="ones", trainable=False, name="mask")

    def call(self, images: Any) -> Any:
        """Return ranks in [0, 1], of the shape of the images; pixels without a gene have 0."""
        mask, low = ops.ravel(self.mask), ops.min(self.low)
        reach = ops.max(self.low + self.span) - low
        step = reach / (self.n_knots - 1)
        # In steps from the first knot: the knots are 0, 1, 2, ...
        values = ops.reshape((images * self.span + self.low - low) / step, (-1, mask.shape[0]))
        knots = ops.arange(self.n_knots, dtype="float32")
        away = knots - ops.expand_dims(values, -1)
        less = ops.sum(ops.sigmoid(_STEEPNESS * away) * mask[:, None], axis=1) / ops.sum(mask)
        inside = ops.clip(values, 0.0, self.n_knots - 1.0)
        near = ops.relu(1.0 - ops.abs(knots - ops.expand_dims(inside, -1)))
        ranks = ops.einsum("npk,nk->np", near, less) * mask
        return ops.reshape(ranks, ops.shape(images))

    def fit(self, low: np.ndarray, span: np.ndarray, painted: np.ndarray) -> None:
        """Take the line that took every pixel's genes to [0, 1].

        Parameters
        ----------
        low, span : numpy.ndarray of shape (height, width, 1)
            Bounds of the scale, as painted.
        painted : numpy.ndarray of shape (height, width)
            Whether a pixel holds a gene.
        """
        if not self.built:
            self.build((None, *low.shape))
        mask = painted[..., np.newaxis]
        # What has no gene lies among those that have one, and so does not widen the range of the knots.
        self.low.assign(np.where(mask, low, low[mask].min()))
        self.span.assign(np.where(mask, span, 0.0))
        self.mask.assign(mask)

    def digest(self) -> str:
        """Digest what was fitted, as 64 hexadecimal digits."""
        return hashlib.sha256(b"".join(each.numpy().tobytes() for each in self.weights)).hexdigest()

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {**super().get_config(), "n_knots": self.n_knots}


@keras.saving.register_keras_serializable("expressionist")
class Gain(keras.layers.Layer):
    """Stretch every pixel about its mean: genes that tell tumour types apart vary more on the picture.

    Mean and gain, fitted on training rows, are weights: saved with the model. Linear in every pixel.
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weights; until they are fitted, images pass as they are."""
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False, name="mean")
        self.gain = self.add_weight(shape=shape[1:], initializer="ones", trainable=False, name="gain")

    def call(self, images: Any) -> Any:
        """Return stretched images, of the same shape."""
        return self.mean + self.gain * (images - self.mean)

    def fit(self, images: np.ndarray, weights: np.ndarray) -> None:
        """Stretch pixels by what a linear classifier reads them for, against the mean of all that vary.

        Parameters
        ----------
        images : numpy.ndarray of shape (n_samples, height, width, 1)
            Of training samples.
        weights : numpy.ndarray of shape (height * width, n_types)
            The classifier's. By how much a pixel's spread moves the logits, apart from what moves all
            alike, is what it is read for.
        """
        if not self.built:
            self.build(images.shape)
        apart = weights - weights.mean(axis=1, keepdims=True)
        read = np.linalg.norm(apart, axis=1).reshape(images.shape[1:]) * images.std(axis=0)
        # The spread of equal values may round to something above 0.
        varies = (images.min(axis=0) < images.max(axis=0)) & (read > 0).any()
        gain = np.clip(read / read.mean(where=varies), 1 / _MOST_GAIN, _MOST_GAIN) if varies.any() else 1.0
        self.mean.assign(images.mean(axis=0))
        self.gain.assign(np.where(varies, gain, 1.0))


@keras.saving.register_keras_serializable("expressionist")
class PixelScaling(keras.layers.Layer):
    """Turn grey pixels, 0 to 1, into the three channels that a backbone was pretrained on, copies of them.

    `mode` is ``tf``, ``torch`` or ``caffe``, as in `keras.applications.imagenet_utils.preprocess_input`.
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
    """Subtract every feature's mean and divide by a spread, both taken over training rows.

    Maps of different depth (and of backbones with random weights) differ by orders of magnitude. One spread
    for a whole map, rather than one per activation, does not blow up the activations that are almost always
    zero.

    Parameters
    ----------
    each : bool
        Whether every feature has a spread of its own, as genes do, which all vary.
    """

    def __init__(self, *, each: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.each = each

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        self.mean = self.add_weight(shape=shape[1:], initializer="zeros", trainable=False, name="mean")
        spread = shape[1:] if self.each else ()
        self.spread = self.add_weight(shape=spread, initializer="ones", trainable=False, name="spread")

    def call(self, features: Any) -> Any:
        """Return centred features, of the same shape."""
        return (features - self.mean) / self.spread

    def fit(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Take the features' mean and variance over training rows, both of shape (n_features,)."""
        common = np.sqrt(variance.mean())
        spread = np.maximum(np.sqrt(variance), _LEAST_SPREAD * common) if self.each else common
        self.mean.assign(mean)
        self.spread.assign(np.where(spread > 0, spread, 1.0))

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {**super().get_config(), "each": self.each}


@keras.saving.register_keras_serializable("expressionist")
class Sum(keras.layers.Layer):
    """The sum of classifiers' logits, each by its share: the mean, until shares are fitted."""

    def build(self, shapes: list[tuple[int | None, ...]]) -> None:
        """Create the weights, so that they are saved with the model."""
        equal = keras.initializers.Constant(1 / len(shapes))
        self.shares = self.add_weight(shape=(len(shapes),), initializer=equal, trainable=False, name="shares")

    def call(self, logits: list[Any]) -> Any:
        """Return logits, of the same shape as each."""
        return sum(self.shares[place] * each for place, each in enumerate(logits))


@keras.saving.register_keras_serializable("expressionist")
class Temperature(keras.layers.Layer):
    """logits / temperature: 1 until it is fitted on validation samples."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weight, so that it is saved with the model."""
        self.temperature = self.add_weight(shape=(), initializer="ones", trainable=False, name="temperature")

    def call(self, logits: Any) -> Any:
        """Return tempered logits, of the same shape."""
        return logits / self.temperature
