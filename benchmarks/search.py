"""A whole search with the frozen-prefix cache, and as a plain Keras user writes it.

Run ``python benchmarks/search.py [--backbone resnet50] [--samples 1024] [--trials 12] [--head pooled]``. Both
ways run the same trials (depths from the whole last block to 0, in turn with other dropouts) for three epochs
each on the same batches from the same seeds: ours with frozen activations computed once, in full precision;
plainly, the whole network with frozen layers, every trial from its own start. Printed are seconds of wall
time, what computing the frozen activations takes included, their ratio, and the largest difference of the
losses on training and validation samples.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from itertools import cycle, islice, product
from pathlib import Path

from prefix import PARAMS, largest_gap, make_tuner, train_cached, train_plainly

DROPOUTS = (0.5, 0.65, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--head", choices=("places", "pooled"), default=PARAMS.network.head)
    arguments = parser.parse_args()
    network = replace(PARAMS.network, head=arguments.head, precision="float32")
    with tempfile.TemporaryDirectory() as folder:
        tuner = make_tuner(arguments.backbone, network, arguments.samples, Path(folder))
        depths = range(tuner.last_block_depth(), -1, -1)
        trials = list(islice(cycle(product(DROPOUTS, depths)), arguments.trials))
        begun = time.perf_counter()
        ours = [train_cached(tuner, depth, arguments.epochs, Path(folder), drop) for drop, depth in trials]
        cached = time.perf_counter() - begun
        begun = time.perf_counter()
        gaps = [
            largest_gap(found.fit, train_plainly(tuner, depth, arguments.epochs, found, drop))
            for (drop, depth), found in zip(trials, ours, strict=True)
        ]
        plain = time.perf_counter() - begun
    print(
        f"{arguments.backbone}, {arguments.head} head, {len(trials)} trials of depths 0 to {depths[0]}: "
        f"{cached:.0f} s against {plain:.0f} s, ratio {plain / cached:.1f}, losses differ by {max(gaps):.1e}"
    )


if __name__ == "__main__":
    main()
