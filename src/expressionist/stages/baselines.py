"""Fit the opponents: what a picture network has to beat, on the same genes, rows and split."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track

from expressionist.data import read_cohort, read_split, to_log2
from expressionist.evaluation import Fold, fit_opponent, tabulate_predictions, write_predictions
from expressionist.files import write_json, write_whole
from expressionist.painting import read_layout
from expressionist.params import BaselinesParams


def run(baselines: BaselinesParams, *, cohort: Path, split: Path, layout: Path, out: Path) -> None:
    """Write the predictions of every opponent for validation and test samples.

    Parameters
    ----------
    baselines : BaselinesParams
        Which opponents.
    cohort, split, layout : pathlib.Path
        Outputs of the stages `prepare`, `split` and `layout`; the opponents see the genes that are painted.
    out : pathlib.Path
        Folder to write: `<opponent>.tsv` and `baselines.json`.
    """
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, *_ = read_layout(layout)
    found = found.take(
        found.samples.index.get_indexer(rows.index), found.genes.index.get_indexer(pd.Index(laid.genes))
    )
    log2 = to_log2(found.expression, found.unit)
    tumour_types = found.tumour_types
    types = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))

    def fold(side: str) -> Fold:
        taken = (rows["split"] == side).to_numpy()
        return Fold(log2[taken], types[taken])

    training, validation = fold("train"), fold("validation")
    held_out = (rows["split"] != "train").to_numpy()
    about = {}
    with write_whole(out) as partial:
        partial.mkdir()
        for name in track(baselines.opponents, description="opponents"):
            started = time.perf_counter()
            opponent = fit_opponent(
                name, training, validation, n_types=len(tumour_types), seed=baselines.seed
            )
            about[name] = {"choice": opponent.choice, "seconds": time.perf_counter() - started}
            probabilities = opponent.predict_proba(np.ascontiguousarray(log2[held_out]))
            write_predictions(
                partial / f"{name}.tsv", tabulate_predictions(rows[held_out], probabilities, tumour_types)
            )
        write_json(partial / "baselines.json", about)
