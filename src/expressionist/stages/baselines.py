"""Fit the opponents: what a picture network has to beat, on the same genes, rows and split."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from expressionist.data import read_cohort, read_split, to_log2
from expressionist.evaluation import Fold, fit_opponent, tabulate_predictions, write_predictions
from expressionist.files import write_json, write_whole
from expressionist.painting import read_layout, take_painted
from expressionist.params import BaselinesParams


def run(baselines: BaselinesParams, *, cohort: Path, split: Path, layout: Path, out: Path) -> None:
    """Write the predictions of every opponent for validation and test samples, and what each chose.

    They see the genes that are painted.
    """
    rows, (laid, *_) = read_split(split), read_layout(layout)
    found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
    log2, tumour_types = to_log2(found.expression, found.unit), found.tumour_types
    types = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    n_types, sides = len(tumour_types), rows["split"].to_numpy()
    training, validation = (
        Fold(log2[sides == side], types[sides == side]) for side in ("train", "validation")
    )
    held_out = sides != "train"
    about = {}
    with write_whole(out) as partial:
        partial.mkdir()
        for name in track(baselines.opponents, description="opponents"):
            started = time.perf_counter()
            opponent = fit_opponent(name, training, validation, n_types=n_types, seed=baselines.seed)
            about[name] = {"choice": opponent.choice, "seconds": time.perf_counter() - started}
            probabilities = opponent.predict_proba(np.ascontiguousarray(log2[held_out]))
            predictions = tabulate_predictions(rows[held_out], probabilities, tumour_types)
            write_predictions(partial / f"{name}.tsv", predictions)
        write_json(partial / "baselines.json", about)
