"""Paint every sample."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.progress import track

from expressionist.cohort import Cohort
from expressionist.expression import Scale, to_log2
from expressionist.figures.drawing import stamp
from expressionist.figures.images import draw_differences, draw_preview
from expressionist.layout import Layout
from expressionist.row_record import cut_spans
from expressionist.sharding import Compute, allocate_rows, run_shards, share_folder
from expressionist.store import (
    md5,
    read_cohort,
    read_layout,
    read_split,
    write_array,
    write_figure,
    write_json,
    write_whole,
)

_N_ROWS = 256
_N_PAIRS = 6


def run(*, cohort: Path, split: Path, layout: Path, scheduler: str | None, out: Path) -> None:
    """Write one memory-mappable array of images per side of the split, and two sheets of them.

    Parameters
    ----------
    cohort, split, layout : pathlib.Path
        Outputs of the stages `prepare`, `split` and `layout`.
    scheduler : str or None
        Of the Dask cluster that paints; this process does without.
    out : pathlib.Path
        Folder to write: `<side>.npy` of shape (n_samples, height, width, 1), `images.json`, `preview.png`,
        `differences.png`.
    """
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, scale, _, about = read_layout(layout)
    about_images = {}
    with write_whole(out) as partial:
        partial.mkdir()
        for side in ("train", "validation", "test"):
            samples = _find_samples(found, rows, side)
            path, shape = partial / f"{side}.npy", (len(samples), *laid.shape, 1)
            if scheduler is None:
                write_array(
                    path, _paint_blocks(_paint(found, laid, scale, samples), len(samples), side), shape
                )
            else:
                work = functools.partial(
                    _open_work, cohort.absolute(), split.absolute(), layout.absolute(), side
                )
                _share(work, path, shape, side, scheduler)
            about_images[side] = {"n_samples": len(samples), "md5": md5(path)}
        write_json(partial / "images.json", {"shape": [*laid.shape, 1], **about_images})
        means = _mean_images(np.load(partial / "train.npy", mmap_mode="r"), rows)
        figure = draw_preview(means, found.tumour_types, laid.crowding)
        write_figure(partial / "preview.png", stamp(figure, synthetic=about["synthetic"]))
        figure = _draw_differences(means, found.tumour_types, laid.crowding)
        write_figure(partial / "differences.png", stamp(figure, synthetic=about["synthetic"]))


def _find_samples(found: Cohort, rows: pd.DataFrame, side: str) -> np.ndarray:
    return found.samples.index.get_indexer(rows.index[rows["split"] == side])


def _paint(found: Cohort, laid: Layout, scale: Scale, samples: np.ndarray) -> Compute:
    """Make the function that paints some of these samples, block by block."""
    genes = found.genes.index.get_indexer(pd.Index(laid.genes))

    def compute(first: int, last: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        for start in range(first, last, _N_ROWS):
            block = found.expression[samples[start : min(start + _N_ROWS, last)]][:, genes]
            yield start, [laid.paint(scale.apply(to_log2(block, found.unit)))]

    return compute


def _paint_blocks(compute: Compute, n_samples: int, side: str) -> Iterator[np.ndarray]:
    n_blocks = -(-n_samples // _N_ROWS)
    for _, (block,) in track(compute(0, n_samples), description=f"painting {side}", total=n_blocks):
        yield block


def _share(
    work: Callable[[], Compute], path: Path, shape: tuple[int, ...], side: str, scheduler: str
) -> None:
    """Have a cluster paint. Painting is quick, so a killed run begins anew, with or without one."""
    allocate_rows(path, shape, "float32")
    shards = list(cut_spans([(0, shape[0])], _N_ROWS))
    with share_folder(path.parent) as shared:
        painted = run_shards(work, [path], shards, scheduler=scheduler, shared=shared)
        for _ in track(painted, description=f"painting {side}", total=len(shards)):
            pass


def _open_work(cohort: Path, split: Path, layout: Path, side: str) -> Compute:
    """Open cohort and layout: called once in every worker."""
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, scale, _, _ = read_layout(layout)
    return _paint(found, laid, scale, _find_samples(found, rows, side))


def _mean_images(images: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
    """Average the training images of every tumour type: shape (n_types, height, width)."""
    types = rows.loc[rows["split"] == "train", "tumour_type"]
    belongs = pd.get_dummies(types, dtype=np.float32).to_numpy()
    sums = np.zeros((belongs.shape[1], images[0].size))
    for start in range(0, len(images), _N_ROWS):
        block = images[start : start + _N_ROWS]
        sums += belongs[start : start + _N_ROWS].T @ block.reshape(len(block), -1)
    return (sums / belongs.sum(axis=0)[:, None]).reshape(-1, *images.shape[1:3])


def _draw_differences(means: np.ndarray, tumour_types: list[str], crowding: np.ndarray) -> Figure:
    """Draw what sets the most similar tumour types apart: the pairs whose mean images differ least."""
    firsts, seconds = np.triu_indices(len(means), k=1)
    flat = means.reshape(len(means), -1)
    nearest = np.argsort([np.linalg.norm(flat[i] - flat[j]) for i, j in zip(firsts, seconds, strict=True)])
    chosen = [(firsts[pair], seconds[pair]) for pair in nearest[:_N_PAIRS]]
    names = [(tumour_types[i], tumour_types[j]) for i, j in chosen]
    return draw_differences(np.stack([means[i] - means[j] for i, j in chosen]), names, crowding)
