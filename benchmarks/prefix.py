"""The frozen-prefix cache against the same training written plainly: whole network, frozen layers.

Run ``python benchmarks/prefix.py [--samples 256] [--epochs 3] [--backbone resnet50]``. Both ways train the
same layers on the same batches from the same seeds. Printed are seconds per epoch (the first, which traces
the graph, left out), their ratio, and the largest difference of the losses.
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

from expressionist.backbones import Weights
from expressionist.cut import divide
from expressionist.finetuning import FineTuner, ImageSet
from expressionist.network import attach_head, centre_head
from expressionist.params import read_params
from expressionist.prefix import compute_prefix
from expressionist.training import Rows, fit_tail

N_TYPES, SIDE = 33, 102


def train(tuner: FineTuner, depth: int, epochs: int, cache: Path, *, cached: bool) -> tuple[list, float]:
    """Train at one depth; return the losses and the seconds that one epoch takes."""
    params = replace(PARAMS.training, epochs=epochs, patience=epochs)
    division = divide(tuner.build(), depth, tuner.network.strides)
    model = attach_head(
        division.tail, N_TYPES, head=tuner.network.head, dropout=tuner.network.dropout, seed=1
    )
    frozen = keras.Model(tuner.front.input, division.prefix(tuner.front.output))
    key = {"depth": depth, "strides": tuner.network.strides, "backbone": tuner.backbone}
    started = time.perf_counter()
    activations = compute_prefix(frozen, [tuner.training.images], cache, key)
    prefix_seconds = time.perf_counter() - started
    rows = Rows(activations, tuner.training.types)
    centre_head(model, rows.blocks())
    if not cached:
        outputs = frozen(frozen.input)
        whole = keras.Model(frozen.input, model(outputs if isinstance(outputs, list) else [outputs]))
        model, rows = whole, Rows([tuner.training.images], tuner.training.types)
    few = Rows([part[:16] for part in rows.activations], rows.types[:16])
    ticks = []
    fit = fit_tail(
        model, rows, few, params, objective="log_loss", report=lambda row: bool(ticks.append(row["seconds"]))
    )
    print(f"    depth {depth}, {'cached' if cached else 'whole '}: {np.round(ticks, 3)} s", end="")
    print(f", prefix once {prefix_seconds:.1f} s" if cached else "")
    return [row["loss"] for row in fit.history], float(np.median(ticks[1:]))


def compare(backbone: str, strides: tuple[int, ...], head: str, n_samples: int, epochs: int) -> None:
    """Print a line for depth 0 and one for the whole last block."""
    rng = np.random.default_rng(1)
    images = ImageSet(
        rng.random((n_samples, SIDE, SIDE, 1), np.float32), rng.integers(0, N_TYPES, n_samples), "random"
    )
    network = replace(PARAMS.network, strides=strides, head=head)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        tuner = FineTuner(
            backbone,
            Weights("random", "", "random-1"),
            None,
            images,
            images,
            n_types=N_TYPES,
            network=network,
            weights_seed=1,
            cache=cache,
        )
        for depth in (0, tuner.last_block_depth()):
            ours, ours_seconds = train(tuner, depth, epochs, cache, cached=True)
            plain, plain_seconds = train(tuner, depth, epochs, cache, cached=False)
            gap = np.abs(np.subtract(ours, plain)).max()
            print(
                f"{backbone}, {head} of maps at strides {strides}, depth {depth}: "
                f"{ours_seconds:.3f} s against {plain_seconds:.3f} s an epoch, "
                f"ratio {plain_seconds / ours_seconds:.1f}, losses differ by {gap:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--backbone", default="resnet50")
    arguments = parser.parse_args()
    PARAMS = read_params(Path(__file__).parent.parent / "params.yaml")
    for strides, head in (((32,), "pooled"), ((32,), "places"), (PARAMS.network.strides, "places")):
        compare(arguments.backbone, strides, head, arguments.samples, arguments.epochs)
