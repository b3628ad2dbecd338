"""Training: curves of the final trainings, and what each network is."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Part, Table
from expressionist.report.figures import draw_training
from expressionist.report.marks import Marks


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
    picture = marks.show(
        draw_training(histories),
        "Loss and validation macro-F1 per epoch, a column per backbone",
        "Every training runs all its epochs, and the last one is kept; no epoch is chosen on validation "
        "samples.",
        backbones=trainings,
    )
    rows = [_state_training(backbone, record) for backbone, record in trainings.items()]
    return Part(
        pictures=[picture], tables=[Table(pd.DataFrame(rows), "Final trainings", formats={"seconds": ".1f"})]
    )


def _state_training(backbone: str, record: Mapping[str, Any]) -> dict[str, Any]:
    last = record["history"][-1]
    return {
        "backbone": backbone,
        "depth": record["depth"],
        "unfrozen_layers": ", ".join(record["unfrozen_layers"]) or "none (head only)",
        "epochs": len(record["history"]),
        "loss": last["loss"],
        "validation_log_loss": last["validation_log_loss"],
        "validation_accuracy": last["validation_accuracy"],
        "validation_f1_macro": last["validation_f1_macro"],
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
