"""What a page shows: a tree of frozen dataclasses, filled from tables and figures."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from expressionist.report.figures.drawing import stamp


@dataclass(frozen=True)
class Picture:
    """A figure, or a PNG as bytes, with words for readers who cannot see it, and how to read it."""

    image: Figure | bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table; a column with neighbours `_low` and `_high`, or `_sd`, is shown together with them."""

    rows: pd.DataFrame
    title: str = ""
    caption: str = ""
    best: Hashable | None = None  # label of the row in bold
    formats: Mapping[str, str] = field(default_factory=dict)  # by column, where not as `format_value` has it
    headings: Mapping[str, str] = field(default_factory=dict)
    folded: bool = False  # opens on a click


@dataclass(frozen=True)
class Part:
    """What a section holds: sentences (a paragraph each), facts, pictures and tables, shown in this order."""

    sentences: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Verdict:
    """Who won, in a sentence; the few numbers that a reader should see first; and what supports it."""

    sentence: str
    headline: Mapping[str, str] = field(default_factory=dict)
    part: Part = field(default_factory=Part)


@dataclass(frozen=True)
class TypePart:
    """What marks one tumour type, and the line that is seen while they are folded."""

    tumour_type: str
    summary: str = ""
    part: Part = field(default_factory=Part)


@dataclass(frozen=True)
class ReportContent:
    """Everything a page shows; a section left at None is left out of it and its navigation.

    `limits` stand beside those that always hold; None where there is no network. `tumour_types` are names by
    code, `links` pages on genes by gene id, and `files` the files that a section's tables come from, by the
    section's name. `registration` says what became of the model, until `state_registration` knows better.
    """

    title: str
    run: Part | None = None
    synthetic: bool = False
    random_weights: Sequence[str] = ()
    random_because: str = ""
    origin: Sequence[str] = ()
    registration: str = ""
    tumour_types: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    verdict: Verdict | None = None
    cohort: Part | None = None
    missing: Part | None = None
    library_sizes: Part | None = None
    components: Part | None = None
    images: Part | None = None
    comparison: Part | None = None
    picture: Part | None = None
    search: Part | None = None
    errors: Part | None = None
    probabilities: Part | None = None
    training: Part | None = None
    attributions: Part | None = None
    rankings: Part | None = None
    types: Sequence[TypePart] = ()
    pathways: Part | None = None
    siblings: Part | None = None
    cross_check: Part | None = None
    limits: Sequence[str] | None = ()
    chapters: Mapping[str, Part] = field(default_factory=dict)
    small_print: bool = False  # on few sheets of paper

    @property
    def named_chapters(self) -> list[tuple[str, str, Part]]:
        """Chapters of a page's own, by heading, with the names that links to them have."""
        return [(heading.lower().replace(" ", "-"), heading, part) for heading, part in self.chapters.items()]


@dataclass(frozen=True)
class Marks:
    """What every figure of a run must say wherever it is copied to, if its numbers are not of patients."""

    synthetic: bool = False
    random_weights: Sequence[str] = ()

    def show(self, figure: Figure, alt: str, caption: str = "", *, backbones: Iterable[str] = ()) -> Picture:
        """Stamp a figure, in place, and turn it into a picture; `backbones` have results in it."""
        random = not set(self.random_weights).isdisjoint(backbones)
        return Picture(stamp(figure, synthetic=self.synthetic, random_weights=random), alt, caption)
