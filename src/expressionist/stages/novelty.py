"""Fit the score of what is unlike the training cohort, once for all networks: it sees none of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import AS_IS_UNIT, Cohort, read_cohort, read_split, to_log2
from expressionist.evaluation import Novelty
from expressionist.files import write_arrays, write_json, write_whole
from expressionist.painting import read_layout
from expressionist.params import EvaluationParams

# A handful of normal samples says more about their patients than about normal tissue.
_FEWEST_NORMALS = 10


def run(evaluation: EvaluationParams, *, cohort: Path, split: Path, layout: Path, out: Path) -> None:
    """Write the novelty score, and what it flags among test samples and normal tissue.

    It is fitted on training samples, and its limit is set on validation samples.

    Parameters
    ----------
    evaluation : EvaluationParams
        Share of false alarms.
    cohort, split, layout : pathlib.Path
        Outputs of the stages `prepare`, `split` and `layout`.
    out : pathlib.Path
        Folder to write: `novelty.npz` and `novelty.json`.
    """
    found, rows = read_cohort(cohort / "cohort.h5ad"), read_split(split)
    laid, *_ = read_layout(layout)
    found = found.take(
        found.samples.index.get_indexer(rows.index), found.genes.index.get_indexer(pd.Index(laid.genes))
    )
    truth = np.unique(rows["tumour_type"], return_inverse=True)[1]
    novelty, facts = _judge_novelty(found, rows, truth, cohort / "normals.h5ad", evaluation)
    with write_whole(out) as partial:
        partial.mkdir()
        write_arrays(partial / "novelty.npz", **novelty.to_arrays())
        write_json(partial / "novelty.json", facts)


def _judge_novelty(
    found: Cohort, rows: pd.DataFrame, truth: np.ndarray, normals_path: Path, evaluation: EvaluationParams
) -> tuple[Novelty, dict[str, Any]]:
    """Fit the novelty score, and count what it flags among test samples, as they are and spoilt."""
    train, validation, test = ((rows["split"] == side).to_numpy() for side in ("train", "validation", "test"))
    log2 = to_log2(found.expression, found.unit)
    normals, types, sides = _read_normals(normals_path, found, rows, log2[train].mean(axis=0))
    shown = normals[sides == "train"]
    novelty = Novelty.fit(
        log2[train],
        truth[train],
        shown if len(shown) >= _FEWEST_NORMALS else None,
        rng=np.random.default_rng(evaluation.seed),
    ).calibrate(log2[validation], false_alarms=evaluation.false_alarms)
    shuffled = np.random.default_rng(evaluation.seed).permuted(log2[test], axis=1)
    unlike = {"validation": log2[validation], "test": log2[test], "shuffled": shuffled}
    if found.unit != AS_IS_UNIT:
        unlike["linear"] = np.exp2(log2[test]) - 1
    hidden = sides != "train"
    if hidden.any():
        unlike["normal"] = normals[hidden]
    flagged = {name: novelty.score(samples) > 1 for name, samples in unlike.items()}
    facts = {
        "false_alarms": evaluation.false_alarms,
        "n_normals_shown": len(shown) if len(shown) >= _FEWEST_NORMALS else 0,
        "flagged": {name: [int(flags.sum()), len(flags)] for name, flags in flagged.items()},
        "flagged_normals": _count_by_type(types[hidden], flagged.get("normal")),
    }
    return novelty, facts


def _read_normals(
    path: Path, found: Cohort, rows: pd.DataFrame, means: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read normal tissue as log2(x+1) in the cohort's genes, its types, and the sides of its patients."""
    if not path.exists():
        return np.zeros((0, len(means)), np.float32), np.array([]), np.array([])
    normals = read_cohort(path)
    places = normals.genes.index.get_indexer(found.genes.index)
    # As the registered model does it: a gene that is not there has the mean of the training samples.
    log2 = np.tile(means.astype(np.float32), (len(normals.samples), 1))
    log2[:, places >= 0] = to_log2(normals.expression[:, places[places >= 0]], normals.unit)
    side_of = dict(zip(rows["patient"], rows["split"], strict=True))
    # A patient without a tumour sample stands on no side yet.
    sides = np.array([side_of.get(patient, "train") for patient in normals.samples["patient"]])
    return log2, normals.samples["tumour_type"].to_numpy(str), sides


def _count_by_type(types: np.ndarray, flags: np.ndarray | None) -> dict[str, list[int]]:
    if flags is None:
        return {}
    return {
        str(name): [int(flags[types == name].sum()), int((types == name).sum())] for name in np.unique(types)
    }
