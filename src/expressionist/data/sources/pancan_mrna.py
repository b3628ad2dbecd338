"""mRNA of the Pan-Cancer Atlas: 20,531 genes of 11,069 aliquots of 33 tumour types.

RSEM estimates, normalised to an upper quartile of 1,000, then adjusted for platform, centre and plate (EB++);
linear scale. The adjustment leaves values below 0, and genes without values for some platforms.
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
    "3586c0da-64d0-4b74-a449-5ff4d9136611",
    "EBPlusPlusAdjustPANCAN_IlluminaHiSeq_RNASeqV2.geneExp.tsv",
    1_882_540_959,
    "02e72c33071307ff6570621480d3c90b",
)
Options = PancanOptions


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the published files, as given or from the mirror."""
    return list_published(options, EXPRESSION)


def read(options: Options, raw: Path, merged: Merged = NOTHING_MERGED) -> tuple[Cohort, dict[str, Any]]:
    """Read the mRNA cohort in RSEM, with genes called by Entrez id."""
    return read_pancan(options, raw, EXPRESSION, n_before=1, name="pancan-mrna", unit="RSEM", merged=merged)


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read the normal tissue of the same files."""
    return read_aside(read, options, raw)
