"""Small networks, and what the tests of their parts share."""

import keras
import numpy as np

import toy
from expressionist.network.assembly import assemble, fit_gain, image_front
from expressionist.network.cut import Division, divide
from expressionist.network.head import attach_head, centre_head
from expressionist.network.layers import Paint

N_GENES, N_TYPES, SHAPE = 30, 3, (5, 4)
DEPTHS = range(7)
# The last maps of these strides.
MAPS = {2: "early_add", 4: "out"}
WEIGHTED = [
    "late_pointwise",
    "late_separable",
    "branch",
    "down",
    "early_pointwise",
    "early_depthwise",
    "stem",
]


def run(model, arrays):
    """What a model gives, by name or as a list."""
    found = model(arrays, training=False)
    if isinstance(found, dict):
        return {name: array.numpy() for name, array in found.items()}
    return [array.numpy() for array in keras.tree.flatten(found)]


def run_tail(division, frozen, **kwargs):
    return division.tail([frozen[name] for name in division.read], **kwargs)


def find_maps(division, pixels, *, training=False):
    """The maps that prefix and tail compute together."""
    found = run(division.prefix, pixels)
    if division.tail:
        found |= {name: each.numpy() for name, each in run_tail(division, found, training=training).items()}
    return [found[name] for name in division.maps]


def make_parts(depth=2, strides=(2, 4), *, average=False, genes=True, ranks=None):
    division = divide(toy.make_backbone((10, 8)), depth, strides, average=average)
    shape = (*SHAPE, 1)
    drawn = np.random.default_rng(8)
    front = image_front(SHAPE, 2, "tf", fit_gain(drawn.random((9, *shape)), drawn.random((20, N_TYPES))))
    model = attach_head(
        division,
        N_TYPES,
        dropout=0.5,
        seed=1,
        genes=shape if genes else None,
        gene_dropout=0.2,
        ranks=shape if ranks else None,
        n_hidden=7,
    )
    images = np.random.default_rng(3).random((6, *SHAPE, 1)).astype(np.float32)
    block = run(division.prefix, front(images)) | ({"genes": images} if genes else {})
    centre_head(model, [block | ({"ranks": ranks(images).numpy()} if ranks else {})])
    teach(model)
    return front, division, model


def make_network(layout, scale, *args, ranks=None, **kwargs):
    front, division, model = make_parts(*args, ranks=ranks, **kwargs)
    return assemble(layout, scale, "RSEM", front, division.prefix, model, ranks)


def make_paint(layout):
    paint = Paint(len(layout.genes), layout.shape)
    paint.pixel.assign(layout.pixel.astype(np.int32))
    paint.share.assign(layout.share[:, None])
    return paint


def draw_scaled(n_samples, *, seed):
    """Scaled expression with a gene that never varies, and one that hardly does."""
    scaled = np.random.default_rng(seed).random((n_samples, N_GENES)).astype(np.float32)
    scaled[:, 3], scaled[:, 4] = 0, 0.5 + scaled[:, 4] / 1000
    return scaled


def teach(model):
    """Give the classifiers weights, as training would: they start at zero."""
    for layer in model.layers:
        if layer.name in ("classifier", "linear_classifier", "rank_classifier"):
            shape = layer.kernel.shape
            layer.kernel.assign(np.random.default_rng(7).normal(0, shape[0] ** -0.5, shape))


def divide_nothing(*shapes, average=False):
    """A division in which nothing is left to compute, as at depth 0: maps a, b, ..."""
    inputs = {name: keras.Input(shape, name=name) for name, shape in zip("abc", shapes, strict=False)}
    taken, names = dict(inputs), tuple(inputs)
    if average:
        taken = {name: keras.layers.GlobalAveragePooling2D()(each) for name, each in inputs.items()}
    return Division(keras.Model(inputs, taken), None, (), names, names, names if average else (), (), average)
