"""Calibrate one trained network and score it: the only place where a network meets the test samples."""

from pathlib import Path

import numpy as np
from rich.progress import Progress

from expressionist.data import read_cohort, read_split
from expressionist.files import read_json, write_whole
from expressionist.network import load_network, predict_logits
from expressionist.painting import read_layout, take_painted
from expressionist.params import EvaluationParams
from expressionist.pipeline import write_evaluation


def run(
    evaluation: EvaluationParams,
    *,
    cohort: Path,
    split: Path,
    layout: Path,
    model: Path,
    novelty: Path,
    out: Path,
) -> None:
    """Write predictions, scores with intervals, the temperature, and what the probabilities are worth.

    Temperature and the confidence below which no answer is given are set on validation samples. The whole
    network is given expression, as a user of the registered model will give it.
    """
    rows, (laid, *_) = read_split(split), read_layout(layout)
    found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
    about = read_json(model / "training.json")
    tumour_types = about["tumour_types"]
    held_out = (rows["split"] != "train").to_numpy()
    rows = rows[held_out]
    network = load_network(model / "model.keras")
    with Progress() as progress:
        task = progress.add_task(f"{about['backbone']}: predicting", total=len(rows))
        places = np.flatnonzero(held_out)
        logits = predict_logits(
            network, found.expression, places, on_progress=lambda n: progress.advance(task, n)
        )
    marks = {"synthetic": about["synthetic"], "random_weights": about["weights"]["random"]}
    with write_whole(out) as partial:
        given = rows, logits, tumour_types, evaluation, read_json(novelty), marks
        write_evaluation(partial, *given, found.merged)
