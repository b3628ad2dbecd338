"""The frozen-prefix cache against the same training written plainly: whole network, frozen layers.

Run ``python benchmarks/prefix.py [--samples 1024] [--epochs 3] [--backbone resnet50]``. Both ways train the
same layers on the same batches from the same seeds. Printed are seconds per epoch, validation on an eighth
as many samples included (the median, the first epoch left out, which traces the graph), their ratio, and
the largest difference of the losses on both sides.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from expressionist.backbones import Weights
from expressionist.cut import divide, listed
from expressionist.finetuning import FineTuned, FineTuner
from expressionist.image_sets import ImageSet
from expressionist.layers import Centre
from expressionist.network import attach_head
from expressionist.params import NetworkParams, read_params
from expressionist.training import Fit, Rows, fit_tail

N_TYPES, SIDE = 33, 102


PARAMS = read_params(Path(__file__).parent.parent / "params.yaml")


def make_tuner(backbone: str, network: NetworkParams, n_samples: int, cache: Path) -> FineTuner:
    """Make noise of so many training samples, and an eighth as many for validation: as a split 80/10/10."""
    rng = np.random.default_rng(1)
    training, validation = (
        ImageSet(rng.random((n, SIDE, SIDE, 1), np.float32), rng.integers(0, N_TYPES, n), f"random-{n}")
        for n in (n_samples, n_samples // 8)
    )
    return FineTuner(
        backbone,
        Weights("random", "", "random-1"),
        None,
        training,
        validation,
        n_types=N_TYPES,
        painted=np.ones((SIDE, SIDE), bool),
        network=network,
        weights_seed=1,
        cache=cache,
    )


def train_cached(tuner: FineTuner, depth: int, epochs: int, cache: Path, dropout: float) -> FineTuned:
    """Train at one depth, as the stages do."""
    params = replace(PARAMS.training, epochs=epochs)
    return tuner.fit(depth, dropout, params, checkpoints=cache / "checkpoints")


def train_plainly(tuner: FineTuner, depth: int, epochs: int, ours: FineTuned, dropout: float) -> Fit:
    """Train the same layers, from the same seeds, inside the whole network."""
    params = replace(PARAMS.training, epochs=epochs)
    division = divide(tuner.build(), depth, tuner.strides)
    shape = tuner.front.input.shape[1:]
    model = attach_head(
        division.tail,
        N_TYPES,
        head=tuner.network.head,
        dropout=dropout,
        seed=params.seed,
        genes=shape if tuner.network.genes else None,
        gene_dropout=tuner.network.gene_dropout,
    )
    for ready, layer in zip(ours.model.layers, model.layers, strict=True):
        if isinstance(layer, Centre):
            layer.set_weights(ready.get_weights())
    images = keras.Input(shape, name="images")
    activations = listed(division.prefix(tuner.front(images)))
    genes = [images] * (len(model.inputs) - len(activations))
    whole = keras.Model([images], model([*genes, *activations]))
    sides = (Rows([side.images], side.types) for side in (tuner.training, tuner.validation))
    return fit_tail(whole, *sides, params)


def median_seconds(fit: Fit) -> float:
    """Return the seconds of an epoch; the first, which traces the graph, is left out."""
    return float(np.median([row["seconds"] for row in fit.history[1:]]))


def largest_gap(ours: Fit, plain: Fit) -> float:
    """Return the largest difference of two trainings' losses, on training and validation samples."""
    return max(
        abs(one[name] - other[name])
        for one, other in zip(ours.history, plain.history, strict=True)
        for name in ("loss", "validation_log_loss")
    )


def compare(backbone: str, strides: tuple[int, ...], head: str, n_samples: int, epochs: int) -> None:
    """Print a line for depth 0 and one for the whole last block."""
    network = replace(PARAMS.network, strides=strides, head=head, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        tuner = make_tuner(backbone, network, n_samples, Path(folder))
        for depth in (0, tuner.last_block_depth()):
            ours = train_cached(tuner, depth, epochs, Path(folder), network.dropout)
            plain = train_plainly(tuner, depth, epochs, ours, network.dropout)
            seconds, plain_seconds = median_seconds(ours.fit), median_seconds(plain)
            gap = largest_gap(ours.fit, plain)
            print(
                f"{backbone}, {head} of maps at strides {strides}, depth {depth}: "
                f"{seconds:.3f} s against {plain_seconds:.3f} s an epoch, "
                f"ratio {plain_seconds / seconds:.1f}, losses differ by {gap:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--backbone", default="resnet50")
    arguments = parser.parse_args()
    for strides, head in (((32,), "pooled"), ((32,), "places"), ((8, 32), "places")):
        compare(arguments.backbone, strides, head, arguments.samples, arguments.epochs)
