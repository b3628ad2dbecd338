"""Explain the winner: samples, tumour types and errors, beside the controls that make this evidence."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from expressionist.data import name_copy, read_cohort, read_gene_sets, read_split, to_log2
from expressionist.evaluation import lose_genes, read_predictions, unpack_linear
from expressionist.explain import Explained, explain_network
from expressionist.files import read_arrays, read_json, write_arrays, write_json, write_table, write_whole
from expressionist.network import load_network, logits_of_scaled
from expressionist.painting import read_layout, take_painted
from expressionist.params import AttributionParams, EvaluationParams


def run(
    attribution: AttributionParams,
    evaluation: EvaluationParams,
    *,
    cohort: Path,
    split: Path,
    lists: Path,
    layout: Path,
    baselines: Path,
    trained: Path,
    models: Path,
    evaluations: Path,
    comparison: Path,
    out: Path,
) -> None:
    """Write attributions, rankings with their controls, what tells siblings apart, and the errors explained.

    What missing genes would cost the winner is tried on validation samples, with what was `trained` without
    them.
    """
    winner = read_json(comparison)["winner"]
    rows, (laid, scale, genes, _) = read_split(split), read_layout(layout)
    found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
    log2 = to_log2(found.expression, found.unit)
    tumour_types: list[str] = read_json(models / winner / "training.json")["tumour_types"]
    linear = unpack_linear(read_arrays(baselines / "linear.npz")).get("logistic_regression")
    about = Explained(
        rows=rows,
        predictions=read_predictions(evaluations / winner / "predictions.tsv", "test")[0],
        log2=log2,
        scaled=scale.apply(log2),
        types=pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"])),
        tumour_types=tumour_types,
        reference=genes["mean"].to_numpy(np.float32),
        genes=genes,
        layout=laid,
        coefficients=linear.weights if linear else None,
        effect=found.truth["effect"][tumour_types].to_numpy().T if found.truth else None,
        gene_sets=read_gene_sets(lists / name_copy(attribution.gene_sets)) if attribution.gene_sets else None,
        merged=found.merged,
    )
    temperature = read_json(evaluations / winner / "probabilities.json")["temperature"]
    network = load_network(models / winner / "model.keras", temperature)
    with Progress() as progress:

        def start_progress(description: str, total: int | None) -> Callable[[int], object]:
            task = progress.add_task(description, total=total)
            return lambda n: progress.advance(task, n)

        explanation = explain_network(network, about, attribution, evaluation, start_progress)
    logits = logits_of_scaled(load_network(trained / winner / "model.keras"))
    validation = (rows["split"] == "validation").to_numpy()
    missing = lose_genes(
        lambda given: logits.predict(given, verbose=0),
        about.scaled[validation],
        about.reference,
        about.types[validation],
        rng=np.random.default_rng(attribution.seed),
    )
    facts = {
        "backbone": winner,
        **explanation.facts,
        "missing_genes": missing,
        "params": asdict(attribution),
        "tumour_types": tumour_types,
    }
    with write_whole(out) as partial:
        partial.mkdir()
        write_arrays(partial / "attributions.npz", **explanation.arrays)
        for name, table in explanation.tables.items():
            write_table(partial / f"{name}.tsv", table, index=False)
        write_json(partial / "explanation.json", facts)
    gap, n_samples = facts["gap"], facts["n_samples"]
    Console().print(
        f"{n_samples} samples explained; gap median {gap['median']:.2%}, 95th percentile {gap['p95']:.2%}"
    )
