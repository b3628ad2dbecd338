"""A whole search with the frozen-prefix cache, and as a plain Keras user writes it.

Run ``python benchmarks/search.py [--backbones resnet50 xception densenet169 vgg19] [--samples 1024] [--trials
12] [--head global_average] [--once]``. Both ways run the same trials (depths from the whole last block to 0,
in turn with other dropouts) for three epochs each on the same batches from the same seeds: ours with frozen
activations computed once, in half precision unless ``--precision float32`` is said; plainly, with Keras's
`fit`, the whole network with frozen layers, every trial from its own start. Printed are seconds of wall time
and of processor time, what computing the frozen activations takes included, their ratios, and the largest
difference of the losses on training and validation samples. What the first call into TensorFlow costs is paid
before either way begins.

With ``--once`` the plain way runs the first trial of every depth, whose seconds count for those of the same
depth: they differ in the share of dropout only.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import cycle, islice, product
from pathlib import Path

import numpy as np
from prefix import PARAMS, find_fitted, largest_gap, make_tuner, train_cached, train_plainly

DROPOUTS = (0.5, 0.65, 0.8)


@dataclass(frozen=True)
class Trial:
    """What one trial took, and where its losses went."""

    depth: int
    wall: float
    processor: float
    gap: float = 0.0


def warm_up() -> None:
    """Train the smallest backbone both ways, so that neither pays for what a process does once."""
    with tempfile.TemporaryDirectory() as folder:
        tuner = make_tuner("mobilenet", replace(PARAMS.network, head="global_average"), 64, Path(folder))
        found = train_cached(tuner, 0, 1, Path(folder), 0.5)
        train_plainly(tuner, 0, 1, find_fitted(tuner, found), 0.5)


def compare(backbone: str, arguments: argparse.Namespace) -> str:
    """Run the search both ways and return its row of the table."""
    network = replace(PARAMS.network, head=arguments.head, precision=arguments.precision)
    with tempfile.TemporaryDirectory() as folder:
        begun, used = time.perf_counter(), time.process_time()
        tuner = make_tuner(backbone, network, arguments.samples, Path(folder))
        depths = range(tuner.last_block_depth(), -1, -1)
        trials = list(islice(cycle(product(DROPOUTS, depths)), arguments.trials))
        found = []
        for dropout, depth in trials:
            ours = train_cached(tuner, depth, arguments.epochs, Path(folder), dropout)
            seconds = sum(row["seconds"] for row in ours.fit.history)
            print(f"  ours, depth {depth}: {seconds:.1f} s in epochs", flush=True)
            found.append(ours)
        wall, processor = time.perf_counter() - begun, time.process_time() - used
        plain: list[Trial] = []
        for (dropout, depth), ours in zip(trials, found, strict=True):
            alike = [trial for trial in plain if trial.depth == depth]
            if arguments.once and alike:
                plain.append(alike[0])
                continue
            fitted = find_fitted(tuner, ours)
            begun, used = time.perf_counter(), time.process_time()
            other = train_plainly(tuner, depth, arguments.epochs, fitted, dropout)
            taken = (time.perf_counter() - begun, time.process_time() - used)
            plain.append(Trial(depth, *taken, largest_gap(ours.fit, other)))
            print(
                f"  plain, depth {depth}: {taken[0]:.1f} s, losses differ by {plain[-1].gap:.1e}", flush=True
            )
    plain_wall = float(np.sum([each.wall for each in plain]))
    plain_processor = float(np.sum([each.processor for each in plain]))
    cells = [backbone, arguments.head, f"0 to {depths[0]}"]
    cells += [f"{wall:.0f}", f"{plain_wall:.0f}", f"{plain_wall / wall:.1f}"]
    cells += [f"{processor:.0f}", f"{plain_processor:.0f}", f"{plain_processor / processor:.1f}"]
    return f"| {' | '.join([*cells, f'{max(each.gap for each in plain):.1e}'])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["resnet50", "xception", "densenet169", "vgg19"])
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--head", choices=("flatten", "global_average"), default=PARAMS.network.head)
    parser.add_argument("--precision", choices=("float16", "float32"), default=PARAMS.network.precision)
    parser.add_argument("--once", action="store_true", help="run the plain way once for every depth")
    arguments = parser.parse_args()
    warm_up()
    rows = [compare(backbone, arguments) for backbone in arguments.backbones]
    print(
        f"\n{arguments.trials} trials of {arguments.epochs} epochs, {arguments.samples:,} training images\n"
    )
    names = ["backbone", "head", "depths", "ours, s", "plain, s", "ratio"]
    names += ["ours, s of CPU", "plain, s of CPU", "ratio", "losses differ by"]
    print(f"| {' | '.join(names)} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
