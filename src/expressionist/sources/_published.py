"""The published files of the Pan-Cancer Atlas, and the options of the sources that read them.

They are those of the GDC's publication page (gdc.cancer.gov/about-data/publications/pancanatlas), with size
and md5 of its manifest.
"""

from dataclasses import dataclass, field

from expressionist.errors import ParamsError
from expressionist.sources._aliquots import AliquotRules
from expressionist.sources._raw_files import RawFile, list_given


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
    expression: str | None
    annotations: str | None
    clinical: str | None
    positions: str | None
    mirror: str
    verify: bool
    do_not_use: str = field(metadata={"words": ("drop", "keep")})
    excluded_by_awg: str = field(metadata={"words": ("drop", "keep")})


@dataclass(frozen=True)
class PancanOptions(AliquotRules, _Files):
    """Files and rules of a cohort of the Pan-Cancer Atlas.

    Parameters
    ----------
    expression, annotations, clinical : str, optional
        Files below ``cohort.folder``, or http(s) URLs; downloaded from the mirror if not given.
    positions : str, optional
        File or URL: where the genes lie, in a format that `expressionist.sources._positions` knows.
    mirror : str
        URL below which the files stand by their UUID.
    verify : bool
        Whether files must have the published size and md5; for those who give a part, or repacked ones.
    do_not_use, excluded_by_awg : str
        ``drop`` or ``keep``: what becomes of aliquots with these verdicts.
    sample_types, more_sample_types, aliquots, missing, unnamed, smallest_type, normal_types
        As in `expressionist.sources._aliquots.AliquotRules`.
    """


def list_published(options: PancanOptions, expression: Published) -> tuple[RawFile, ...]:
    """List the three published files, as given or from the mirror, and the positions.

    Parameters
    ----------
    options : PancanOptions
        Which are given.
    expression : Published
        The expression file of the source.

    Raises
    ------
    ParamsError
        If the mirror is no http or https URL.
    """
    if not options.mirror.startswith(("http://", "https://")):
        raise ParamsError(f"mirror must be an http or https URL, but got {options.mirror!r}. Correct it.")
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
