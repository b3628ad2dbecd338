"""MicroRNA of the Pan-Cancer Atlas, batch-corrected for protocol and platform.

Reads per million, on a linear scale. Behind the ids stands a column ``Correction``, which says whether the
miRNA was adjusted.
"""

from pathlib import Path
from typing import Any

from expressionist.data.cohort import Cohort
from expressionist.data.merged_types import NOTHING_MERGED, Merged
from expressionist.data.readers.raw_files import RawFile
from expressionist.data.sources._pancan import PancanOptions, list_published, read_pancan
from expressionist.data.sources._tcga_rules import read_aside

EXPRESSION = RawFile(
    "expression",
    "1c6174d9-8ffb-466e-b5ee-07b204c15cf8",
    "pancanMiRs_EBadjOnProtocolPlatformWithoutRepsWithUnCorrectMiRs_08_04_16.csv",
    67_167_640,
    "c7501dc3c505ca172a6a05b611bd11c3",
)
Options = PancanOptions


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the published files, as given or from the mirror."""
    return list_published(options, EXPRESSION)


def read(options: Options, raw: Path, merged: Merged = NOTHING_MERGED) -> tuple[Cohort, dict[str, Any]]:
    """Read the miRNA cohort in RPM, with miRNAs called by name."""
    return read_pancan(options, raw, EXPRESSION, n_before=2, name="pancan-mirna", unit="RPM", merged=merged)


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read the normal tissue of the same files."""
    return read_aside(read, options, raw)
