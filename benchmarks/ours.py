"""One layout method of this package on the arrays of a folder; run by benchmarks/layouts.py.

Run ``python benchmarks/ours.py <folder> <method>``. Reads training.npy and samples.npy, both of shape
(n_samples, n_genes), scaled, and genes.tsv; writes ``<method>.npy`` (flat pixel of every gene) and prints
what it measured as JSON. Fitting is timed with whatever it loads and compiles, painting without.

With a number as third argument, so many samples are painted from a memory-mapped file to a file, and the
seconds and the memory that this took are printed: the process's own, without what it maps of files.

A method that embeds genes is also put into bins, as the peers do it: the range of the points cut into as many
equal strips as the image has rows and columns, genes sharing pixels as they fall (``<method>, binned.npy``).
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numba
import numpy as np
import pandas as pd

from expressionist.files.store import write_array
from expressionist.painting.layout import Layout, square_shape
from expressionist.painting.layouts import _embedding, place_genes


def put_in_bins(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    share = (points - points.min(axis=0)) / np.ptp(points, axis=0)
    column, row = np.minimum((share * shape[::-1]).astype(np.intp), np.subtract(shape[::-1], 1)).T
    return row * shape[1] + column


def scatter(samples: np.ndarray, pixel: np.ndarray, share: np.ndarray, images: np.ndarray) -> None:
    """Do the least that a painter must, in memory that is there: add every gene to its pixel, and average."""
    for sample in range(samples.shape[0]):
        images[sample] = 0
        for gene in range(samples.shape[1]):
            images[sample, pixel[gene]] += samples[sample, gene]
        for place in range(share.shape[0]):
            images[sample, place] *= share[place]


def read_memory(kind: str) -> float:
    """Return a line of what Linux tells of this process, in GB; getrusage would count its parent as well."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition(f"{kind}:")[2].split()[0]) / 1e6


def paint_file(folder: Path, layout: Layout, n_samples: int) -> dict[str, float]:
    samples = np.load(folder / "samples.npy", mmap_mode="r")
    many = np.lib.format.open_memmap(
        folder / "many.npy", mode="w+", dtype=np.float32, shape=(n_samples, samples.shape[1])
    )
    for start in range(0, n_samples, len(samples)):
        many[start : start + len(samples)] = samples[: n_samples - start]
    peaks = []

    def paint() -> Iterator[np.ndarray]:
        for start in range(0, n_samples, 256):
            yield layout.paint(many[start : start + 256])
            peaks.append(read_memory("RssAnon"))

    begun = time.perf_counter()
    write_array(folder / "images.npy", paint(), (n_samples, *layout.shape, 1))
    seconds = time.perf_counter() - begun
    for name in ("many.npy", "images.npy"):
        (folder / name).unlink()
    return {"paint": seconds, "peak": max(peaks)}


def main() -> None:
    folder, method = Path(sys.argv[1]), sys.argv[2]
    if len(sys.argv) > 3:
        pixel = np.load(folder / f"{method}.npy")
        layout = Layout(np.arange(len(pixel)), pixel, square_shape(len(pixel)), method)
        print(json.dumps(paint_file(folder, layout, int(sys.argv[3]))))
        return
    training, samples = np.load(folder / "training.npy"), np.load(folder / "samples.npy")
    genes = pd.read_csv(folder / "genes.tsv", sep="\t", dtype={"gene": str, "chromosome": str}).set_index(
        "gene"
    )
    shape = square_shape(len(genes))
    with patch.object(_embedding, "snap", wraps=_embedding.snap) as snapped:
        begun, worked = time.perf_counter(), time.process_time()
        pixel = place_genes(method, training, genes, shape, np.random.default_rng(1))
        told = {"fit": time.perf_counter() - begun, "fit_cpu": time.process_time() - worked}
    np.save(folder / f"{method}.npy", pixel)
    if snapped.called:
        by_id = np.argsort(genes.index.to_numpy(dtype=str), kind="stable")
        binned = np.empty(len(genes), np.intp)
        binned[by_id] = put_in_bins(snapped.call_args.args[0], shape)
        np.save(folder / f"{method}, binned.npy", binned)
    layout = Layout(genes.index.to_numpy(dtype=str), pixel, shape, method)
    floor, images = numba.njit(scatter), np.zeros((len(samples), layout.n_pixels), np.float32)
    ways = {
        "paint": lambda: layout.paint(samples),
        "floor": lambda: floor(samples, pixel, layout.share, images),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    # By turns, so that what else the machine does meets both.
    for _ in range(12):
        for way, paint in ways.items():
            begun = time.perf_counter()
            paint()
            seconds[way].append(time.perf_counter() - begun)
    told |= {way: min(each) for way, each in seconds.items()}
    told |= {"compile": seconds["paint"][0] - told["paint"], "peak": read_memory("VmHWM")}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
