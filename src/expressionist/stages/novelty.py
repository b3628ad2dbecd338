"""Fit the score of what is unlike the training cohort, once for all networks: it sees none of them."""

from pathlib import Path

import pandas as pd

from expressionist.data import read_cohort, read_split, to_log2
from expressionist.evaluation import Footprint, judge_novelty
from expressionist.files import write_arrays, write_json, write_whole
from expressionist.painting import read_layout, take_painted
from expressionist.params import EvaluationParams


def run(evaluation: EvaluationParams, *, cohort: Path, split: Path, layout: Path, out: Path) -> None:
    """Write the score, `novelty.npz`, and what it flags among test samples and normal tissue.

    Beside it, `training.npz` is the footprint of the training samples, which other cohorts are held against.
    """
    rows, (laid, *_) = read_split(split), read_layout(layout)
    found = take_painted(read_cohort(cohort / "cohort.h5ad"), rows, laid)
    path = cohort / "normals.h5ad"
    normals = read_cohort(path) if path.exists() else None
    novelty, facts = judge_novelty(found, rows, normals, evaluation)
    train = (rows["split"] == "train").to_numpy()
    log2 = to_log2(found.expression[train], found.unit)
    names = found.tumour_types
    types = pd.Index(names).get_indexer(pd.Index(rows["tumour_type"][train]))
    patients, is_test = rows["patient"].astype(str), rows["split"] == "test"
    footprint = Footprint.leave(
        log2, types, len(names), patients[~is_test], novelty, tested=patients[is_test]
    )
    with write_whole(out) as partial:
        partial.mkdir()
        write_arrays(partial / "novelty.npz", **novelty.to_arrays())
        write_arrays(partial / "training.npz", **footprint.to_arrays())
        write_json(partial / "novelty.json", facts)
