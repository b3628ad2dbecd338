"""The model card of a version: what it is for, what it was made of and tested on, and its limits."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from expressionist.evaluation import format_threshold
from expressionist.tracking.serving import Served

CARD_FILE = "card.md"
# As the documentation of Keras Applications states them.
_LICENCES = {
    "xception": "MIT",
    "densenet169": "BSD 3-Clause",
    "resnet50": "MIT (ported from Kaiming He's)",
    "vgg19": "Creative Commons Attribution 4.0 (ported from those of VGG, Oxford)",
    "mobilenet": "Apache 2.0",
}
_SHOWN = ("accuracy", "f1_macro", "balanced_accuracy", "log_loss", "ece")
# Below so many test samples, scores of a type say little.
_FEW = 10


def write_card(served: Served, metrics: Mapping[str, Any], by_type: pd.DataFrame) -> str:
    """Write the card of a version from facts.

    Parameters
    ----------
    served : Served
        What the version says of its network; of `about`, ``backbone``, ``depth`` and ``verdict``.
    metrics : mapping
        Content of metrics.json: ``test``, ``test_interval`` and ``n_test``.
    by_type : pandas.DataFrame
        Content of per_type.tsv.

    Returns
    -------
    str
        Markdown.
    """
    about, n_types = served.about, len(served.tumour_types)
    least = 1 - served.missing_genes
    lines = [
        f"# {about['backbone']}, fine-tuned at depth {about['depth']}",
        "",
        *_mark(served),
        "",
        "## Intended use",
        "",
        f"Research on which of {n_types} tumour types a sample of bulk RNA-Seq is most like. It takes a "
        f"table of samples × genes in {_plain(served.unit)} with at least {least:.0%} of its "
        f"{len(served.genes):,} genes. Answers of less than {format_threshold(served.abstain_below)} "
        "probability are marked `abstain`, and samples unlike its training samples `unlike_training`.",
        "",
        "## Data",
        "",
        f"Cohort {_plain(served.cohort)}, divided by patient; {metrics['n_test']:,} test samples took no "
        f"part in training, nor in any choice. {_tell_members(about.get('members', 0))}",
        "",
        "## Scores on test samples",
        "",
        *_tabulate(["score", "value", "interval"], _list_scores(metrics)),
        "",
        "## Limits",
        "",
        *_list_limits(served, by_type),
        "",
        "## Licence of the weights",
        "",
        _name_licence(served.weights, str(about["backbone"])),
        "",
        "## Scores by tumour type",
        "",
        *_tabulate(["type", "test samples", "precision", "recall", "F1"], _list_types(by_type)),
    ]
    return "\n".join(lines) + "\n"


def _tell_members(n_members: int) -> str:
    if n_members == 0:
        return "The network was trained on training patients, and calibrated on validation patients."
    made = f"the mean of {n_members} trainings" if n_members > 1 else "of one training"
    return (
        f"The network is {made} on training and validation patients, at the temperature that validation "
        "patients set before they were learned."
    )


def _mark(served: Served) -> list[str]:
    marks = ["**Research use only: not for diagnosis, nor for any decision on a patient.**"]
    if served.synthetic:
        marks += ["", "**SYNTHETIC: its samples were simulated; of real tumours it knows nothing.**"]
    if served.weights == "RANDOM":
        marks += ["", "**RANDOM: no weights were pretrained; its scores are no measure of the method.**"]
    return marks


def _list_limits(served: Served, by_type: pd.DataFrame) -> list[str]:
    few = [_plain(name) for name in by_type["type"][by_type["n_samples"] < _FEW]]
    limits = [
        f"- {_plain(served.about['verdict'])}",
        "- It was trained and tested on one cohort: on samples of another laboratory or another protocol it "
        "may do worse. `expressionist validate` scores it there.",
        "- It answers with one of its own types, whatever it is given; marks for foreign types miss some.",
        "- Genes that an explanation names speak for an answer of the network; they need not cause anything.",
    ]
    if few:
        limits.append(f"- Fewer than {_FEW} test samples are of {', '.join(few)}: their scores say little.")
    return limits


def _name_licence(weights: str, backbone: str) -> str:
    if weights == "RANDOM":
        return "None: the backbone started from random weights."
    licence = _LICENCES.get(backbone, "not known here: look it up before passing the model on")
    return (
        f"It started from the ImageNet weights of Keras Applications for {backbone}: {licence}. The images "
        "of ImageNet are for non-commercial research."
    )


def _list_scores(metrics: Mapping[str, Any]) -> list[list[str]]:
    test, intervals = metrics["test"], metrics["test_interval"]
    return [
        [name, f"{test[name]:.3f}", "{:.3f} to {:.3f}".format(*intervals[name])]
        for name in _SHOWN
        if name in test
    ]


def _list_types(by_type: pd.DataFrame) -> list[list[str]]:
    return [
        [
            _plain(row.type),
            f"{row.n_samples}",
            *(f"{row[name]:.2f}" for name in ("precision", "recall", "f1")),
        ]
        for _, row in by_type.iterrows()
    ]


def _tabulate(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rules = ["---"] * len(headings)
    return [f"| {' | '.join(row)} |" for row in (headings, rules, *rows)]


def _plain(text: object) -> str:
    """Keep a name from a file from being read as HTML, a link, a picture, or the end of a cell or a line."""
    marked = re.sub(r"([\\`|\[\]])", r"\\\1", escape(str(text), quote=False))
    return " ".join(marked.split())
