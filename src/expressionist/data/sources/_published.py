"""The published files of the Pan-Cancer Atlas, and the options of the sources that read them.

They are those of the GDC's publication page (gdc.cancer.gov/about-data/publications/pancanatlas), with size
and md5 of its manifest.
"""

from dataclasses import dataclass, field
from typing import Annotated

from expressionist.data.readers.raw_files import RawFile, list_given
from expressionist.data.sources._aliquots import AliquotRules
from expressionist.params import Must, OneOf, key


@dataclass(frozen=True)
class Published:
    """A file of the publication page, as its manifest has it."""

    uuid: str
    filename: str
    size: int
    md5: str


ANNOTATIONS = Published(
    "1a7d7be8-675d-4e60-a105-19d4121bdebf",
    "merged_sample_quality_annotations.tsv",
    8_463_670,
    "05ddd2270fb1fb24fbdc2fe9bf7384e5",
)
CLINICAL = Published(
    "1b5f413e-a8d1-4d10-92eb-7c4ae739ed81",
    "TCGA-CDR-SupplementalTableS1.xlsx",
    2_945_129,
    "a4591b2dcee39591f59e5e25a6ce75fa",
)


@dataclass(frozen=True)
class _Files:
    expression: str | None = field(metadata=key("Null: downloaded; or a file or URL of yours."))
    annotations: str | None = field(
        metadata=key("`merged_sample_quality_annotations.tsv`, likewise: null or yours.")
    )
    clinical: str | None = field(
        metadata=key("`TCGA-CDR-SupplementalTableS1.xlsx`, likewise: null or yours.")
    )
    positions: str | None = field(
        metadata=key("File or URL of where the genes lie, of any kind named above.")
    )
    mirror: Annotated[
        str, Must("be an http or https URL", lambda url: url.startswith(("http://", "https://")))
    ] = field(metadata=key("URL below which the files stand by their UUID."))
    verify: bool = field(
        metadata=key(
            "`true`: every file must have the size and md5 of the GDC's manifest, wherever it comes from. "
            "`false`: for a part, or a repacked one."
        )
    )
    do_not_use: Annotated[str, OneOf(lambda: ("drop", "keep"))] = field(
        metadata=key("What becomes of aliquots that the atlas advises against.")
    )
    excluded_by_awg: Annotated[str, OneOf(lambda: ("drop", "keep"))] = field(
        metadata=key("What becomes of aliquots that its working groups excluded after pathology review.")
    )


@dataclass(frozen=True)
class PancanOptions(AliquotRules, _Files):
    """Files and rules of a cohort of the Pan-Cancer Atlas.

    Parameters
    ----------
    expression, annotations, clinical : str, optional
        Files below ``cohort.folder``, or http(s) URLs; downloaded from the mirror if not given.
    positions : str, optional
        File or URL: where the genes lie, in a format that `expressionist.data.readers.positions` knows.
    mirror : str
        URL below which the files stand by their UUID.
    verify : bool
        Whether files must have the published size and md5; for those who give a part, or repacked ones.
    do_not_use, excluded_by_awg : str
        ``drop`` or ``keep``: what becomes of aliquots with these verdicts.
    sample_types, more_sample_types, aliquots, missing, unnamed, smallest_type, normal_types
        As in `expressionist.data.sources._aliquots.AliquotRules`.
    """


def list_published(options: PancanOptions, expression: Published) -> tuple[RawFile, ...]:
    """List the three published files, as given or from the mirror, and the positions.

    Parameters
    ----------
    options : PancanOptions
        Which are given.
    expression : Published
        The expression file of the source.
    """
    wanted = {"expression": expression, "annotations": ANNOTATIONS, "clinical": CLINICAL}
    files = []
    for option, published in wanted.items():
        given = getattr(options, option)
        address = given or f"{options.mirror.rstrip('/')}/{published.uuid}"
        files.append(
            RawFile(
                option,
                address,
                filename=None if given else published.filename,
                size=published.size if options.verify else None,
                md5=published.md5 if options.verify else None,
            )
        )
    return (*files, *list_given(options, "positions"))
