"""Score one trained network: the only place where a network meets the test samples."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
from rich.progress import track

from expressionist import layers as _layers  # noqa: F401  registers the layers that the model file names
from expressionist.figures.drawing import stamp
from expressionist.figures.scores import draw_confusion
from expressionist.metrics import bootstrap, confusion, per_type, score
from expressionist.params import EvaluationParams
from expressionist.store import (
    read_cohort,
    read_json,
    read_layout,
    read_split,
    tabulate_predictions,
    write_figure,
    write_json,
    write_predictions,
    write_table,
    write_whole,
)

_N_ROWS = 64


def run(
    evaluation: EvaluationParams, *, cohort: Path, split: Path, layout: Path, model: Path, out: Path
) -> None:
    """Write predictions, scores with bootstrap intervals, the per-type table and the confusion matrix.

    The whole network is given expression, as a user of the registered model will give it.

    Parameters
    ----------
    evaluation : EvaluationParams
        Bootstrap intervals.
    cohort, split, layout, model : pathlib.Path
        Outputs of the stages `prepare`, `split`, `layout` and `train`.
    out : pathlib.Path
        Folder to write.
    """
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, *_ = read_layout(layout)
    about = read_json(model / "training.json")
    tumour_types = about["tumour_types"]
    held_out = rows[rows["split"] != "train"]
    found = found.take(
        found.samples.index.get_indexer(held_out.index), found.genes.index.get_indexer(pd.Index(laid.genes))
    )
    whole = keras.saving.load_model(model / "model.keras", compile=False)
    starts = range(0, len(held_out), _N_ROWS)
    probabilities = np.concatenate(
        [
            whole.predict_on_batch(found.expression[start : start + _N_ROWS])
            for start in track(starts, description=f"{about['backbone']}: predicting")
        ]
    ).astype(np.float64)
    truth = pd.Index(tumour_types).get_indexer(pd.Index(held_out["tumour_type"]))
    validation, test = ((held_out["split"] == side).to_numpy() for side in ("validation", "test"))
    with write_whole(out) as partial:
        partial.mkdir()
        write_predictions(
            partial / "predictions.tsv", tabulate_predictions(held_out, probabilities, tumour_types)
        )
        counts = confusion(probabilities[test], truth[test])
        write_table(partial / "confusion.tsv", pd.DataFrame(counts, index=tumour_types, columns=tumour_types))
        figure = stamp(
            draw_confusion(counts, tumour_types),
            synthetic=about["synthetic"],
            random_weights=about["weights"]["random"],
        )
        write_figure(partial / "confusion.png", figure)
        write_table(
            partial / "per_type.tsv", per_type(probabilities[test], truth[test], tumour_types), index=False
        )
        scores = {
            "validation": score(probabilities[validation], truth[validation]),
            "test": score(probabilities[test], truth[test]),
            "test_interval": bootstrap(
                probabilities[test],
                truth[test],
                n_resamples=evaluation.n_resamples,
                level=evaluation.level,
                rng=np.random.default_rng(evaluation.seed),
                patients=held_out["patient"].to_numpy()[test],
            ),
            "n_test": int(test.sum()),
        }
        write_json(partial / "metrics.json", scores)
