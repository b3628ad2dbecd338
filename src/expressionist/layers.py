"""The layers of ours that a network is made of, registered so that a saved model loads."""

from typing import Any

import keras
import numpy as np
from keras import ops

# Of a gene, as a share of the root mean square over all: keeps genes that hardly vary from being blown up.
_LEAST_SPREAD = 0.2


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
class Temperature(keras.layers.Layer):
    """logits / temperature: 1 until it is fitted on validation samples (`expressionist.calibration`)."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Create the weight, so that it is saved with the model."""
        self.temperature = self.add_weight(shape=(), initializer="ones", trainable=False, name="temperature")

    def call(self, logits: Any) -> Any:
        """Return tempered logits, of the same shape."""
        return logits / self.temperature
