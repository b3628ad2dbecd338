"""Samples, a crowded layout, and a network small enough to be differentiated by hand."""

import keras
import numpy as np

import toy
from network.parts import make_paint

N_GENES, N_TYPES = 12, 3


def make_crowded_layout():
    """Twelve genes on at most six pixels."""
    return toy.make_layout(N_GENES, (2, 3))


def make_samples(n_samples=5, n_genes=N_GENES, *, seed=1):
    rng = np.random.default_rng(seed)
    return rng.random((n_samples, n_genes)).astype(np.float32), rng.integers(0, N_TYPES, n_samples)


def make_curved(layout, *, seed=0):
    """Painted, then two layers of smooth and kinked curves: its gradient changes along the path."""
    scaled = keras.Input((len(layout.genes),), name="maps")
    hidden = keras.layers.Dense(16, "tanh")(keras.layers.Flatten()(make_paint(layout)(scaled)))
    hidden = keras.layers.Dense(16, "relu")(hidden)
    model = keras.Model({"maps": scaled}, keras.layers.Dense(N_TYPES)(hidden))
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 1.5, variable.shape))
    return model
