"""Images: what a picture is made of, and what lies where on it."""

from collections.abc import Iterator, Mapping

from expressionist.explain import match_markers, matched_by
from expressionist.report.content import Part, Picture
from expressionist.report.figures.images import (
    draw_chromosomes,
    draw_clusters,
    draw_markers,
    draw_overlap,
    name_chromosomes,
    share_alike,
)
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, format_value, spell

MATCHED = {
    "planted": "Markers are those that the simulator planted: it is known which genes ought to be found.",
    "entrez": "Markers are established marker genes from the literature, found here by their Entrez ids.",
    "symbol": "Markers are established marker genes from the literature, found here by their symbols.",
    "nothing": "No established marker gene is among the genes of this cohort (as for miRNAs), so there is no "
    "map of markers, and attributions cannot be scored against known markers.",
    "unnamed": "Established marker genes are known for tumour types under TCGA’s study codes, such as "
    "UVM, and no type here is called so: there is no map of markers, and attributions cannot be scored "
    "against known ones. cohort.merge_types in params.yaml gives types these names.",
}
_TOLD = set(
    "method shape unit cohort synthetic merged n_genes n_genes_of_cohort n_without_position score".split()
)
_CLEARLY = 2  # times as often as by chance neighbours must share a chromosome for the map to be shown
_SCORES = {
    "neighbour_correlation": "Mean correlation of genes side by side",
    "neighbour_correlation_held_out": "The same on validation samples",
    "trustworthiness": "Trustworthiness of the layout (1: all neighbours on it are co-expressed)",
    "pixels_used": "Share of pixels with a gene",
    "genes_alone": "Share of genes alone on their pixel",
}


def describe(run: FinishedRun) -> Part:
    """Say what the images are made of, and show them and what lies where."""
    layout, about, matched = run.layout, run.about, _find_match(run)
    height, width = layout.shape
    facts = {
        "Image": f"{height} × {width} pixels",
        "Layout method": layout.method,
        "Genes painted": f"{about['n_genes']:,} of {about['n_genes_of_cohort']:,}, the most variable ones",
        "Pixels without a gene": format_value(int((layout.overlap == 0).sum())),
        **_tell_positions(layout.method, about),
        **{spell(key): format_value(value, key) for key, value in about.items() if key not in _TOLD},
        **_tell_score(about.get("score", {})),
    }
    pictures = [
        Picture(
            run.preview,
            "Mean image of every tumour type",
            "Mean image of the training samples of every tumour type, all on one colour scale.",
        ),
        Picture(
            run.differences,
            "Difference of the mean images of tumour types, pair by pair",
            "The pairs of types whose mean images, over training samples, differ least. Which these are "
            "hangs on numbers of samples, too: means of few lie apart by chance, so that this says nothing "
            "of kinship. Red pixels hold genes that are higher in the type named first, blue ones in the "
            "second. The colour scale ends at the 99.5th percentile.",
        ),
        *_draw_maps(run, matched),
    ]
    return Part([MATCHED[matched]], facts, pictures)


def _find_match(run: FinishedRun) -> str:
    """Say how markers are found, as `matched_by` does, or that those of no type of the cohort are known."""
    how = matched_by(run.genes)
    if how == "nothing":
        return how
    known = match_markers(run.genes, run.about.get("merged"))
    return how if {*known} & {*run.split["tumour_type"]} else "unnamed"


def _tell_positions(method: str, about: Mapping[str, int]) -> dict[str, str]:
    """Say how many genes have no place on a chromosome, where the layout goes by it."""
    used = method == "chromosome"
    return {"Genes without a known position": format_value(about["n_without_position"])} if used else {}


def _tell_score(score: Mapping[str, float | None]) -> dict[str, str]:
    """Spell out what `score_layout` measured, without what could not be told."""
    known = {key: value for key, value in score.items() if value is not None}
    return {words: f"{known[key]:.3f}" for key, words in _SCORES.items() if key in known}


def _draw_maps(run: FinishedRun, matched: str) -> Iterator[Picture]:
    """Draw what can be told: chromosomes, clusters and markers where they are known, and any overlap."""
    layout, genes = run.layout, run.genes
    if "chromosome" in genes:
        names = name_chromosomes(genes["chromosome"].to_numpy(object))
        alike, by_chance = share_alike(layout.pixel, names, layout.shape)
        # Where genes lie as if by lot, the map is noise.
        if alike >= _CLEARLY * by_chance:
            yield run.marks.show(
                draw_chromosomes(layout.pixel, names, layout.shape),
                "Map of the chromosome of every gene on the image",
                "Which chromosome the gene of a pixel lies on: the same one as its neighbour's in "
                f"{alike:.0%} of the pairs, where {by_chance:.0%} would be by chance.",
            )
    if "cluster" in genes:
        yield run.marks.show(
            draw_clusters(layout.pixel, genes["cluster"].to_numpy(int), layout.shape),
            "Map of the cluster of co-expressed genes that every gene on the image belongs to",
            "Genes that rise and fall together over the training samples (k-means on their "
            "correlations), the largest cluster first. A layout that keeps them together shows patches.",
        )
    if layout.overlap.max() > 1:
        n_shared = count(int((layout.overlap > 1).sum()), "pixel")
        yield run.marks.show(
            draw_overlap(layout.overlap),
            "Number of pixels by number of genes on them",
            f"Genes that share a pixel are averaged; {n_shared} hold several.",
        )
    if matched not in ("nothing", "unnamed"):
        types = sorted(run.split["tumour_type"].unique())
        yield run.marks.show(
            draw_markers(layout.pixel, match_markers(genes, run.about.get("merged")), types, layout.shape),
            "Map of the marker genes of every tumour type on the image",
            "Where the markers of every type lie; the number is how many of them are among the genes "
            "painted.",
        )
