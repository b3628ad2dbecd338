"""The page of a validation: how a version does on another labelled cohort, and what shifts there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from expressionist.evaluation import LEAST_RANGE, METRICS
from expressionist.report.chapters.errors import rank_confusions
from expressionist.report.content import Marks, Part, Picture, ReportContent, Table, Verdict
from expressionist.report.figures.probabilities import draw_flagged
from expressionist.report.figures.scores import draw_confusion
from expressionist.report.figures.validation import draw_bins, draw_cohorts, draw_shift, draw_travel
from expressionist.report.glossary import spell_types
from expressionist.report.page import build_page
from expressionist.report.words import EXACT, count, join, name

_N_GENES = 20
# Shown beside what they are on the version's own test samples.
_BESIDE = ("accuracy", "f1_macro")


@dataclass(frozen=True, eq=False)
class FinishedValidation:
    """What a validation found, as its page shows it.

    Parameters
    ----------
    facts : mapping
        Content of validation.json: what `judge_external` gave; ``model`` (``name``, ``version``, ``cohort``,
        ``backbone``, ``tumour_types``, ``tested``: scores on its own test samples by model), ``cohort`` (its
        name), ``said`` (sentences on what was read), ``warnings``, ``level``, and ``shift``, the facts of
        `tabulate_shift`.
    shift : pandas.DataFrame
        The table of `tabulate_shift`.
    trained, here : numpy.ndarray of shape (n_samples, 2)
        Training samples, and those of the cohort, on two components.
    labels : numpy.ndarray of shape (n_samples,)
        Types of the latter.
    synthetic, random_weights : bool
        Whether the model was trained on simulated samples, or from random weights.
    """

    facts: Mapping[str, Any]
    shift: pd.DataFrame
    trained: np.ndarray
    here: np.ndarray
    labels: np.ndarray
    synthetic: bool
    random_weights: bool

    @property
    def backbone(self) -> str:
        """The version's network."""
        return str(self.facts["model"]["backbone"])

    def show(self, *told: Any) -> Picture:  # noqa: ANN401  as `Marks.show` takes them
        """Turn a figure that shows the network into a picture."""
        marks = Marks(self.synthetic, [self.backbone] if self.random_weights else [])
        return marks.show(*told, backbones=[self.backbone])


def build_validation_page(found: FinishedValidation) -> str:
    """Put a validation on one page.

    Parameters
    ----------
    found : FinishedValidation
        What it found. All text in it is escaped.

    Returns
    -------
    str
        An HTML page that refers to nothing outside itself. The same validation gives the same page.
    """
    facts = found.facts
    chapters = {
        "Scores beside the version's own": _describe_scores(found),
        "Other types": _describe_foreign(found),
        "Calibration": _describe_calibration(found),
        "Confusions": _describe_confusions(found),
        "What shifts": _describe_shift(found),
    }
    model = facts["model"]
    return build_page(
        ReportContent(
            title=f"{facts['cohort']}: {model['name']} version {model['version']} {_place(facts)}",
            tumour_types=spell_types([*model["tumour_types"], *map(str, found.labels)], model.get("merged")),
            run=_describe_run(facts),
            synthetic=found.synthetic,
            random_weights=[found.backbone] if found.random_weights else [],
            verdict=_declare(found),
            chapters={heading: part for heading, part in chapters.items() if part is not None},
            limits=None,
        )
    )


def _place(facts: Mapping[str, Any]) -> str:
    """Say whether the cohort is another one."""
    own = facts["n_trained"] + facts["n_tested"]
    return "on samples of its own patients" if own else "on another cohort"


def _describe_run(facts: Mapping[str, Any]) -> Part:
    counts, model = facts["counts"], facts["model"]
    shown = {
        "Model": f"{model['name']} version {model['version']} ({model['backbone']})",
        "Trained on": model["cohort"],
        "Samples": f"{counts['n_samples']:,} from {count(counts['n_patients'], 'patient')}",
        "Of types the model knows": f"{counts['n_known']:,} ({count(counts['n_known_types'], 'type')})",
        "Of other types": f"{counts['n_foreign']:,} ({count(counts['n_foreign_types'], 'type')})",
    }
    return Part([*facts["said"], *(f"Warning: {each}" for each in facts["warnings"])], facts=shown)


def _declare(found: FinishedValidation) -> Verdict | None:
    """Say in a sentence how the network does here and on its own test samples, with the first numbers."""
    facts = found.facts
    if not facts["models"]:
        return None
    ours, tested = facts["models"]["network"], facts["model"]["tested"].get(found.backbone, {})
    headline = {}
    for metric in _BESIDE:
        low, high = ours["intervals"][metric]
        headline[f"{name(metric)}, this cohort ({low:.3f}–{high:.3f})"] = f"{ours['scores'][metric]:.3f}"
        if metric in tested:
            headline[f"{name(metric)}, own test samples"] = f"{tested[metric]:.3f}"
    sentence = (
        f"{found.backbone} has {ours['scores']['accuracy']:.1%} accuracy on "
        f"{count(facts['counts']['n_known'], 'sample')} of types that it knows"
    )
    own = f"; on its own test samples it has {tested['accuracy']:.1%}" if "accuracy" in tested else ""
    answered = facts["answered"]
    told = f"It answers {answered['share']:.1%} of these samples"
    told += f", {answered['accuracy']:.1%} of them rightly." if "accuracy" in answered else "."
    note = (
        "This is a research instrument. It is not a diagnostic and must not be used to decide on the care "
        "of a "
        "patient."
    )
    return Verdict(f"{sentence}{own}.", headline, Part([told, note]))


def _describe_scores(found: FinishedValidation) -> Part | None:
    facts = found.facts
    if not facts["models"]:
        return None
    rows = pd.DataFrame([_lay_out(found, model, told) for model, told in facts["models"].items()])
    left = [model for model in facts["model"]["tested"] if model not in (found.backbone, *facts["models"])]
    sentences = [
        "Scores on this cohort are of samples whose type the model knows; macro scores run over the types "
        "that "
        "occur. Own test samples are of all its types, so that with other types, or other shares of them, "
        "the "
        "two are not of equal difficulty."
    ]
    if left:
        sentences.append(
            f"Without a score on this cohort: {join(map(name, left))}. These are not registered with the "
            "version: what they keep are training samples, trees or another network, not a few arrays."
        )
    picture = found.show(
        draw_travel(rows, facts["level"]),
        "Accuracy of every model on this cohort and on its own test samples",
        f"Lines: {facts['level']:.0%} bootstrap interval over patients{EXACT}.",
    )
    table = Table(
        rows.drop(columns=["kind"]),
        "All models that travel",
        f"Small numbers: bootstrap interval over patients{EXACT}. McNemar's test is of the network and this "
        "model on the samples that one of them alone has right.",
        best=0,
        headings={
            "tested_accuracy": "Accuracy, own test samples",
            "tested_f1_macro": "Macro-F1, own test samples",
            "only_network_right": "Only network right",
            "only_this_right": "Only this model right",
        },
        formats=dict.fromkeys([*METRICS, *(f"tested_{metric}" for metric in _BESIDE)], ".3f")
        | dict.fromkeys(["only_network_right", "only_this_right"], ".0f"),
    )
    return Part(sentences, pictures=[picture], tables=[table])


def _lay_out(found: FinishedValidation, model: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Lay out a row of the table of scores."""
    is_network = model == "network"
    tested = found.facts["model"]["tested"].get(found.backbone if is_network else model, {})
    row = {
        "model": found.backbone if is_network else name(model),
        "kind": "network" if is_network else "baseline",
    }
    for metric in METRICS:
        row[metric] = told["scores"][metric]
        row[f"{metric}_low"], row[f"{metric}_high"] = told["intervals"][metric]
        if metric in _BESIDE:
            row[f"tested_{metric}"] = tested.get(metric, np.nan)
    return row | {key: told.get(key, np.nan) for key in ("only_network_right", "only_this_right", "p_value")}


def _describe_foreign(found: FinishedValidation) -> Part:
    rows = pd.DataFrame(found.facts["flagged"])
    called = [row["type"] or f"all {row['kind']} types" for row in rows.to_dict("records")]
    foreign = (rows["kind"] == "foreign").to_numpy()
    counts = rows["n_samples"].to_numpy(int)
    marked = {
        one: (round(share * n), n) for one, share, n in zip(called, rows["share_either"], counts, strict=True)
    }
    sentence = (
        "Types that the model does not know cannot be predicted. What it should do with them is to flag "
        "them as "
        "unlike its training samples, or to abstain; what it does to known types is the price."
    )
    if not foreign.any():
        sentence = "All labels are types that the model knows."
    picture = found.show(
        draw_flagged(
            marked, dict(zip(called, foreign.tolist(), strict=True)), what="share flagged or abstained"
        ),
        "Share of samples that are flagged or not answered, by type",
        "Of known types few should be; of types that the model does not know most."
        if foreign.any()
        else "Few should be, as all are known types.",
    )
    table = Table(
        rows.assign(type=called).drop(columns="kind"),
        "Flagged, abstained, or either",
        "Taken for: the types predicted most often, and for how many samples.",
        headings={"share_unlike": "Flagged", "share_abstain": "Abstained", "share_either": "Either"},
        formats=dict.fromkeys(("share_unlike", "share_abstain", "share_either"), ".1%"),
    )
    return Part([sentence], pictures=[picture], tables=[table])


def _describe_calibration(found: FinishedValidation) -> Part | None:
    if not found.facts["models"]:
        return None
    scores = found.facts["models"]["network"]["scores"]
    tested = found.facts["model"]["tested"].get(found.backbone, {})
    own = f"; on its own test samples it is {tested['ece']:.3f}" if "ece" in tested else ""
    sentence = (
        f"The expected calibration error is {scores['ece']:.3f}{own}. The temperature is that of the "
        "version: "
        "nothing is fitted on this cohort."
    )
    picture = found.show(
        draw_bins(pd.DataFrame(found.facts["reliability"])),
        "Share of predictions that are right, by confidence",
        "Each point is a bin of equally many samples of known types. Below the diagonal the network is "
        "surer of "
        "itself than it is right.",
    )
    return Part([sentence], pictures=[picture])


def _describe_confusions(found: FinishedValidation) -> Part | None:
    if not found.facts["models"]:
        return None
    counts, names = np.array(found.facts["confusion"]), found.facts["model"]["tumour_types"]
    occurring = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    shown, names = counts[np.ix_(occurring, occurring)], [names[place] for place in occurring]
    picture = found.show(
        draw_confusion(shown, names),
        "Confusion matrix: true type by predicted type",
        "Numbers are samples of known types; a hatched row, if any, is a type predicted that has no sample.",
    )
    ranked = rank_confusions(shown, names)
    headings = {"type": "True type", "predicted": "Taken for"}
    tables = [Table(ranked, "Most frequent confusions", headings=headings)] if len(ranked) else []
    tables.append(Table(pd.DataFrame(found.facts["per_type"]), "Scores by tumour type", folded=True))
    return Part(pictures=[picture], tables=tables)


def _describe_shift(found: FinishedValidation) -> Part:
    facts, top = found.facts["shift"], found.shift.head(_N_GENES)
    matched = (
        f"The shift of a gene is what is left when the types of {count(facts['n_matched'], 'sample')} are "
        "taken into account: their mean less that of training samples of the same types."
        if facts["n_matched"]
        else "No sample is of a type that training samples have, so that the shift is that of the medians: "
        "types and measurement cannot be told apart."
    )
    sentences = [
        f"{matched} In the median gene it is {facts['shift']:.2f} (log₂, without its sign); "
        f"{facts['n_shifted']:,} of {len(found.shift):,} genes are shifted by half of their 5 to 95% range, "
        f"or of {LEAST_RANGE} where that is wider, or more.",
        f"Of the genes' medians {facts['share_outside']:.1%} lie outside the training samples' 5 to 95% "
        "range. "
        "A cohort of few types, or few samples, lies outside in many genes by that alone.",
    ]
    pictures = [
        found.show(
            draw_cohorts(found.trained, found.here, found.labels),
            "Training samples and this cohort on two principal components",
            "Components are those of the training samples. What lies apart from all grey points is unlike "
            "them.",
        ),
        found.show(
            draw_shift(top),
            "The genes that shift most, in both cohorts",
            "From the 5% to the 95% quantile of each cohort; dots are medians.",
        ),
    ]
    columns = ["gene", "symbol", "trained_median", "median", "shift", "spreads"]
    table = Table(
        top[columns],
        "Genes that shift most",
        "Shift in log₂, and in units of the training samples' 5 to 95% range, or of "
        f"{LEAST_RANGE} where that is wider.",
        headings={"trained_median": "Median, training", "median": "Median, here", "spreads": "Shift / range"},
        formats={"shift": "+.2f", "spreads": "+.2f"},
        folded=True,
    )
    return Part(sentences, pictures=pictures, tables=[table])
