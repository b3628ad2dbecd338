"""Painted samples with their tumour types: written subset by subset, and as a network trains on them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.data import Cohort, Scale, read_split, to_log2
from expressionist.files import md5, read_array, read_json, write_array, write_json
from expressionist.painting.layout import Layout

Painter = Callable[[int, int], Iterator[tuple[int, list[np.ndarray]]]]
N_ROWS = 256


@dataclass(frozen=True)
class ImageSet:
    """Painted samples of one subset of the split.

    Images are of shape (n_samples, height, width, 1), usually memory-mapped; types are positions and
    patients names, of shape (n_samples,); the digest, of the images, names them in the cache.
    """

    images: np.ndarray
    types: np.ndarray
    digest: str
    patients: np.ndarray

    @property
    def labelled_digest(self) -> str:
        """Digest of images and types together: labels can change where the images do not."""
        types = np.ascontiguousarray(self.types, np.int64).tobytes()
        return hashlib.sha256(self.digest.encode() + types).hexdigest()


def take_painted(cohort: Cohort, rows: pd.DataFrame, layout: Layout) -> Cohort:
    """Return the cohort of a split table's samples and a layout's genes, each in the order given there."""
    genes = cohort.genes.index.get_indexer(pd.Index(layout.genes))
    return cohort.take(cohort.samples.index.get_indexer(rows.index), genes)


def find_samples(cohort: Cohort, rows: pd.DataFrame, subset: str) -> np.ndarray:
    """Return the positions of a subset's samples in a cohort, in the order of the split table."""
    return cohort.samples.index.get_indexer(rows.index[rows["split"] == subset])


def make_painter(cohort: Cohort, samples: np.ndarray, layout: Layout, scale: Scale) -> Painter:
    """Make the function that paints some of these samples: memory does not grow with their number.

    It takes first and last of the `samples`, positions in the cohort, and yields pairs of a block's first row
    and a list of one array, its images.
    """
    genes = cohort.genes.index.get_indexer(pd.Index(layout.genes))

    def paint(first: int, last: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        for start in range(first, last, N_ROWS):
            block = cohort.expression[samples[start : min(start + N_ROWS, last)]][:, genes]
            yield start, [layout.paint(scale.apply(to_log2(block, cohort.unit)))]

    return paint


def write_images(
    folder: Path,
    cohort: Cohort,
    rows: pd.DataFrame,
    layout: Layout,
    scale: Scale,
    *,
    subsets: Sequence[str],
    on_progress: Callable[[int], object] = lambda _: None,
    paint_elsewhere: Callable[[Path, tuple[int, ...], str], Iterable[int]] | None = None,
) -> None:
    """Paint some subsets of a split table, as `<subset>.npy`, and describe them in `images.json`.

    Parameters
    ----------
    folder : pathlib.Path
        Is there; arrays in it are of shape (n_samples, height, width, 1).
    cohort, rows, layout, scale
        As for `make_painter`; the split table, indexed by sample.
    subsets : sequence of str
        The subsets to paint.
    on_progress : callable
        Told how many samples are painted, block by block.
    paint_elsewhere : callable, optional
        Given a file, its shape and the subset, has others paint it; yields how many samples are done.
    """
    about = {}
    for subset in subsets:
        samples = find_samples(cohort, rows, subset)
        path, shape = folder / f"{subset}.npy", (len(samples), *layout.shape, 1)
        if paint_elsewhere is None:
            painted = make_painter(cohort, samples, layout, scale)(0, len(samples))
            write_array(path, _count_rows((images for _, (images,) in painted), on_progress), shape)
        else:
            for n_samples in paint_elsewhere(path, shape, subset):
                on_progress(n_samples)
        about[subset] = {"n_samples": len(samples), "md5": md5(path)}
    write_json(folder / "images.json", {"shape": [*layout.shape, 1], **about})


def _count_rows(blocks: Iterable[np.ndarray], on_progress: Callable[[int], object]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield block
        on_progress(len(block))


def read_image_sets(images: Path, split: Path) -> tuple[dict[str, ImageSet], list[str]]:
    """Open the training and the validation images, by subset; those of the test samples are not.

    Of the outputs of the stages `images` and `split`. Types are positions in what is returned second: all
    tumour types of the cohort, in alphabetical order.
    """
    rows, about = read_split(split), read_json(images / "images.json")
    tumour_types, types = np.unique(rows["tumour_type"], return_inverse=True)
    sets = {}
    for subset in ("train", "validation"):
        own = (rows["split"] == subset).to_numpy()
        patients = rows.loc[own, "patient"].to_numpy(str)
        painted = read_array(images / f"{subset}.npy")
        sets[subset] = ImageSet(painted, types[own], about[subset]["md5"], patients)
    return sets, tumour_types.tolist()
