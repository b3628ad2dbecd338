"""Convolutions of small maps as products of matrices: less to compute for a processor, the same numbers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from expressionist.network.backbones import list_layers

# Where the transforms below are taken; more of them would save more products, but round worse.
_POINTS = (0.0, 1.0, -1.0, 2.0)
# The transforms' cost grows with the fourth power of a map's edge; it pays with many channels only.
_LARGEST_MAP = 8
_FEWEST_CHANNELS = 128


@contextmanager
def quick_convolutions(model: keras.Model) -> Iterator[None]:
    """Let a model compute its convolutions of small maps as products of matrices while the block runs.

    Its plain convolutions (a kernel of 1 x 1, or of 3 x 3 that keeps the size of the map; stride 1) are
    changed in place, and changed back in the end. What is traced in the block keeps the quick way; what is
    saved or built afterwards knows nothing of it. Where there is a GPU, which has kernels of its own that do
    the same, nothing changes.
    """
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    layers = [layer for layer in list_layers(model) if _is_plain(layer) and not has_gpu]
    for layer in layers:
        layer.convolution_op = partial(_convolve, layer.convolution_op)
    try:
        yield
    finally:
        for layer in layers:
            # The class's own method is what remains.
            del layer.convolution_op


def _is_plain(layer: keras.layers.Layer) -> bool:
    return (
        type(layer) is keras.layers.Conv2D
        and layer.kernel_size in ((1, 1), (3, 3))
        and layer.padding == ("same" if layer.kernel_size == (3, 3) else layer.padding)
        and layer.strides == layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
    )


def _convolve(otherwise: Callable[[Any, Any], Any], maps: Any, kernel: Any) -> Any:
    """Choose the quicker way by the shapes, which are known when the function is traced."""
    if kernel.shape[0] == 1:
        flat = ops.reshape(maps, (-1, maps.shape[3])) @ kernel[0, 0]
        return ops.reshape(flat, (-1, *maps.shape[1:3], kernel.shape[3]))
    if max(maps.shape[1:3]) <= _LARGEST_MAP and min(kernel.shape[2:]) >= _FEWEST_CHANNELS:
        return convolve_small(maps, kernel)
    return otherwise(maps, kernel)


def convolve_small(maps: Any, kernel: Any) -> Any:
    """Convolve maps (n_samples, height, width, n_channels) with a kernel of 3 x 3 in fewer products.

    A convolution is a product of polynomials, which is a product of their values at enough points (Winograd
    1980; Lavin and Gray 2016, arXiv:1509.09308). Whole maps are small enough to go to these values, and
    back, by one matrix each. At the border maps go on with zeros, as in Keras's padding ``same``; the result
    is that of `keras.ops.conv` but for rounding (some 1e-5 of the largest).
    """
    height, width = maps.shape[1:3]
    n_channels, n_filters = kernel.shape[2:]
    to_values, of_kernel, from_values = _find_transforms(height, width)
    n_values, n_places = len(of_kernel), height * width
    # Places first, so that every transform is one product with everything behind them.
    flat = ops.transpose(ops.reshape(maps, (-1, n_places, n_channels)), (1, 0, 2))
    values = ops.convert_to_tensor(to_values) @ ops.reshape(flat, (n_places, -1))
    values = ops.reshape(values, (n_values, -1, n_channels))
    kernels = ops.convert_to_tensor(of_kernel) @ ops.reshape(kernel, (9, -1))
    products = values @ ops.reshape(kernels, (n_values, n_channels, n_filters))
    found = ops.convert_to_tensor(from_values) @ ops.reshape(products, (len(from_values[0]), -1))
    found = ops.transpose(ops.reshape(found, (n_places, -1, n_filters)), (1, 0, 2))
    return ops.reshape(found, (-1, height, width, n_filters))


@cache
def _find_transforms(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrices from places to values, from the kernel's nine to values, and from values to places.

    Values are ordered by points, tiles of the map behind them.
    """

    def n_products(edge: int) -> int:
        return (edge + 2) ** 2 * -(-height // edge) * -(-width // edge)

    edge = min((2, 3), key=n_products)
    to_values, of_kernel, from_values = _evaluate(edge)
    rows, columns = (_tile(to_values, from_values, side) for side in (height, width))
    n_points = (edge + 2) ** 2
    there = np.einsum("ikh,jlw->ijklhw", rows[0], columns[0]).reshape(-1, height * width)
    back = np.einsum("hik,wjl->hwijkl", rows[1], columns[1]).reshape(height * width, -1)
    kernel = np.einsum("ip,jq->ijpq", of_kernel, of_kernel).reshape(n_points, 9)
    return there.astype(np.float32), kernel.astype(np.float32), back.astype(np.float32)


def _evaluate(edge: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Winograd's three matrices for so many outputs of a kernel of 3: input, kernel, output.

    The last point is infinity, at which a polynomial's value is its leading coefficient.
    """
    points = np.array(_POINTS[: edge + 1])
    powers = points[:, None] ** np.arange(edge + 2)
    inputs = np.zeros((edge + 2, edge + 2))
    for place in range(edge + 1):
        inputs[place, :-1] = np.poly(np.delete(points, place))[::-1]
    inputs[-1] = np.poly(points)[::-1]
    gaps = points[:, None] - points + np.eye(edge + 1)
    last = np.eye(edge + 2)[-1:]
    kernel = np.vstack([powers[:, :3] / gaps.prod(axis=1, keepdims=True), last[:, -3:]])
    return inputs, kernel, np.vstack([powers[:, :edge], last[:, -edge:]]).T


def _tile(to_values: np.ndarray, from_values: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Lay one dimension out in tiles: matrices (point, tile, place) and (place, point, tile)."""
    edge, n_points = from_values.shape
    n_tiles = -(-side // edge)
    there, back = np.zeros((n_points, n_tiles, side)), np.zeros((side, n_points, n_tiles))
    for tile in range(n_tiles):
        for point in range(n_points):
            # A tile begins one place before its outputs, since a kernel of 3 looks so far.
            place = tile * edge + point - 1
            if 0 <= place < side:
                there[:, tile, place] = to_values[:, point]
    for place in range(side):
        back[place, :, place // edge] = from_values[place % edge]
    return there, back
