"""Paint every sample."""

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.progress import Progress

from expressionist.data import SUBSETS, read_cohort, read_split
from expressionist.files import Compute, allocate_rows, cut_spans, run_shards, share_folder, write_whole
from expressionist.painting import N_ROWS, find_samples, make_painter, read_layout, write_images
from expressionist.report import draw_differences, draw_preview, stamp, write_figure

_N_PAIRS = 6


def run(*, cohort: Path, split: Path, layout: Path, scheduler: str | None, out: Path) -> None:
    """Write a memory-mappable array of images per subset of the split, and two sheets of them.

    `<subset>.npy` is of shape (n_samples, height, width, 1). A `scheduler` is that of a Dask cluster.
    """
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, scale, _, about = read_layout(layout)
    paint_elsewhere = None
    if scheduler is not None:
        paint_elsewhere = functools.partial(
            _paint_on_cluster, cohort.absolute(), split.absolute(), layout.absolute(), scheduler=scheduler
        )
    with write_whole(out) as partial:
        partial.mkdir()
        with Progress() as progress:
            task = progress.add_task("painting", total=len(rows))
            write_images(
                partial,
                found,
                rows,
                laid,
                scale,
                subsets=SUBSETS,
                on_progress=lambda n: progress.advance(task, n),
                paint_elsewhere=paint_elsewhere,
            )
        means = _mean_images(np.load(partial / "train.npy", mmap_mode="r"), rows)
        figure = draw_preview(means, found.tumour_types, laid.overlap)
        write_figure(partial / "preview.png", stamp(figure, synthetic=about["synthetic"]))
        figure = _draw_differences(means, found.tumour_types, laid.overlap)
        write_figure(partial / "differences.png", stamp(figure, synthetic=about["synthetic"]))


def _paint_on_cluster(
    cohort: Path,
    split: Path,
    layout: Path,
    path: Path,
    shape: tuple[int, ...],
    subset: str,
    *,
    scheduler: str,
) -> Iterator[int]:
    """Have a cluster paint. Painting is quick, so a killed run begins anew, with or without one."""
    allocate_rows(path, shape, "float32")
    shards = list(cut_spans([(0, shape[0])], N_ROWS))
    work = functools.partial(_open_work, cohort, split, layout, subset)
    with share_folder(path.parent) as shared:
        for first, last in run_shards(work, [path], shards, scheduler=scheduler, shared=shared):
            yield last - first


def _open_work(cohort: Path, split: Path, layout: Path, subset: str) -> Compute:
    """Open cohort and layout: called once in every worker."""
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, scale, _, _ = read_layout(layout)
    return make_painter(found, find_samples(found, rows, subset), laid, scale)


def _mean_images(images: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
    """Average the training images of every tumour type: shape (n_types, height, width)."""
    types = rows.loc[rows["split"] == "train", "tumour_type"]
    belongs = pd.get_dummies(types, dtype=np.float32).to_numpy()
    sums = np.zeros((belongs.shape[1], images[0].size))
    for start in range(0, len(images), N_ROWS):
        block = images[start : start + N_ROWS]
        sums += belongs[start : start + N_ROWS].T @ block.reshape(len(block), -1)
    return (sums / belongs.sum(axis=0)[:, None]).reshape(-1, *images.shape[1:3])


def _draw_differences(means: np.ndarray, tumour_types: list[str], overlap: np.ndarray) -> Figure:
    """Draw what sets the most similar tumour types apart: the pairs whose mean images differ least."""
    firsts, seconds = np.triu_indices(len(means), k=1)
    flat = means.reshape(len(means), -1)
    nearest = np.argsort([np.linalg.norm(flat[i] - flat[j]) for i, j in zip(firsts, seconds, strict=True)])
    chosen = [(firsts[pair], seconds[pair]) for pair in nearest[:_N_PAIRS]]
    names = [(tumour_types[i], tumour_types[j]) for i, j in chosen]
    return draw_differences(np.stack([means[i] - means[j] for i, j in chosen]), names, overlap)
