"""Training: curves of the final trainings."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.figures.learning import draw_training
from expressionist.report.finished_run import FinishedRun

# What each of the head's classifiers sees, by the names that they have in the network.
_SEEN = {"classifier": "picture", "linear_classifier": "genes", "rank_classifier": "ranks"}
_AT_THE_END = ("loss", "validation_log_loss", "validation_accuracy", "validation_f1_macro")


def describe(run: FinishedRun) -> Part:
    """Show how the final trainings went."""
    histories = {backbone: pd.DataFrame(record["history"]) for backbone, record in run.trainings.items()}
    picture = run.marks.show(
        draw_training(histories),
        "Loss and validation macro-F1 per epoch, a column per backbone",
        "Every training runs all its epochs, and the last one is kept; no epoch is chosen on validation "
        "samples.",
        backbones=run.trainings,
    )
    rows = pd.DataFrame([_state(backbone, record) for backbone, record in run.trainings.items()])
    table = Table(
        rows.drop(columns=list(_AT_THE_END)),
        "Final trainings",
        "Shares: those by which the scores of the classifiers of the picture, the genes and the ranks are "
        "summed, as validation samples set them.",
        formats={"seconds": ".1f"},
        headings={"shares": "Shares of the classifiers"},
    )
    scores = Table(rows[["backbone", *_AT_THE_END]], "After the last epoch")
    return Part(pictures=[picture], tables=[table, scores])


def _state(backbone: str, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "backbone": backbone,
        "depth": record["depth"],
        "epochs": len(record["history"]),
        **{measure: record["history"][-1][measure] for measure in _AT_THE_END},
        "seconds": record["seconds"],
        "shares": ", ".join(f"{_SEEN[name]} {share:.0%}" for name, share in record["shares"].items()),
        "unfrozen_layers": ", ".join(record["unfrozen_layers"]) or "none (head only)",
    }
