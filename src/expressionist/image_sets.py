"""Painted samples with their tumour types, as a network trains on them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from expressionist.store import read_array, read_json, read_split


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
