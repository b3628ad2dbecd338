"""What a training costs against the number of samples and of genes: seconds, memory, and how both grow.

Run ``python benchmarks/scaling.py [--backbone mobilenet] [--samples 1000 ...] [--genes 1024 ...]``. Each size
runs in a process of its own: expression is drawn, painted to disk, frozen activations are computed (building
the backbone included) and the head is trained; the second epoch counts, as the first traces. Memory is the
most that the process held beyond what importing takes, pages of mapped files left out. Exponents are slopes
of straight lines through the logarithms.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from prefix import N_TYPES, PARAMS, train_cached

from expressionist.data.expression import Scale
from expressionist.data.units import AS_IS_UNIT
from expressionist.files.store import read_array, write_array
from expressionist.network.backbones import Weights
from expressionist.painting.images import ImageSet
from expressionist.painting.layout import Layout, square_shape
from expressionist.training.activation_cache import ActivationCache
from expressionist.training.finetuner import FineTuner, TrainingData

FIXED_SAMPLES, FIXED_GENES, BLOCK = 1000, 1024, 256


def read_memory() -> float:
    """Return the memory of this process that no file holds, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (anonymous,) = (line for line in lines if line.startswith("RssAnon"))
    return int(anonymous.split()[1]) / 1000


def watch_memory(held: list[float]) -> None:
    """Note again and again what is held, until the process ends."""
    while True:
        held.append(read_memory())
        time.sleep(0.05)


def draw(layout: Layout, n_samples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for start in range(0, n_samples, BLOCK):
        n_rows = min(BLOCK, n_samples - start)
        yield layout.paint(rng.random((n_rows, len(layout.genes)), np.float32))


def measure(backbone: str, n_samples: int, n_genes: int) -> dict[str, float]:
    """Paint, compute frozen activations and train one epoch of the head."""
    shape = square_shape(n_genes)
    layout = Layout(np.arange(n_genes).astype(str), np.arange(n_genes), shape, "random")
    layout.paint(np.zeros((1, n_genes), np.float32))  # compiles
    held = [read_memory()]
    threading.Thread(target=watch_memory, args=(held,), daemon=True).start()
    begun, rng = time.perf_counter(), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        sets = {}
        for side, n_rows in (("train", n_samples), ("validation", 128)):
            path = Path(folder) / f"{side}.npy"
            write_array(path, draw(layout, n_rows, rng), (n_rows, *shape, 1))
            types, patients = rng.integers(0, N_TYPES, n_rows), np.arange(n_rows).astype(str)
            sets[side] = ImageSet(read_array(path), types, f"{side}-{n_rows}", patients)
        painted = time.perf_counter()
        tuner = FineTuner(
            backbone,
            Weights("random", "", "random-1"),
            None,
            TrainingData(
                *sets.values(),
                [f"type {number:02}" for number in range(N_TYPES)],
                layout,
                Scale(np.zeros(n_genes, np.float32), np.ones(n_genes, np.float32)),
                {"unit": AS_IS_UNIT},
            ),
            replace(PARAMS.network, side=64),
            ActivationCache(Path(folder) / "prefix", PARAMS.network.precision),
            weights_seed=1,
        )
        fit = train_cached(tuner, 0, 2, Path(folder), PARAMS.network.dropout).fit
    # The first epoch traces the graph.
    epoch = fit.history[1]["seconds"]
    rest = time.perf_counter() - painted - sum(row["seconds"] for row in fit.history)
    return {"paint": painted - begun, "prefix": rest, "epoch": epoch, "MB": max(held) - held[0]}


def find_exponent(sizes: list[int], values: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--genes", type=int, nargs="+", default=[1024, 4096, 16_384])
    parser.add_argument("--one", type=int, nargs=2, help="used by itself: samples and genes of one process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.backbone, *arguments.one)))
        return
    for what, sizes in (("samples", arguments.samples), ("genes", arguments.genes)):
        print(f"\n| {what} | paint, s | frozen prefix, s | epoch, s | memory, MB |\n|---|---|---|---|---|")
        rows = []
        for size in sizes:
            one = (size, FIXED_GENES) if what == "samples" else (FIXED_SAMPLES, size)
            command = [sys.executable, __file__, "--backbone", arguments.backbone, "--one", *map(str, one)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"| {size:,} | {' | '.join(f'{value:.2f}' for value in rows[-1].values())} |", flush=True)
        exponents = [find_exponent(sizes, [row[key] for row in rows]) for key in rows[0]]
        print(f"| exponent | {' | '.join(f'{each:.2f}' for each in exponents)} |", flush=True)


if __name__ == "__main__":
    main()
