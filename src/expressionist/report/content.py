"""What a report shows: a tree of frozen dataclasses, filled from tables and figures."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure with the words that stand for it and below it.

    Parameters
    ----------
    image : matplotlib.figure.Figure or bytes
        A figure, or a PNG as bytes.
    alt : str
        What the picture shows, for readers who cannot see it.
    caption : str
        How to read it.
    """

    image: Figure | bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table to show; a column with neighbours `_low` and `_high`, or `_sd`, is shown together with them.

    Parameters
    ----------
    rows : pandas.DataFrame
        Shown in this order without its index.
    title : str
        Stands above it.
    caption : str
        How to read it.
    best : hashable, optional
        Index label of the row in bold.
    formats : mapping of str to str
        Column → format spec (such as ``".1%"``), where the default does not do.
    headings : mapping of str to str
        Column → heading, where the default does not do.
    folded : bool
        Whether it opens on a click only.
    """

    rows: pd.DataFrame
    title: str = ""
    caption: str = ""
    best: Hashable | None = None
    formats: Mapping[str, str] = field(default_factory=dict)
    headings: Mapping[str, str] = field(default_factory=dict)
    folded: bool = False


@dataclass(frozen=True)
class Part:
    """What a section holds: sentences, named facts, pictures and tables, shown in this order.

    Parameters
    ----------
    sentences : sequence of str
        A paragraph each.
    facts : mapping of str to object
        Name → value; values are shown as text.
    pictures : sequence of Picture
        Shown below each other.
    tables : sequence of Table
        Shown below each other.
    """

    sentences: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Verdict:
    """Who won.

    Parameters
    ----------
    sentence : str
        The plain statement.
    headline : mapping of str to str
        The few numbers that a reader should see first.
    part : Part
        What supports it, such as the McNemar tests.
    """

    sentence: str
    headline: Mapping[str, str] = field(default_factory=dict)
    part: Part = field(default_factory=Part)


@dataclass(frozen=True)
class TypePart:
    """The attributions of one tumour type.

    Parameters
    ----------
    tumour_type : str
        Its code.
    summary : str
        One line that is seen while the rest is folded, such as the top three genes.
    part : Part
        Expression and attribution image, top genes.
    """

    tumour_type: str
    summary: str = ""
    part: Part = field(default_factory=Part)


@dataclass(frozen=True)
class ReportContent:
    """Everything a page shows; a section left at None is left out of it and its navigation.

    Parameters
    ----------
    title : str
        Heading of the page.
    run : Part, optional
        What was run: cohort, unit, digest of the parameters, git commit, backbones, weights.
    synthetic : bool
        Whether the cohort was simulated; the page then says so above everything else.
    random_weights : sequence of str
        Backbones that started from random weights; the page then says so above everything else.
    random_because : str
        Why they did.
    verdict : Verdict, optional
        Who won.
    cohort, missing, library_sizes, components : Part, optional
        The sections about the cohort, in the order of the page.
    images, comparison, search, errors, probabilities, training, attributions, cross_check : Part, optional
        The sections about the networks, likewise.
    types : sequence of TypePart
        Below the attributions, one per tumour type.
    limits : sequence of str, optional
        Limits of this run, beside those that always hold; None where there is no network.
    """

    title: str
    run: Part | None = None
    synthetic: bool = False
    random_weights: Sequence[str] = ()
    random_because: str = ""
    verdict: Verdict | None = None
    cohort: Part | None = None
    missing: Part | None = None
    library_sizes: Part | None = None
    components: Part | None = None
    images: Part | None = None
    comparison: Part | None = None
    search: Part | None = None
    errors: Part | None = None
    probabilities: Part | None = None
    training: Part | None = None
    attributions: Part | None = None
    types: Sequence[TypePart] = ()
    cross_check: Part | None = None
    limits: Sequence[str] | None = ()
