"""Attribute the winner's decisions to genes, beside the controls that make marker recovery evidence."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from expressionist.data import read_cohort, read_split, to_log2
from expressionist.evaluation import lose_genes, read_predictions
from expressionist.explain import (
    attribute,
    choose_samples,
    cross_check,
    matched_by,
    mean_by_type,
    rank_genes,
    summarise_gaps,
    tabulate_gaps,
    tabulate_rankings,
)
from expressionist.files import read_json, write_arrays, write_json, write_table, write_whole
from expressionist.network import load_network, logits_of_scaled
from expressionist.painting import read_layout, take_painted
from expressionist.params import AttributionParams


def run(
    attribution: AttributionParams,
    *,
    cohort: Path,
    split: Path,
    layout: Path,
    models: Path,
    evaluations: Path,
    comparison: Path,
    out: Path,
) -> None:
    """Write attributions, top genes, completeness gaps, marker recovery with controls, and the cross-check.

    Explained are test samples that the winning network classifies correctly. What missing genes would cost it
    is tried on validation samples.
    """
    winner = read_json(comparison)["winner"]
    rows, (laid, scale, genes, _) = read_split(split), read_layout(layout)
    found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
    log2 = to_log2(found.expression, found.unit)
    scaled = scale.apply(log2)
    tumour_types: list[str] = read_json(models / winner / "training.json")["tumour_types"]
    types = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    predictions, *_ = read_predictions(evaluations / winner / "predictions.tsv", "test")
    explained = choose_samples(predictions, rows, attribution)
    targets = types[explained]
    zero = scale.apply(np.zeros((1, len(genes)), np.float32))[0]
    references = {"mean": genes["mean"].to_numpy(np.float32), "zero": zero}
    temperature = read_json(evaluations / winner / "probabilities.json")["temperature"]
    network = load_network(models / winner / "model.keras", temperature)
    logits, training = logits_of_scaled(network), np.flatnonzero(rows["split"] == "train")
    with Progress() as progress:

        def start_progress(description: str, total: int | None) -> Callable[[int], object]:
            task = progress.add_task(description, total=total)
            return lambda n: progress.advance(task, n)

        results = attribute(
            network, logits, scaled[explained], targets, references, attribution, start_progress
        )
    values = {name: each.values for name, each in results.items()}
    rankings = rank_genes(values, targets, log2[training], types[training], len(tumour_types))
    n_top, seed = attribution.n_top, attribution.seed
    tables = tabulate_rankings(rankings, values["mean"], targets, tumour_types, genes, laid, n_top)
    tables["cross_check"] = cross_check(logits, scaled, training, explained, types, values["mean"], seed)
    gaps = summarise_gaps(results, attribution)
    validation = (rows["split"] == "validation").to_numpy()
    facts = {
        "backbone": winner,
        "n_samples": len(explained),
        "n_genes": len(genes),
        "markers_matched_by": matched_by(genes),
        **gaps,
        "missing_genes": lose_genes(
            lambda given: logits.predict(given, verbose=0),
            scaled[validation],
            references["mean"],
            types[validation],
            rng=np.random.default_rng(seed),
        ),
        "params": asdict(attribution),
        "tumour_types": tumour_types,
    }
    with write_whole(out) as partial:
        partial.mkdir()
        n_samples = np.bincount(targets, minlength=len(tumour_types))
        expression = mean_by_type(scaled[explained], targets, len(tumour_types))
        write_arrays(partial / "attributions.npz", **rankings, n_samples=n_samples, expression=expression)
        write_table(partial / "samples.tsv", tabulate_gaps(results, rows.iloc[explained]))
        for name, table in tables.items():
            write_table(partial / f"{name}.tsv", table, index=False)
        write_json(partial / "explanation.json", facts)
    median, p95 = (gaps["gap"]["mean"][key] for key in ("median", "p95"))
    Console().print(f"{len(explained)} samples explained; gap median {median:.2%}, 95th percentile {p95:.2%}")
