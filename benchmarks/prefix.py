"""The frozen-prefix cache against the same training written plainly: whole network, frozen layers.

Run ``python benchmarks/prefix.py [--samples 1024] [--epochs 3] [--backbone resnet50]``. Both ways train the
same layers on the same batches from the same seeds. Printed are seconds per epoch, validation on an eighth
as many samples included (the median, the first epoch left out, which traces the graph), their ratio, and
the largest difference of the losses on both sides.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from expressionist.commands.params_file import read_params
from expressionist.data.expression import Scale
from expressionist.data.units import AS_IS_UNIT
from expressionist.network.backbones import Weights
from expressionist.network.cut import divide
from expressionist.network.head import LINEAR, attach_head
from expressionist.network.layers import Centre
from expressionist.painting.images import ImageSet
from expressionist.painting.layout import Layout
from expressionist.params.sections import NetworkParams, TrainingParams
from expressionist.training.activation_cache import ActivationCache
from expressionist.training.finetuner import FineTuned, FineTuner, TrainingData
from expressionist.training.loop import Epoch, Fit, weigh_samples
from expressionist.training.optimiser import compile_tail

N_TYPES, SIDE = 33, 102
# Share of an image that is noise.
NOISE = 0.7

PARAMS = read_params(Path(__file__).parent.parent / "params.yaml")


def make_tuner(backbone: str, network: NetworkParams, n_samples: int, cache: Path) -> FineTuner:
    """Make noisy samples of types, and an eighth as many for validation: as a split 80/10/10.

    The types can be told apart, as in a search that somebody would run. What a network learns of noise alone
    it learns by heart, and that carries a last bit, rounded otherwise, into the third digit of the losses.
    Searches have no classifier of ranks and no gain, and so neither way has one here.
    """
    rng, n_genes = np.random.default_rng(1), SIDE * SIDE
    typical = rng.random((N_TYPES, SIDE, SIDE, 1), np.float32)

    def draw(n: int) -> ImageSet:
        types = rng.integers(0, N_TYPES, n)
        noise = rng.random((n, SIDE, SIDE, 1), np.float32)
        drawn = (1 - NOISE) * typical[types] + NOISE * noise
        return ImageSet(drawn, types, f"drawn-{n}", np.arange(n).astype(str))

    training, validation = draw(n_samples), draw(n_samples // 8)
    return FineTuner(
        backbone,
        Weights("random", "", "random-1"),
        None,
        TrainingData(
            training,
            validation,
            [f"type {number:02}" for number in range(N_TYPES)],
            Layout(np.arange(n_genes).astype(str), np.arange(n_genes), (SIDE, SIDE), "random"),
            Scale(np.zeros(n_genes, np.float32), np.ones(n_genes, np.float32)),
            {"unit": AS_IS_UNIT},
        ),
        replace(network, rank_units=0, gain=False),
        ActivationCache(cache, network.precision),
        weights_seed=1,
    )


def train_cached(tuner: FineTuner, depth: int, epochs: int, cache: Path, dropout: float) -> FineTuned:
    """Train at one depth, as the stages do."""
    params = replace(PARAMS.training, epochs=epochs)
    return tuner.fit(depth, dropout, params, checkpoints=cache / "checkpoints")


def train_plainly(
    tuner: FineTuner, depth: int, epochs: int, fitted: list[list[np.ndarray]], dropout: float
) -> Fit:
    """Train the same layers, from the same seeds, inside the whole network, with Keras's `fit`.

    A backbone of its own, compiled without XLA, which is slower on a processor, and with our optimiser, which
    is faster than Keras's. What is fitted before, centring and the linear classifier of genes, is given: a
    plain network would have to fit it.
    """
    params = replace(PARAMS.training, epochs=epochs)
    average = tuner.network.head == "global_average"
    division = divide(tuner.build(), depth, tuner.strides, average=average)
    shape = tuner.front.input.shape[1:]
    model = attach_head(
        division,
        N_TYPES,
        dropout=dropout,
        seed=params.seed,
        genes=shape if tuner.network.genes else None,
        gene_dropout=tuner.network.gene_dropout,
    )
    for layer, ready in zip(_list_fitted(model), fitted, strict=True):
        layer.set_weights(ready)
    images = keras.Input(shape, name="images")
    known = {"genes": images, **division.prefix(tuner.front(images))}
    logits = model({name: known[name] for name in model.input})
    whole = keras.Model(images, logits["classifier"])
    compile_tail(whole, params, len(tuner.data.training.types))
    mean = keras.layers.Average()(list(logits.values())) if len(logits) > 1 else logits["classifier"]
    judged = keras.Model(images, mean)
    judged.compile(loss=whole.loss, jit_compile=False)
    return Fit([_fit_epoch(whole, judged, tuner, params, epoch) for epoch in range(epochs)], stopped=False)


def _fit_epoch(
    model: keras.Model, judged: keras.Model, tuner: FineTuner, params: TrainingParams, epoch: int
) -> Epoch:
    """Train on the batches that ours has in that epoch."""
    data, size = tuner.data, params.batch_size
    begun, types = time.perf_counter(), data.training.types
    order = np.random.default_rng([params.seed, epoch]).permutation(len(types))
    order = np.concatenate([np.sort(order[start : start + size]) for start in range(0, len(order), size)])
    told = model.fit(
        data.training.images[order],
        types[order],
        sample_weight=weigh_samples(types, N_TYPES, params.class_weight)[order],
        batch_size=size,
        shuffle=False,
        verbose=0,
    ).history
    loss = judged.evaluate(data.validation.images, data.validation.types, batch_size=64, verbose=0)
    return {
        "epoch": epoch + 1,
        "loss": told["loss"][0],
        "validation_log_loss": loss,
        "seconds": time.perf_counter() - begun,
    }


def _list_fitted(model: keras.Model) -> list[keras.Layer]:
    """List the layers of a head that are fitted, and do not train."""
    return [layer for layer in model.layers if isinstance(layer, Centre) or layer.name == LINEAR]


def find_fitted(tuner: FineTuner, found: FineTuned) -> list[list[np.ndarray]]:
    """Return what was fitted before the head trained."""
    return [layer.get_weights() for layer in _list_fitted(tuner.assemble(found).get_layer("tail_and_head"))]


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
            plain = train_plainly(tuner, depth, epochs, find_fitted(tuner, ours), network.dropout)
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
    for strides, head in (((32,), "global_average"), ((32,), "flatten"), ((8, 32), "flatten")):
        compare(arguments.backbone, strides, head, arguments.samples, arguments.epochs)
