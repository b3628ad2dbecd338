"""What probabilities are worth: reliability, when to abstain, and what is out of distribution."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from expressionist.evaluation import doubt_novelty, format_threshold
from expressionist.report.content import Part, Picture, Table
from expressionist.report.figures.probabilities import draw_coverage, draw_flagged, draw_reliability
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, join, name

# Kinds of samples, as the stage `evaluate` counts them: what to call them, and whether to flag them.
_KINDS = {
    "validation": ("validation samples", False),
    "test": ("test samples", False),
    "normal": ("normal tissue of hidden patients", True),
    "shuffled": ("test samples, genes shuffled", True),
    "linear": ("test samples, linear units read as log₂", True),
}


def describe(run: FinishedRun) -> Part:
    """Say what a probability of the chosen network means."""
    facts = run.probabilities
    sentences = [_tell_calibration(run), _tell_answers(facts), *_tell_organs(facts), _tell_flags(facts)]
    rows = [(kind, n, total, n / total) for kind, (n, total) in facts["flagged_normals"].items()]
    table = Table(
        pd.DataFrame(rows, columns=["tissue", "flagged", "samples", "share"]),
        "Normal tissue flagged, by tissue",
        formats={"share": ".0%"},
        folded=True,
    )
    tables = [table] if rows else []
    return Part(
        sentences,
        pictures=_draw(run),
        tables=[_tabulate_answers(facts), *tables, _tabulate_missing(run)],
    )


def _tabulate_answers(facts: Mapping[str, Any]) -> Table:
    """Show on which level samples are answered, and how often rightly."""
    rows = []
    for side in ("validation", "test"):
        n, told = facts[side]["n_samples"], facts[side]["by_organ_system"]
        n_unlike, n_by_organ = facts[side]["n_unlike"], told["n_answered"]
        n_sure, n_none = n - n_unlike - told["n_uncertain"], told["n_uncertain"] - n_by_organ
        rows += [
            (f"{side}: tumour type", n_sure, n_sure / n, facts[side]["answered_accuracy"]),
            (f"{side}: organ system", n_by_organ, n_by_organ / n, told["n_right"] / max(n_by_organ, 1)),
            (f"{side}: none, too uncertain", n_none, n_none / n, None),
            (f"{side}: none, unlike training", n_unlike, n_unlike / n, None),
        ]
    table = pd.DataFrame(rows, columns=["answer", "samples", "share", "right"])
    return Table(
        table.assign(right=table["right"].where(table["samples"] > 0)),
        "Answers, by how exact they are",
        "The type where its probability reaches the threshold; else the organ system where that of all its "
        "types together does. A sample that is flagged as unlike the training cohort is given neither.",
        formats={"share": ".1%", "right": ".1%"},
    )


def _tabulate_missing(run: FinishedRun) -> Table:
    rows = pd.DataFrame(run.explanation["missing_genes"])
    n_samples = count(int(rows["n_samples"].iloc[0]), "validation sample")
    return Table(
        rows[["share", "n_missing", "accuracy", "lowest"]].set_axis(
            ["share missing", "genes missing", "accuracy", "lowest of three draws"], axis=1
        ),
        f"Accuracy on {n_samples}, by the share of genes missing",
        "Genes are drawn at random three times and filled with the training mean, as to predict on a table "
        "that lacks them.",
        formats={"share missing": ".1%", "accuracy": ".1%", "lowest of three draws": ".1%"},
    )


def _tell_calibration(run: FinishedRun) -> str:
    facts, test = run.probabilities, run.probabilities["test"]
    others = run.scores.loc[run.scores["kind"] == "baseline", "ece"].sort_values()
    beside = ", ".join(f"{name(str(model))} {ece:.3f}" for model, ece in others.items())
    return (
        f"The network's logits are divided by {facts['temperature']:.2f}, the temperature of least log-loss "
        "on validation samples, held near 1 where these are few. It changes no predicted type. On test "
        "samples the expected calibration error "
        f"is {test['ece_after']:.3f}; it was {test['ece_before']:.3f} before."
        + (f" The baseline models', scaled likewise, on training patients alone: {beside}." if beside else "")
    )


def _tell_answers(facts: Mapping[str, Any]) -> str:
    if facts["validation"]["answered_accuracy"] is None:
        return "No threshold reaches the wanted accuracy on validation samples: every prediction abstains."
    told = "; ".join(_tell_share(side, facts[side]) for side in ("validation", "test"))
    least = format_threshold(facts["abstain_below"])
    return (
        f"Predictions with a probability below {least} are marked abstain{_explain(facts)}, and samples "
        f"unlike the training cohort get no answer either: {told}."
    )


def _tell_share(side: str, facts: Mapping[str, Any]) -> str:
    right = facts["answered_accuracy"]
    told = f"of the {side} samples {facts['answered']:.1%} are answered"
    return told if right is None else f"{told}, {right:.1%} of these rightly"


def _explain(facts: Mapping[str, Any]) -> str:
    """Say where the threshold is from if no validation sample was wrong: nothing is weighed then."""
    if any(share < 1 for share in facts["validation"]["reliability_after"]["share_right"]):
        return ""
    return " (all validation samples were right: it is the probability of the least sure of them)"


def _tell_organs(facts: Mapping[str, Any]) -> list[str]:
    told = facts["test"]["by_organ_system"]
    if not told["n_uncertain"]:
        return []
    among = f"Of {count(told['n_uncertain'], 'test sample')} too uncertain to name a type"
    if not told["n_answered"]:
        return [
            f"{among} none gets an organ system instead, as no system's types reach the threshold together."
        ]
    return [
        f"{among} {told['n_answered']:,} get an answer by organ system, whose types reach the threshold "
        f"together: {told['n_right']:,} rightly."
    ]


def _tell_flags(facts: Mapping[str, Any]) -> str:
    n, total = facts["flagged"]["test"]
    n_limiting, n_validation = facts["n_limiting"], facts["validation"]["n_samples"]
    more = (
        f" ({n_validation:,} validation samples, which are few, and {n_limiting - n_validation:,} training "
        "samples, each judged by a score fitted without its fifth of the patients)"
    )
    told = (
        "A sample is flagged as unlike the training cohort where its novelty score is above 1, which at most "
        f"{facts['false_alarms']:.1%} of {n_limiting:,} samples reach that it was not fitted to"
        f"{more if n_limiting > n_validation else ', those of validation'}. "
        f"Of {count(total, 'test sample')} {n:,} {'is' if n == 1 else 'are'} flagged."
    )
    n_shown = facts["n_normals_shown"]
    if n_shown:
        told += (
            f" The score was shown {count(n_shown, 'normal sample')} of training patients; those it is "
            "tested on are of other patients."
        )
    return f"{told} {doubt_novelty(n_limiting, n_shown)}".strip()


def _state_wanted(shown: Iterable[tuple[str, bool]]) -> str:
    few, all_of = ([label for label, wanted in shown if wanted is side] for side in (False, True))
    told = f"Few should be flagged of the {join(few)}" if few else ""
    return "; ".join(filter(None, [told, f"most of the {join(all_of)}" if all_of else ""])) + "."


def _draw(run: FinishedRun) -> list[Picture]:
    facts, test = run.probabilities, run.probabilities["test"]
    reliability = {
        side: {stage: pd.DataFrame(facts[side][f"reliability_{stage}"]) for stage in ("before", "after")}
        for side in ("validation", "test")
    }
    shown = {key: told for key, told in _KINDS.items() if facts["flagged"].get(key, (0, 0))[1]}
    flagged = {label: tuple(facts["flagged"][key]) for key, (label, _) in shown.items()}
    return [
        run.show_winners(
            draw_reliability(reliability),
            "Share of predictions that are right, by confidence, before and after temperature scaling",
            "Each point is a bin of equally many samples. Points below the diagonal: the network is surer of "
            "itself than it is right.",
        ),
        run.show_winners(
            draw_coverage(pd.DataFrame(facts["coverage"]), test["answered"], test["answered_accuracy"]),
            "Accuracy among answered test samples, by the share answered",
            "The most confident predictions are answered first.",
        ),
        run.marks.show(
            draw_flagged(flagged, dict(shown.values())),
            "Share of samples flagged as unlike the training cohort, by kind of sample",
            _state_wanted(shown.values()),
        ),
    ]
