"""The folder of a small registered model: what serving, predicting and attacking need of one."""

import keras
import numpy as np
import pandas as pd

from expressionist.evaluation.novelty import Novelty
from expressionist.tracking.model_folder import NOVELTY_FILE, seal
from expressionist.tracking.serving import Served, write_served


def seal_small_version(folder, genes, scale=1.0):
    """Fill a folder with a sealed model of two types on these three genes, which are scaled first."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((3,))
    scaled = keras.layers.Rescaling(scale)(inputs)
    keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(scaled)).save(folder / "model.keras")
    return seal_network(
        folder, pd.DataFrame({"symbol": genes, "fill": 1.0}, index=pd.Index(genes, name="gene"))
    )


def seal_network(folder, genes):
    """Seal the folder of a network of two types on three genes, with all that stands beside it."""
    log2 = np.random.default_rng(0).gamma(2, size=(20, 3)).astype(np.float32)
    novelty = Novelty.fit(log2, np.arange(20) % 2, None, rng=np.random.default_rng(0))
    np.savez(folder / NOVELTY_FILE, **novelty.calibrate(novelty.measure(log2), false_alarms=0.1).to_arrays())
    write_served(folder, Served(genes, ("A", "B"), "RSEM", 0.4, True, "RANDOM", "toy", {}))  # noqa: FBT003
    seal(folder)
    return folder
