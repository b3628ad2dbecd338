"""Small things that tests share, each of which can be reasoned about by hand."""

import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from expressionist.data.cohort import Cohort
from expressionist.data.expression import Scale
from expressionist.data.units import LOG2_UNIT
from expressionist.painting.layout import Layout
from expressionist.params.sections import NetworkParams, TrainingParams

# Keras is imported where it is needed: tests of modules that do without it stay fast.


def shipped_options(source, **changed):
    """Return what params.yaml says below `cohort: <source>:`, with some keys changed."""
    params = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text(encoding="utf-8"))
    return params["cohort"][source] | changed


def make_cohort(n_per_type=20, n_genes=40, n_types=3, *, n_markers=1, seed=0):
    """Noise in log2(x+1), and `n_markers` genes per type that are raised by 4 in it: genes 0, 1, ... in
    turn."""
    rng = np.random.default_rng(seed)
    types = np.repeat(np.arange(n_types), n_per_type)
    expression = rng.uniform(2, 4, (len(types), n_genes)).astype(np.float32)
    marker_of = [""] * n_genes
    for marker in range(n_markers * n_types):
        expression[types == marker % n_types, marker] += 4
        marker_of[marker] = f"T{marker % n_types}"
    names = [f"S{number}" for number in range(len(types))]
    samples = pd.DataFrame({"patient": names, "tumour_type": [f"T{each}" for each in types]}, index=names)
    ids = [f"g{number}" for number in range(n_genes)]
    genes = pd.DataFrame({"symbol": ids, "marker_of": marker_of}, index=ids)
    return Cohort("toy", expression, samples, genes, LOG2_UNIT, synthetic=True)


def make_layout(n_genes, shape, *, seed=0):
    """Any gene anywhere: crowded pixels, bare pixels, no order."""
    rng = np.random.default_rng(seed)
    genes = np.array([f"g{number}" for number in range(n_genes)])
    return Layout(genes, rng.integers(0, shape[0] * shape[1], n_genes), shape, "random")


def make_scale(n_genes, *, seed=0):
    rng = np.random.default_rng(seed)
    return Scale(rng.normal(size=n_genes).astype("float32"), rng.uniform(0.2, 9, n_genes).astype("float32"))


def network_params(**changes):
    drawn = {
        "protocol": "full",
        "magnify": 2,
        "side": 8,
        "gain": False,
        "head": "flatten",
        "strides": (2, 4),
        "dropout": 0.0,
        "genes": True,
    }
    rest = {"gene_dropout": 0.0, "rank_units": 0, "precision": "float32"}
    return NetworkParams(**(drawn | rest | changes))


def training_params(**changes):
    sizes = {
        "epochs": 4,
        "batch_size": 8,
        "weight_decay": 1e-2,
        "class_weight": "sqrt",
        "members": 1,
        "seed": 5,
    }
    rates = {"learning_rate": 1e-2, "rank_learning_rate": 1e-2, "tail_learning_rate": 3e-3}
    return TrainingParams(**(sizes | rates | changes))


def make_backbone(side=(16, 16), *, seed=0):
    """Two residual sums, a concatenation, a depthwise convolution, and batch normalisations that work.

    Its last block are the layers whose names start with ``late_``; maps of strides 2 and 4.
    """
    import keras
    from keras import layers

    pixels = keras.Input((*side, 3), name="pixels")
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="stem")(pixels)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="early_depthwise")(x)
    y = layers.ReLU(name="early_relu")(layers.BatchNormalization(name="early_bn")(y))
    y = layers.Conv2D(6, 1, name="early_pointwise")(y)
    x = layers.Add(name="early_add")([x, y])
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="down")(x)
    x = layers.ReLU(name="down_relu")(x)
    y = layers.Conv2D(4, 3, padding="same", name="branch")(x)
    x = layers.Concatenate(name="concat")([x, y])
    y = layers.SeparableConv2D(12, 3, padding="same", name="late_separable")(x)
    y = layers.ReLU(name="late_relu")(layers.BatchNormalization(name="late_bn")(y))
    y = layers.Conv2D(12, 1, name="late_pointwise")(y)
    x = layers.Add(name="late_add")([x, y])
    backbone = keras.Model(pixels, layers.ReLU(name="out")(x), name="toy")
    rng = np.random.default_rng(seed)
    for variable in backbone.weights:
        shape = variable.shape
        draw = rng.uniform(0.5, 2, shape) if "variance" in variable.name else rng.normal(0, 0.3, shape)
        variable.assign(draw + (1.0 if variable.name == "gamma" else 0.0))
    return backbone


def make_linear_model(layout, n_types, *, seed=0):
    """Scaled expression → painted → logits, all of it linear; and its matrix of shape (n_genes, n_types)."""
    import keras

    from expressionist.network.layers import Paint

    paint = Paint(len(layout.genes), layout.shape, name="paint")
    paint.pixel.assign(layout.pixel.astype(np.int32))
    paint.share.assign((1.0 / np.maximum(layout.overlap, 1)).reshape(-1, 1))
    dense = keras.layers.Dense(n_types)
    scaled = keras.Input((len(layout.genes),), name="maps")
    model = keras.Model({"maps": scaled}, dense(keras.layers.Flatten()(paint(scaled))))
    kernel = np.random.default_rng(seed).normal(size=(layout.n_pixels, n_types)).astype(np.float32)
    dense.set_weights([kernel, np.arange(n_types, dtype=np.float32)])
    return model, kernel[layout.pixel] / layout.overlap.ravel()[layout.pixel][:, None]


def predict_with(store, model, table):
    """Predict with a registered model, as the command does."""
    from expressionist.tracking import find_version, load_model, predict

    return predict(*load_model(find_version(store, model).folder), table, once=True)


def fork(function):
    """Run a function in a copy of this process; return the number of the signal or error that ended it."""
    # TensorFlow must not compute in the copy: its threads are not copied.
    process = os.fork()
    if process == 0:
        try:
            function()
        except BaseException:  # noqa: BLE001  the copy must not go on with the tests
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_me():
    """Die like under `kill -9`: nothing is flushed, closed or tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)
