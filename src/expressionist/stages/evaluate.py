"""Calibrate one trained network and score it: the only place where a network meets the test samples."""

from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import Progress
from scipy.special import softmax

from expressionist.data import read_cohort, read_split
from expressionist.evaluation import (
    confusion,
    fit_temperature,
    flatten_facts,
    judge_probabilities,
    per_type,
    score_subsets,
    tabulate_predictions,
    write_predictions,
)
from expressionist.files import read_json, write_json, write_table, write_whole
from expressionist.network import load_network, predict_logits
from expressionist.painting import read_layout, take_painted
from expressionist.params import EvaluationParams
from expressionist.report import draw_confusion, stamp, write_figure


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
    truth = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    validation = (rows["split"] == "validation").to_numpy()
    network = load_network(model / "model.keras")
    with Progress() as progress:
        task = progress.add_task(f"{about['backbone']}: predicting", total=len(rows))
        places = np.flatnonzero(held_out)
        logits = predict_logits(
            network, found.expression, places, on_progress=lambda n: progress.advance(task, n)
        )
    temperature = fit_temperature(logits[validation], truth[validation])
    probabilities = softmax(logits / temperature, axis=1)
    facts = judge_probabilities(logits, temperature, truth, validation, evaluation.answered_accuracy)
    facts |= read_json(novelty)
    scores = score_subsets(rows, probabilities, truth, evaluation)
    counts = confusion(probabilities[~validation], truth[~validation])
    by_type = per_type(probabilities[~validation], truth[~validation], tumour_types)
    confused = pd.DataFrame(counts, index=tumour_types, columns=tumour_types)
    marks = {"synthetic": about["synthetic"], "random_weights": about["weights"]["random"]}
    predictions = tabulate_predictions(rows, probabilities, tumour_types)
    with write_whole(out) as partial:
        partial.mkdir()
        write_predictions(partial / "predictions.tsv", predictions)
        write_json(partial / "probabilities.json", facts)
        write_json(partial / "metrics.json", scores | {"probabilities": flatten_facts(facts)})
        write_table(partial / "confusion.tsv", confused)
        write_figure(partial / "confusion.png", stamp(draw_confusion(counts, tumour_types), **marks))
        write_table(partial / "per_type.tsv", by_type, index=False)
