"""Painted samples with their tumour types: written side by side, and as a network trains on them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.cohort import Cohort
from expressionist.expression import Scale, to_log2
from expressionist.layout import Layout
from expressionist.store import md5, read_array, read_json, read_split, write_array, write_json

_N_ROWS = 256


@dataclass(frozen=True)
class ImageSet:
    """Painted samples of one side of the split.

    Parameters
    ----------
    images : numpy.ndarray of shape (n_samples, height, width, 1)
        Usually memory-mapped.
    types : numpy.ndarray of shape (n_samples,)
        Tumour types as positions.
    digest : str
        Of the images; names them in the cache.
    """

    images: np.ndarray
    types: np.ndarray
    digest: str

    @property
    def labelled_digest(self) -> str:
        """Digest of images and types together: labels can change where the images do not."""
        types = np.ascontiguousarray(self.types, np.int64).tobytes()
        return hashlib.sha256(self.digest.encode() + types).hexdigest()


def write_images(
    folder: Path,
    cohort: Cohort,
    rows: pd.DataFrame,
    layout: Layout,
    scale: Scale,
    *,
    sides: Sequence[str],
    watch: Callable[[range, str], Iterable[int]] = lambda starts, _: starts,
) -> None:
    """Paint the samples of some sides of a split, a block at a time: memory does not grow with their number.

    Parameters
    ----------
    folder : pathlib.Path
        Is there; gets `<side>.npy` of shape (n_samples, height, width, 1) and `images.json`.
    cohort : Cohort
        Holds these samples and all genes of the layout, in any order.
    rows : pandas.DataFrame
        The split table, indexed by sample.
    layout, scale : Layout, Scale
        Fitted on training samples.
    sides : sequence of str
        The sides to paint.
    watch : callable
        Given the first rows of the blocks and the side, passes them on; where progress is shown.
    """
    genes = cohort.genes.index.get_indexer(pd.Index(layout.genes))
    about = {}
    for side in sides:
        samples = cohort.samples.index.get_indexer(rows.index[rows["split"] == side])
        starts = watch(range(0, len(samples), _N_ROWS), side)
        blocks = (cohort.expression[samples[start : start + _N_ROWS]][:, genes] for start in starts)
        path = folder / f"{side}.npy"
        write_array(path, _paint(blocks, cohort.unit, layout, scale), (len(samples), *layout.shape, 1))
        about[side] = {"n_samples": len(samples), "md5": md5(path)}
    write_json(folder / "images.json", {"shape": [*layout.shape, 1], **about})


def _paint(blocks: Iterable[np.ndarray], unit: str, layout: Layout, scale: Scale) -> Iterator[np.ndarray]:
    return (layout.paint(scale.apply(to_log2(block, unit))) for block in blocks)


def read_image_sets(images: Path, split: Path) -> tuple[dict[str, ImageSet], list[str]]:
    """Open the training and the validation images; those of the test samples are not.

    Parameters
    ----------
    images, split : pathlib.Path
        Outputs of the stages of that name.

    Returns
    -------
    sets : dict of str to ImageSet
        ``train`` and ``validation``.
    tumour_types : list of str
        What the positions in their types stand for: all types of the cohort, in alphabetical order.
    """
    rows, about = read_split(split), read_json(images / "images.json")
    tumour_types = sorted(rows["tumour_type"].unique())
    types = pd.Series(pd.Index(tumour_types).get_indexer(rows["tumour_type"]), index=rows.index)
    sets = {
        side: ImageSet(
            read_array(images / f"{side}.npy"),
            types[rows["split"] == side].to_numpy(),
            about[side]["md5"],
        )
        for side in ("train", "validation")
    }
    return sets, tumour_types
