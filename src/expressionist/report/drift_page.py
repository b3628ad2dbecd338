"""The page of drift: what a version was asked and answered over time, beside its own samples."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from expressionist.report.content import Marks, Part, ReportContent, Table, Verdict
from expressionist.report.figures.drift import draw_over_time, draw_types
from expressionist.report.glossary import spell_types
from expressionist.report.page import build_page
from expressionist.report.words import count, join

_SAMPLES = {
    "abstain": "samples without an answer",
    "unlike_training": "samples unlike the training samples",
    "missing": "samples that lack genes",
}
_MEASURES = {measure: f"the share of {said}" for measure, said in _SAMPLES.items()} | {
    "probability": "the highest probability",
    "types": "the types predicted",
}
_N_TYPES = 20
_N_NAMED = 5


def build_drift_page(facts: Mapping[str, Any]) -> str:
    """Put the drift of a version on one page.

    Parameters
    ----------
    facts : mapping
        What `judge_drift` gave, with ``level``, ``model`` (``name``, ``version``, ``backbone``, ``cohort``,
        ``synthetic`` and ``random_weights``), ``log`` (its name) and ``said`` (sentences on what was read).

    Returns
    -------
    str
        An HTML page that refers to nothing outside itself. The same facts give the same page.
    """
    model, types = facts["model"], pd.DataFrame(facts["types"])
    random_weights = [model["backbone"]] if model["random_weights"] else []
    marks = Marks(model["synthetic"], random_weights)
    return build_page(
        ReportContent(
            title=f"{facts['log']}: drift of {model['name']} version {model['version']}",
            tumour_types=spell_types(types["type"]),
            run=_describe_run(facts),
            synthetic=model["synthetic"],
            random_weights=random_weights,
            verdict=_declare(facts),
            chapters={
                "Over time": _describe_time(facts, marks),
                "Types predicted": _describe_types(facts, types, marks),
                "How this is judged": _describe_judgement(facts),
            },
            limits=None,
        )
    )


def tell_drift(facts: Mapping[str, Any]) -> Iterator[str]:
    """Say in sentences what shifted, as far as the samples can show it.

    Parameters
    ----------
    facts : mapping
        As for `build_drift_page`.

    Yields
    ------
    str
        A sentence per measure that shifted over all, then one per measure on single days or weeks; or one
        that nothing did.
    """
    if facts["all"]["n_samples"] < facts["fewest"]:
        yield (
            f"{count(facts['all']['n_samples'], 'prediction')} are too few to claim anything: "
            f"{facts['fewest']} are needed."
        )
        return
    found = [test for test in facts["tests"] if test["shifted"]]
    if not found:
        yield "No shift is large enough for these samples to show it."
    for test in found:
        if test["begin"] is None:
            yield _tell(test["measure"], facts)
    for measure, said in _MEASURES.items():
        begins = [test["begin"] for test in found if test["begin"] and test["measure"] == measure]
        if begins:
            more = f" and {len(begins) - _N_NAMED} more" if len(begins) > _N_NAMED else ""
            named = ", ".join(begins[:_N_NAMED]) + more
            yield f"{facts['by'].capitalize()}s that differ in {said}: {named}."


def _tell(measure: str, facts: Mapping[str, Any]) -> str:
    """Say how all predictions differ from own samples."""
    here, own = facts["all"], facts["own"]
    if measure == "types":
        first = [f"{row['type']} {row['share']:.1%} ({row['trained']:.1%})" for row in facts["types"][:3]]
        return f"The types predicted are others than in training, most of all {join(first)}."
    if measure == "probability":
        way = "lower" if here["probability"] < own["probability"] else "higher"
        return (
            f"Answers are {way} in probability: {here['probability']:.3f} in the median, "
            f"{own['probability']:.3f} on own test samples."
        )
    way = "More" if here[measure] > own[measure] else "Fewer"
    told = (
        f"{way} {_SAMPLES[measure]}: {here[measure]:.1%} ({here[f'{measure}_low']:.1%} to "
        f"{here[f'{measure}_high']:.1%}), {own[measure]:.1%} of own test samples"
    )
    if measure == "missing":
        return f"{told}; up to {here['n_missing_most']:,} genes."
    return f"{told}."


def _describe_run(facts: Mapping[str, Any]) -> Part:
    model, bins = facts["model"], facts["bins"]
    shown = {
        "Model": f"{model['name']} version {model['version']} ({model['backbone']})",
        "Trained on": model["cohort"],
        "Predictions": f"{facts['all']['n_samples']:,}, in {count(len(bins), facts['by'])}",
        f"First {facts['by']}, last": f"{bins[0]['begin']}, {bins[-1]['begin']}",
        "Own samples": f"{facts['own']['n_trained']:,} training, {facts['own']['n_samples']:,} test",
    }
    return Part(facts["said"], facts=shown)


def _declare(facts: Mapping[str, Any]) -> Verdict:
    here, own = facts["all"], facts["own"]
    headline = {"predictions": f"{here['n_samples']:,}"}
    for mark, said in (("abstain", "Abstained"), ("unlike_training", "Unlike training")):
        beside = f"; own {own[mark]:.1%}" if mark in own else ""
        between = f"{here[f'{mark}_low']:.1%} to {here[f'{mark}_high']:.1%}"
        headline[f"{said} ({between}{beside})"] = f"{here[mark]:.1%}"
    first, *others = tell_drift(facts)
    return Verdict(first, headline, Part(others))


def _describe_time(facts: Mapping[str, Any], marks: Marks) -> Part:
    bins, own = pd.DataFrame(facts["bins"]), facts["own"]
    shifted = [(test["measure"], test["begin"]) for test in facts["tests"] if test["shifted"]]
    picture = marks.show(
        draw_over_time(bins, own, shifted),
        f"Samples, shares of marks and highest probability by {facts['by']}",
        f"Lines: {facts['level']:.0%} interval of a share, or from the lower to the upper quartile of the "
        "probability. Dashed: own test samples.",
        backbones=[facts["model"]["backbone"]],
    )
    rows = pd.concat([bins, pd.DataFrame([own | {"begin": "own test samples"}])], ignore_index=True)
    kept = ["begin", "n_samples"]
    kept += [f"{name}{end}" for name in (*_SAMPLES, "probability") for end in ("", "_low", "_high")]
    table = Table(
        rows[[*kept, "n_missing_median", "n_missing_most"]],
        f"By {facts['by']}",
        "Small numbers: interval of a share; quartiles of the probability.",
        headings={
            "begin": facts["by"].capitalize(),
            "abstain": "Abstained",
            "unlike_training": "Unlike training",
            "missing": "Lack genes",
            "probability": "Highest probability, median",
            "n_missing_median": "Genes missing, median",
            "n_missing_most": "At most",
        },
        formats=dict.fromkeys(_SAMPLES, ".1%") | {"probability": ".3f"},
        folded=len(bins) > _N_TYPES,
    )
    return Part(pictures=[picture], tables=[table])


def _describe_types(facts: Mapping[str, Any], types: pd.DataFrame, marks: Marks) -> Part:
    shown = types.head(_N_TYPES)
    some = f" The {_N_TYPES} that differ most." if len(types) > _N_TYPES else ""
    picture = marks.show(
        draw_types(shown),
        "Share of each type among predictions and training samples",
        f"Other patients have other tumours: a shift of types alone is no fault.{some}",
        backbones=[facts["model"]["backbone"]],
    )
    table = Table(
        types,
        "All types",
        headings={
            "n_samples": "Predicted",
            "share": "Share",
            "n_trained": "Training samples",
            "trained": "Share of these",
        },
        formats={"share": ".1%", "trained": ".1%"},
        folded=True,
    )
    return Part(pictures=[picture], tables=[table])


def _describe_judgement(facts: Mapping[str, Any]) -> Part:
    tests = pd.DataFrame(facts["tests"], columns=["begin", "measure", "p_value", "shifted"])
    rows = tests.assign(begin=tests["begin"].fillna("all"), measure=tests["measure"].map(_MEASURES))
    sentences = [
        "The version's own test samples stand for what it was made for; types are compared with those of its "
        "training samples. Shares are tested by Fisher's exact test, probabilities by Mann and Whitney's, "
        f"types by permutation; p-values are multiplied by the number of tests, {len(tests)}, and below "
        f"{1 - facts['level']:.2g} count as a shift. What has fewer than {facts['fewest']} samples is "
        "shown, but not tested.",
        "A shift says that samples are others, or come otherwise, not that answers are wrong; no shift says "
        "little of few samples. A sample that was asked for twice counts twice. Who knows the types of some "
        "samples learns more from `expressionist validate`.",
    ]
    return Part(sentences, tables=[Table(rows, "All tests", folded=True)] if len(rows) else [])
