"""Training: curves of the final trainings, and what each network is."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from expressionist.figures import draw_training
from expressionist.report.content import Part, Table
from expressionist.report.marks import Marks
from expressionist.report.words import name


def describe_training(trainings: Mapping[str, Mapping[str, Any]], marks: Marks) -> Part:
    """Show how the final trainings went.

    Parameters
    ----------
    trainings : mapping of str to mapping
        Backbone → content of training.json.
    marks : Marks
        What figures must say.

    Returns
    -------
    Part
        The section.
    """
    histories = {backbone: pd.DataFrame(record["history"]) for backbone, record in trainings.items()}
    best = {backbone: record["best_epoch"] for backbone, record in trainings.items()}
    objective = name(next(iter(trainings.values()))["objective"])
    picture = marks.show(
        draw_training(histories, best),
        "Loss and validation macro-F1 per epoch, a column per backbone",
        f"The epoch kept is the one of best validation {objective}; training stopped when that no longer "
        "improved, or at the last epoch allowed.",
        backbones=trainings,
    )
    rows = [_state_training(backbone, record) for backbone, record in trainings.items()]
    return Part(
        pictures=[picture], tables=[Table(pd.DataFrame(rows), "Final trainings", formats={"seconds": ".1f"})]
    )


def _state_training(backbone: str, record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {row["epoch"]: row for row in record["history"]}[record["best_epoch"]]
    return {
        "backbone": backbone,
        "depth": record["depth"],
        "unfrozen_layers": ", ".join(record["unfrozen_layers"]) or "none (head only)",
        "epochs": len(record["history"]),
        "best_epoch": record["best_epoch"],
        "loss": kept["loss"],
        "validation_log_loss": kept["validation_log_loss"],
        "validation_accuracy": kept["validation_accuracy"],
        "validation_f1_macro": kept["validation_f1_macro"],
        "seconds": record["seconds"],
    }


def tabulate_networks(trainings: Mapping[str, Mapping[str, Any]]) -> Table:
    """Say what each network is, and where its weights come from.

    Parameters
    ----------
    trainings : mapping of str to mapping
        Backbone → content of training.json.
    """
    rows = [
        {
            "backbone": backbone,
            "weights": "RANDOM" if record["weights"]["random"] else record["weights"]["source"],
            "file": record["weights"]["file"].rpartition("/")[2] or None,
            "digest": record["weights"]["digest"][:12],
            "depth": record["depth"],
            "n_unfrozen_parameters": record["n_unfrozen_parameters"],
            "n_parameters": record["n_parameters"],
            "study": record["study"],
        }
        for backbone, record in trainings.items()
    ]
    return Table(
        pd.DataFrame(rows),
        "Networks",
        "Parameters unfrozen are those of the backbone; the head always trains.",
    )
