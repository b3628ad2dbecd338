"""What a search costs: a formula, its constants measured on few samples, and what it says of many.

Run ``python benchmarks/cost.py [--backbones resnet50 ...] [--few 128] [--many 1024]
[--head global_average]``. A
search of T trials of E epochs on n training images costs, in seconds of processor time,

    fixed + n * once + sum over trials of (trace + E * n * epoch[depth])

where ``fixed`` is building the backbone and tracing what is frozen of it, ``once`` what an image costs once
in a search (the frozen prefix, and centring the head) and ``epoch[depth]`` what it costs in every epoch of
that depth; both include an eighth as many validation images. The constants come from few samples, and from
twice as many: every depth is trained again and again, and after the first time only its epochs and its trace
are left to pay. The prediction is that for the search of `search.py`.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from prefix import PARAMS, make_tuner, train_cached
from search import warm_up

from expressionist.params.sections import NetworkParams

EPOCHS = 3


@dataclass(frozen=True)
class Costs:
    """Seconds: before any epoch, for a trial's trace, and for an image's epoch by depth."""

    before: float
    trace: float
    epoch: dict[int, float]


def measure(backbone: str, n_samples: int, network: NetworkParams) -> Costs:
    """Train every depth of a backbone on so many samples three times."""
    traces, epochs = [], {}
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        tuner = make_tuner(backbone, network, n_samples, Path(folder))
        deepest = tuner.last_block_depth()
        before = time.process_time() - begun
        for depth in range(deepest, -1, -1):
            took = []
            # Other epochs, not another dropout: their difference is what epochs take without the trace.
            for number, n_epochs in ((0, 1), (1, 1), (2, 1 + EPOCHS)):
                begun = time.process_time()
                train_cached(tuner, depth, n_epochs, Path(folder), 0.5 + number / 100)
                took.append(time.process_time() - begun)
            before += took[0] - took[1]
            epochs[depth] = (took[2] - took[1]) / EPOCHS / n_samples
            traces.append(took[1] - epochs[depth] * n_samples)
    return Costs(before, float(np.mean(traces)), epochs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["resnet50", "xception", "densenet169", "vgg19"])
    parser.add_argument("--few", type=int, default=128)
    parser.add_argument("--many", type=int, nargs="+", default=[512, 1024, 8000])
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--head", choices=("flatten", "global_average"), default=PARAMS.network.head)
    parser.add_argument("--precision", choices=("float16", "float32"), default=PARAMS.network.precision)
    arguments = parser.parse_args()
    warm_up()
    network = replace(PARAMS.network, head=arguments.head, precision=arguments.precision)
    names = ["fixed, s", "once, ms", "trace, s", "epoch by depth, ms", *(f"{n:,}, s" for n in arguments.many)]
    print(f"| backbone | {' | '.join(names)} |\n|---|{'---|' * len(names)}", flush=True)
    for backbone in arguments.backbones:
        few, more = (measure(backbone, factor * arguments.few, network) for factor in (1, 2))
        once = (more.before - few.before) / arguments.few
        fixed = few.before - arguments.few * once
        depths = list(islice(cycle(sorted(more.epoch, reverse=True)), arguments.trials))
        cells = [f"{fixed:.1f}", f"{once * 1e3:.0f}", f"{more.trace:.2f}"]
        cells.append(", ".join(f"{more.epoch[depth] * 1e3:.2f}" for depth in sorted(more.epoch)))
        for n_samples in arguments.many:
            epoch = EPOCHS * n_samples * sum(more.epoch[depth] for depth in depths)
            cells.append(f"{fixed + n_samples * once + arguments.trials * more.trace + epoch:.0f}")
        print(f"| {backbone} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
