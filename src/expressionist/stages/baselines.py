"""Fit the baseline models: what a picture network has to beat, on the same genes, rows and split."""

import time
from pathlib import Path

from rich.progress import track

from expressionist.data import read_cohort, read_split, to_log2
from expressionist.evaluation import (
    LabelledRows,
    fit_baseline,
    pack_linear,
    tabulate_predictions,
    write_predictions,
)
from expressionist.files import write_arrays, write_json, write_whole
from expressionist.painting import read_layout, take_painted
from expressionist.params import BaselinesParams


def run(baselines: BaselinesParams, *, cohort: Path, split: Path, layout: Path, out: Path) -> None:
    """Write what every baseline model, on the genes that are painted, predicts and has chosen.

    Linear ones are written as arrays, too: they travel with the registered model.
    """
    rows, (laid, *_) = read_split(split), read_layout(layout)
    found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
    training, validation = (LabelledRows.take(found, rows["split"], name) for name in ("train", "validation"))
    held_out = (rows["split"] != "train").to_numpy()
    log2, tumour_types = to_log2(found.expression[held_out], found.unit), found.tumour_types
    about, linear = {}, {}
    with write_whole(out) as partial:
        partial.mkdir()
        for name in track(baselines.models, description="models"):
            started = time.perf_counter()
            baseline = fit_baseline(
                name, training, validation, n_types=len(tumour_types), seed=baselines.seed
            )
            about[name] = {"choice": baseline.choice, "seconds": time.perf_counter() - started}
            if (model := baseline.flatten()) is not None:
                linear[name] = model
            probabilities = baseline.predict_proba(log2)
            predictions = tabulate_predictions(rows[held_out], probabilities, tumour_types)
            write_predictions(partial / f"{name}.tsv", predictions)
        write_arrays(partial / "linear.npz", **pack_linear(linear))
        write_json(partial / "baselines.json", about)
