"""Paint every sample."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.progress import track

from expressionist.figures.drawing import stamp
from expressionist.figures.images import draw_differences, draw_preview
from expressionist.image_sets import write_images
from expressionist.split import SIDES
from expressionist.store import read_cohort, read_layout, read_split, write_figure, write_whole

_N_ROWS = 256
_N_PAIRS = 6


def run(*, cohort: Path, split: Path, layout: Path, out: Path) -> None:
    """Write one memory-mappable array of images per side of the split, and two sheets of them.

    Parameters
    ----------
    cohort, split, layout : pathlib.Path
        Outputs of the stages `prepare`, `split` and `layout`.
    out : pathlib.Path
        Folder to write: `<side>.npy` of shape (n_samples, height, width, 1), `images.json`, `preview.png`,
        `differences.png`.
    """
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, scale, _, about = read_layout(layout)
    with write_whole(out) as partial:
        partial.mkdir()
        write_images(
            partial,
            found,
            rows,
            laid,
            scale,
            sides=SIDES,
            watch=lambda starts, side: track(starts, description=f"painting {side}"),
        )
        means = _mean_images(np.load(partial / "train.npy", mmap_mode="r"), rows)
        figure = draw_preview(means, found.tumour_types, laid.crowding)
        write_figure(partial / "preview.png", stamp(figure, synthetic=about["synthetic"]))
        figure = _draw_differences(means, found.tumour_types, laid.crowding)
        write_figure(partial / "differences.png", stamp(figure, synthetic=about["synthetic"]))


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
