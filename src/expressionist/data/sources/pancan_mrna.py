"""mRNA of the Pan-Cancer Atlas: 20,531 genes of 11,069 aliquots of 33 tumour types.

RSEM estimates, normalised to an upper quartile of 1,000, then adjusted for platform, centre and plate (EB++);
linear scale. The adjustment leaves values below 0, and genes without values for some platforms.
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
    "3586c0da-64d0-4b74-a449-5ff4d9136611",
    "EBPlusPlusAdjustPANCAN_IlluminaHiSeq_RNASeqV2.geneExp.tsv",
    1_882_540_959,
    "02e72c33071307ff6570621480d3c90b",
)


@dataclass(frozen=True)
class Options(PancanOptions):
    """Files and rules, as `expressionist.data.sources._published.PancanOptions` has them."""


def list_files(options: Options) -> tuple[RawFile, ...]:
    """List the published files, as given or from the mirror."""
    return list_published(options, EXPRESSION)


def read(options: Options, raw: Path) -> tuple[Cohort, dict[str, Any]]:
    """Read the mRNA cohort of the Pan-Cancer Atlas from fetched files.

    Parameters
    ----------
    options : Options
        Rules.
    raw : pathlib.Path
        Folder of the stage `fetch`.

    Returns
    -------
    cohort : Cohort
        In RSEM; genes called by Entrez id.
    quality : dict
        How many samples, genes and values each rule dropped or changed.

    Raises
    ------
    CohortError
        If a file is malformed or nothing is left to learn from.
    """
    return read_pancan(options, raw, n_before=1, name="pancan-mrna", unit="RSEM")


def read_normals(options: Options, raw: Path) -> Cohort | None:
    """Read normal tissue, see `expressionist.data.sources._normals.read_aside`."""
    return read_aside(read, options, raw)
