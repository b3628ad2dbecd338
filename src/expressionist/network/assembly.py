"""The network: expression → picture → backbone → tumour type as one Keras graph."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.data import LINEAR_UNITS, Scale
from expressionist.network.backbones import Backbone
from expressionist.network.layers import Gain, Log2, Paint, PixelScaling, Ranks, Rescale, Sum, Temperature
from expressionist.network.tracing import trace_prediction
from expressionist.painting import Layout

# What the logits are a sum of: the backbone's maps, what is linear in the genes, the classifier of ranks.
BRANCHES = ("maps", "genes", "ranks")
_N_ROWS = 64


def choose_magnification(shape: tuple[int, int], magnify: int, side: int, backbone: Backbone) -> int:
    """Return the edge of the square that a pixel is drawn as, in pixels of the backbone's images.

    Parameters
    ----------
    shape : tuple of int
        (height, width) of the painted images.
    magnify : int
        As asked for; 0 chooses the one whose images come nearest, by ratio, to `side`.
    side : int
        Wanted for the shorter edge of the images that the backbone sees.
    backbone : Backbone
        Its smallest side is always reached.

    Examples
    --------
    >>> from expressionist.network import find_backbone
    >>> choose_magnification((27, 27), 0, 96, find_backbone("mobilenet"))
    4
    """
    edge = min(shape)
    least, below = -(-backbone.smallest_side // edge), side // edge
    # Of n and n + 1 the first is nearer, by ratio, up to their geometric mean.
    nearest = below + (side**2 > below * (below + 1) * edge**2)
    return magnify or max(least, nearest)


def image_front(shape: tuple[int, int], magnify: int, mode: str, gain: Gain | None = None) -> keras.Model:
    """Build the graph from painted images to the backbone's input.

    (n_samples, height, width, 1) in [0, 1] → (n_samples, height · magnify, width · magnify, 3): repeating
    pixels keeps their borders and invents no values. `mode` is the pixel scaling of the backbone; a fitted
    `gain` stretches pixels before.
    """
    images = keras.Input((*shape, 1), name="image")
    stretched = images if gain is None else gain(images)
    magnified = keras.layers.UpSampling2D(magnify)(stretched) if magnify > 1 else stretched
    return keras.Model(images, PixelScaling(mode)(magnified), name="front")


def fit_ranks(layout: Layout, scale: Scale) -> Ranks:
    """Make the layer that ranks the genes of images painted by this layout and scale."""
    ranks = Ranks(name="rank")
    low, span = layout.paint(np.stack([scale.low, scale.span]))
    ranks.fit(low, span, layout.overlap > 0)
    return ranks


def fit_gain(images: np.ndarray, weights: np.ndarray) -> Gain:
    """Make the layer that stretches pixels by what a linear classifier of them reads; as `Gain.fit`."""
    gain = Gain(name="gain")
    gain.fit(images, weights)
    return gain


def assemble(
    layout: Layout,
    scale: Scale,
    unit: str,
    front: keras.Model,
    prefix: keras.Model | None,
    trained: keras.Model,
    ranks: Ranks | None = None,
    shares: Mapping[str, float] | None = None,
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
        Painted images → the backbone's input → frozen activations. No prefix where the head leaves the image
        out.
    trained : keras.Model
        As `attach_head` or `average_heads` gives it.
    ranks : Ranks, optional
        What gives the head its ranks, if it takes any.
    shares : mapping of str to float, optional
        By what share each of the head's classifiers counts; by default, or if it is empty, all do alike.

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
    trained = keras.Model(trained.input, trained.output, name=trained.name)
    expression = keras.Input((n_genes,), name="expression")
    log2 = Log2(name="log2")(expression) if unit in LINEAR_UNITS else expression
    painted = dict.fromkeys(BRANCHES, paint(rescale(log2)))
    total = Sum(name="logits") if len(trained.output) > 1 else None
    logits = Temperature(name="temperature")(_classify(painted, front, prefix, trained, ranks, total))
    if total is not None and shares:
        total.shares.assign([shares[name] for name in sorted(trained.output)])
    return keras.Model(expression, keras.layers.Softmax(name="probabilities")(logits), name="expressionist")


def load_network(path: Path, temperature: float = 1.0) -> keras.Model:
    """Load a network, or a part of one, with the layers of this package; it is not compiled.

    The logits of one that is not calibrated yet are divided by `temperature`.
    """
    network = keras.saving.load_model(path, compile=False)
    if temperature != 1.0:
        held = network.get_layer("temperature").temperature
        held.assign(held * temperature)
    return network


def logits_by_branch(network: keras.Model) -> keras.Model:
    """Return the part of an assembled network that attributions go through; all layers are shared.

    It takes scaled expression (n_samples, n_genes) once for every branch that the network has, in a dict
    (``maps``: the backbone's, ``genes``, ``ranks``), to logits (n_samples, n_types) as the softmax gets them,
    divided by the temperature. The logits are a sum of what the branches give.
    """
    layers = {layer.name: layer for layer in network.layers}
    front, prefix, trained = (layers[name] for name in ("front", "prefix", "tail_and_head"))
    names = [name for name in BRANCHES if name == "maps" or name in trained.input]
    scaled = {name: keras.Input(network.input_shape[1:], name=name) for name in names}
    painted = {name: layers["paint"](each) for name, each in scaled.items()}
    logits = _classify(painted, front, prefix, trained, layers.get("rank"), layers.get("logits"))
    return keras.Model(scaled, layers["temperature"](logits))


def logits_of_scaled(network: keras.Model) -> keras.Model:
    """Return what `logits_by_branch` does, but for scaled expression that is given once."""
    by_branch = logits_by_branch(network)
    scaled = keras.Input(network.input_shape[1:], name="scaled")
    return keras.Model(scaled, by_branch(dict.fromkeys(by_branch.input, scaled)))


def predict_logits(
    network: keras.Model,
    expression: np.ndarray,
    samples: np.ndarray,
    *,
    on_progress: Callable[[int], object] = lambda _: None,
) -> np.ndarray:
    """Give an assembled network expression, and return its logits at the temperature that it holds.

    Parameters
    ----------
    network : keras.Model
        As `assemble` gives it: temperature 1.
    expression : numpy.ndarray of shape (n_samples_given, n_genes)
        In the unit and with the genes of the network; may be memory-mapped.
    samples : numpy.ndarray of shape (n_samples,)
        Positions of the rows to predict.
    on_progress : callable
        Told how many samples are done, block by block.

    Returns
    -------
    numpy.ndarray of shape (n_samples, n_types)
        float64.
    """
    tempered = keras.Model(network.input, network.get_layer("temperature").output)
    predict = trace_prediction(tempered)
    logits = []
    for start in range(0, len(samples), _N_ROWS):
        logits.append(predict(expression[samples[start : start + _N_ROWS]]).numpy())
        on_progress(len(logits[-1]))
    return np.concatenate(logits).astype(np.float64)


def _classify(
    painted: Mapping[str, Any],
    front: keras.Model,
    prefix: keras.Model | None,
    trained: keras.Model,
    ranks: Ranks | None,
    total: keras.Layer | None,
) -> Any:
    """Go from every branch's painted images to logits; the head takes what it asks for by name."""
    known = {"genes": painted.get("genes")}
    if prefix is not None:
        known |= prefix(front(painted["maps"]))
    if ranks is not None:
        known["ranks"] = ranks(painted["ranks"])
    logits = trained({name: known[name] for name in trained.input})
    ordered = [logits[name] for name in sorted(logits)]
    return ordered[0] if total is None else total(ordered)
