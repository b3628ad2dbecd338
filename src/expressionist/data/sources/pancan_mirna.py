"""MicroRNA of the Pan-Cancer Atlas, batch-corrected for protocol and platform.

Reads per million, on a linear scale. Behind the ids stands a column ``Correction``, which says whether the
miRNA was adjusted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expressionist.data.cohort import Cohort
from expressionist.data.readers.raw_files import RawFile
from expressionist.data.sources._normals import read_aside
from expressionist.data.sources._pancan import read_pancan
from expressionist.data.sources._published import PancanOptions, Published, list_published

EXPRESSION = Published(
    "1c6174d9-8ffb-466e-b5ee-07b204c15cf8",
    "pancanMiRs_EBadjOnProtocolPlatformWithoutRepsWithUnCorrectMiRs_08_04_16.csv",
    67_167_640,
    "c7501dc3c505ca172a6a05b611bd11c3",
)


@dataclass(frozen=True)
class Options(PancanOptions):
    """Files and rules, as `expressionist.data.sources._published.PancanOptions` has them."""


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the published files, as given or from the mirror."""
    return list_published(options, EXPRESSION)


def read(options: Options, raw: Path) -> tuple[Cohort, dict[str, Any]]:
    """Read the miRNA cohort of the Pan-Cancer Atlas from fetched files.

    Parameters
    ----------
    options : Options
        Rules.
    raw : pathlib.Path
        Folder of the stage `fetch`.

    Returns
    -------
    cohort : Cohort
        In RPM; miRNAs called by name.
    quality : dict
        How many samples, genes and values each rule dropped or changed.

    Raises
    ------
    CohortError
        If a file is malformed or nothing is left to learn from.
    """
    return read_pancan(options, raw, n_before=2, name="pancan-mirna", unit="RPM")


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read normal tissue, see `expressionist.data.sources._normals.read_aside`."""
    return read_aside(read, options, raw)
