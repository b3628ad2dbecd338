"""Images: what a picture is made of, and what lies where on it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from expressionist.painting import Layout
from expressionist.report.content import Part, Picture
from expressionist.report.figures import draw_chromosomes, draw_clusters, draw_crowding, draw_markers
from expressionist.report.marks import Marks
from expressionist.report.tables import format_value, spell
from expressionist.report.words import count

MATCHED = {
    "planted": "Markers are those that the simulator planted: it is known which genes ought to be found.",
    "entrez": "Markers are established marker genes from the literature, found here by their Entrez ids.",
    "symbol": "Markers are established marker genes from the literature, found here by their symbols.",
    "nothing": "No established marker gene is among the genes of this cohort (as for miRNAs), so there is no "
    "map of markers, and attributions cannot be scored against known markers.",
}
_TOLD = frozenset(
    {
        "method",
        "shape",
        "unit",
        "cohort",
        "synthetic",
        "n_genes",
        "n_genes_of_cohort",
        "n_without_position",
        "score",
    }
)
_SCORES = {
    "neighbour_correlation": "Mean correlation of genes side by side",
    "neighbour_correlation_held_out": "The same on validation samples",
    "trustworthiness": "Trustworthiness of the layout",
    "pixels_used": "Share of pixels with a gene",
    "genes_alone": "Share of genes alone on their pixel",
}


def describe_images(
    layout: Layout,
    genes: pd.DataFrame,
    about: Mapping[str, Any],
    preview: bytes,
    differences: bytes,
    markers: Mapping[str, np.ndarray],
    matched_by: str,
    tumour_types: Sequence[str],
    marks: Marks,
) -> Part:
    """Describe the images of a run.

    Parameters
    ----------
    layout : Layout
        Gene → pixel.
    genes : pandas.DataFrame of length n_genes
        Gene table in the order of the layout, with ``chromosome`` where it is known.
    about : mapping
        Content of layout.json.
    preview : bytes
        PNG of the sheet of mean images.
    differences : bytes
        PNG of the sheet of differences between mean images.
    markers : mapping of str to numpy.ndarray
        Tumour type → positions of its markers among the genes.
    matched_by : str
        How they were found: planted, entrez, symbol or nothing.
    tumour_types : sequence of str
        Types of the cohort.
    marks : Marks
        What figures must say.

    Returns
    -------
    Part
        The section.
    """
    height, width = layout.shape
    facts = {
        "Image": f"{height} × {width} pixels",
        "Layout method": layout.method,
        "Genes painted": f"{about['n_genes']:,} of {about['n_genes_of_cohort']:,}, the most variable ones",
        "Pixels without a gene": format_value(int((layout.crowding == 0).sum())),
        "Genes without a known position": format_value(about["n_without_position"]),
        **{spell(key): format_value(value, key) for key, value in about.items() if key not in _TOLD},
        **_tell_score(about.get("score", {})),
    }
    pictures = [
        Picture(
            preview,
            "Mean image of every tumour type",
            "Mean image of the training samples of every tumour type, all on one colour scale.",
        ),
        Picture(
            differences,
            "Difference of the mean images of tumour types, pair by pair",
            "What sets the most similar types apart: the pairs whose mean images, over training samples, "
            "differ least. Red pixels hold genes that are higher in the type named first, blue ones in the "
            "second. The colour scale ends at the 99.5th percentile.",
        ),
    ]
    pictures += _draw_maps(layout, genes, marks)
    if matched_by != "nothing":
        pictures.append(
            marks.show(
                draw_markers(layout.pixel, _name_owners(markers, len(genes)), tumour_types, layout.shape),
                "Map of the marker genes of every tumour type on the image",
                "Where the markers of every type lie; the number is how many of them are among the genes "
                "painted.",
            )
        )
    return Part([MATCHED[matched_by]], facts, pictures)


def _tell_score(score: Mapping[str, float | None]) -> dict[str, str]:
    """Spell out what `layout_score` measured, without what could not be told."""
    known = {key: value for key, value in score.items() if value is not None}
    return {words: f"{known[key]:.3f}" for key, words in _SCORES.items() if key in known}


def _draw_maps(layout: Layout, genes: pd.DataFrame, marks: Marks) -> list[Picture]:
    """Draw what can be told: chromosomes and clusters where they are known, crowding where there is any."""
    pictures = []
    if "chromosome" in genes and genes["chromosome"].notna().any():
        pictures.append(
            marks.show(
                draw_chromosomes(layout.pixel, genes["chromosome"].to_numpy(object), layout.shape),
                "Map of the chromosome of every gene on the image",
                "Which chromosome the gene of a pixel lies on.",
            )
        )
    if "cluster" in genes:
        pictures.append(
            marks.show(
                draw_clusters(layout.pixel, genes["cluster"].to_numpy(int), layout.shape),
                "Map of the cluster of co-expressed genes that every gene on the image belongs to",
                "Genes that rise and fall together over the training samples (k-means on their "
                "correlations), the largest cluster first. A layout that keeps them together shows patches.",
            )
        )
    if layout.crowding.max() > 1:
        pictures.append(
            marks.show(
                draw_crowding(layout.crowding),
                "Number of pixels by number of genes on them",
                f"Genes that share a pixel are averaged; {count(int((layout.crowding > 1).sum()), 'pixel')} "
                "hold several.",
            )
        )
    return pictures


def _name_owners(markers: Mapping[str, np.ndarray], n_genes: int) -> np.ndarray:
    """Name the types that every gene is a marker of, comma separated: shape (n_genes,)."""
    owners: list[list[str]] = [[] for _ in range(n_genes)]
    for tumour_type, positions in markers.items():
        for position in positions:
            owners[position].append(tumour_type)
    return np.array([",".join(names) for names in owners], object)
