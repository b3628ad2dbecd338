"""The workspace of a training: the files that it starts from, and the folder that keeps what it computes."""

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """Where fine-tuning finds its data, and how it keeps what it computes.

    Parameters
    ----------
    split, layout, images : pathlib.Path
        Outputs of the stages of that name.
    cache : pathlib.Path
        Folder of frozen activations, checkpoints and local studies; may be deleted at any time.
    cache_gigabytes : float
        Room that the frozen activations may take.
    scheduler : str, optional
        Of the Dask cluster that computes them.
    """

    split: Path
    layout: Path
    images: Path
    cache: Path
    cache_gigabytes: float = math.inf
    scheduler: str | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder in which a broken-off training finds where it was."""
        return self.cache / "checkpoints"

    def name_storage(self) -> str:
        """Return the URL of the SQLite file for studies, whose folder is made."""
        self.cache.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.cache.resolve() / 'studies.db'}"
