"""Choose the genes, their scale and their pixels, on training samples only."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from expressionist.data import assign_sets, keep_listed, read_cohort, read_split, to_log2
from expressionist.painting import cluster_genes, lay_out, read_options, score_layout, write_layout
from expressionist.params import ExpressionParams, LayoutParams


def run(
    expression: ExpressionParams,
    layout: LayoutParams,
    *,
    cohort: Path,
    split: Path,
    lists: Path,
    out: Path,
) -> None:
    """Write `genes.tsv` (scale, mean, pixel and cluster of every painted gene) and `layout.json` (its score).

    Everything is fitted on training samples; the score's held-out part is from validation samples. `lists`
    is the folder with the list of genes to choose from, and the gene sets that the method ``pathway`` reads.
    """
    whole = read_cohort(cohort / "cohort.h5ad")
    found, listed = keep_listed(whole, expression.genes, lists)
    subsets = read_split(split).loc[found.samples.index, "split"]
    training, validation = (
        to_log2(found.expression[(subsets == subset).to_numpy()], found.unit)
        for subset in ("train", "validation")
    )
    options = read_options(layout, lists)
    begun = time.perf_counter()
    laid, scale, chosen = lay_out(training, found.genes, expression, layout, options)
    seconds = time.perf_counter() - begun
    genes, shape = found.genes.iloc[chosen], laid.shape
    scaled, held_out = (scale.apply(log2[:, chosen]) for log2 in (training, validation))
    score = score_layout(scaled, laid.pixel, shape, held_out=held_out, seed=layout.seed)
    n_unplaced = int(genes["start"].isna().sum()) if "start" in genes else len(genes)
    about = {
        "unit": found.unit,
        "cohort": found.name,
        "synthetic": found.synthetic,
        "merged": found.merged,
        "n_genes": len(genes),
        "n_genes_of_cohort": len(whole.genes),
        **listed,
        "n_without_position": n_unplaced,
        "greatest_overlap": int(laid.overlap.max()),
        **_count_in_sets(genes, options),
        # Without the seconds: the same params must give the same bytes, or all that follows runs again.
        "score": score,
    }
    clusters = cluster_genes(scaled, seed=layout.seed)
    write_layout(out, laid, scale, genes.assign(mean=scaled.mean(axis=0), cluster=clusters), about)
    Console().print(
        f"{len(genes):,} of {len(whole.genes):,} genes on {shape[0]} × {shape[1]} pixels by "
        f"{layout.method}" + (f"; {n_unplaced:,} without a position" if layout.method == "chromosome" else "")
    )
    if listed:
        Console().print(f"{listed['n_listed_missing']:,} of {listed['n_listed']:,} listed genes missing")
    if "n_genes_in_sets" in about:
        Console().print(
            f"{about['n_genes_in_sets']:,} genes in {about['n_gene_sets']:,} gene sets, "
            f"{len(genes) - about['n_genes_in_sets']:,} in none"
        )
    Console().print(_say_score(score, seconds))


def _count_in_sets(genes: pd.DataFrame, options: Mapping[str, Any]) -> dict[str, int]:
    if "gene_sets" not in options:
        return {}
    chosen = pd.Series(assign_sets(genes, options["gene_sets"]))
    return {"n_genes_in_sets": int(chosen.notna().sum()), "n_gene_sets": int(chosen.nunique())}


def _say_score(score: Mapping[str, float | None], seconds: float) -> str:
    words = {
        "neighbour_correlation": "correlation of neighbours",
        "neighbour_correlation_held_out": "on validation samples",
        "trustworthiness": "trustworthiness",
    }
    told = [f"{word} {score[key]:.3f}" for key, word in words.items() if score[key] is not None]
    return ", ".join([f"fitted in {seconds:.1f} s", *told, f"{score['genes_alone']:.0%} of genes alone"])
