"""The page on a cohort's quality: what was kept, what was missing, and what the samples differ by."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import AS_IS_UNIT, LOG2_UNIT, Cohort, project, share_between, to_log2
from expressionist.report.chapters.cohort import describe_cohort
from expressionist.report.content import Marks, Part, Picture, ReportContent, Table
from expressionist.report.figures.cohort import (
    draw_components,
    draw_kept,
    draw_library_sizes,
    draw_missing,
    draw_samples,
)
from expressionist.report.glossary import spell_types
from expressionist.report.page import build_page
from expressionist.report.words import count, join

# Columns of the sample table that name where and how a sample was measured.
_TECHNICAL = ("platform", "plate", "batch", "centre")
_N_COMPONENTS = 5


def build_quality_page(cohort: Cohort, quality: Mapping[str, Any]) -> str:
    """Put a cohort's quality on one page.

    Parameters
    ----------
    cohort : Cohort
        What was kept.
    quality : mapping
        Content of quality.json.

    Returns
    -------
    str
        An HTML page that refers to nothing outside itself. The same cohort gives the same page.
    """
    return build_page(describe_quality(cohort, quality))


def describe_quality(cohort: Cohort, quality: Mapping[str, Any]) -> ReportContent:
    """Put together what the quality page shows."""
    marks = Marks(cohort.synthetic)
    return ReportContent(
        title=f"{cohort.name}: quality of the cohort",
        synthetic=cohort.synthetic,
        tumour_types=spell_types(cohort.tumour_types, cohort.merged),
        cohort=describe_cohort(quality, _show_samples(cohort, quality, marks)),
        missing=_describe_missing(quality, marks),
        library_sizes=_describe_sizes(cohort, marks),
        components=_describe_components(cohort, marks),
        limits=None,
    )


def _show_samples(cohort: Cohort, quality: Mapping[str, Any], marks: Marks) -> Picture:
    alt = "Number of samples per tumour type"
    if "types" not in quality:
        return marks.show(draw_samples(cohort.samples[["tumour_type"]]), alt, "Samples per tumour type.")
    types = quality["types"]
    return marks.show(
        draw_kept(types["read"], types["kept"]),
        f"{alt}, before and after the rules",
        "Samples per tumour type: grey as read, blue (and the number) as kept.",
    )


def _describe_missing(quality: Mapping[str, Any], marks: Marks) -> Part | None:
    genes = quality.get("genes", {"rules": []})
    entry = next((rule for rule in genes["rules"] if "fate" in rule), None)
    if not entry:
        return None
    by_type, n_genes = entry["by_type"], genes["read"]
    if not by_type:
        return Part([f"No gene of {n_genes:,} lacks a value in any sample kept."])
    most = sorted(by_type, key=lambda name: -by_type[name])
    sentences = [
        f"{count(entry['n'], 'gene')} of {n_genes:,} had no value in some sample kept, most of "
        f"them in {join(f'{name} ({by_type[name]:,})' for name in most[:4])}. {entry['fate']}"
    ]
    picture = marks.show(
        draw_missing({name: by_type.get(name, 0) for name in quality["types"]["kept"]}, n_genes),
        "Number of genes without a value, by tumour type",
        "Genes that lack a value in at least one sample of the type, before anything was done about them.",
    )
    return Part(sentences, pictures=[picture])


def _describe_sizes(cohort: Cohort, marks: Marks) -> Part | None:
    if cohort.unit == AS_IS_UNIT:
        return None
    is_log2 = cohort.unit == LOG2_UNIT
    linear = np.exp2(cohort.expression) - 1 if is_log2 else cohort.expression
    sizes = linear.sum(axis=1, dtype=np.float64)
    types = cohort.samples["tumour_type"].to_numpy(str)
    low, middle, high = np.quantile(sizes, [0, 0.5, 1])
    picture = marks.show(
        draw_library_sizes(np.maximum(sizes, 1e-6), types, "2^x - 1" if is_log2 else cohort.unit),
        "Library sizes by tumour type",
        "Boxes: quartiles. Whiskers: 5th to 95th percentile. Logarithmic axis.",
    )
    facts = {"Smallest": f"{low:,.0f}", "Median": f"{middle:,.0f}", "Largest": f"{high:,.0f}"}
    return Part(facts=facts, pictures=[picture])


def _describe_components(cohort: Cohort, marks: Marks) -> Part:
    points, shares = project(to_log2(cohort.expression, cohort.unit), _N_COMPONENTS, seed=1)
    groupings = {
        name.replace("_", " "): cohort.samples[name].fillna("unknown").astype(str).to_numpy()
        for name in ("tumour_type", *_TECHNICAL)
        if name in cohort.samples and cohort.samples[name].nunique() > 1
    }
    rows = pd.DataFrame({"component": np.arange(len(shares)) + 1, "variance": shares})
    rows = rows.assign(**{name: share_between(points, groups) for name, groups in groupings.items()})
    titles = {f"by {name} ({len(set(groups))})": groups for name, groups in groupings.items()}
    pictures = []
    if points.shape[1] > 1 and titles:
        pictures = [
            marks.show(
                draw_components(points, shares.tolist(), titles),
                f"Samples on two principal components, coloured by {join(groupings)}",
                "A point is a sample. Few groups have a key; of more, names stand at the median of their "
                "group, or beside it where there is no room; very many have none.",
            )
        ]
    table = Table(
        rows,
        "What the components go with",
        "Share of the variance of the most variable genes that a component explains, and share of the "
        "component's variance that lies between groups. Where tumour types were measured on different "
        "platforms or plates, both shares are high for one reason; many small groups reach a high share by "
        "chance alone.",
        formats=dict.fromkeys(["variance", *groupings], ".0%"),
    )
    return Part(pictures=pictures, tables=[table])
