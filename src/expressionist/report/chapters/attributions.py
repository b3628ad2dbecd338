"""Attributions: how they were computed, how complete they are, and what they find."""

import pandas as pd

from expressionist.report.chapters.images import MATCHED
from expressionist.report.chapters.recovery import draw_recovery, judge_recovery, tabulate_recovery
from expressionist.report.content import Part, Table
from expressionist.report.figures.attributions import draw_deltas
from expressionist.report.finished_run import FinishedRun
from expressionist.report.words import count, join

_PATHS = {
    "mean": "mean of the training samples",
    "zero": "zero expression",
    "random": "mean, through a network of random weights",
}
_SHORT = {"mean": "mean", "zero": "zero expression", "random": "mean, random weights"}


def describe(run: FinishedRun) -> Part:
    """Say how attributions were computed, whether they are complete, and whether they find markers."""
    samples = run.gaps.assign(reference=run.gaps["reference"].map(_SHORT))
    limits = {"median_limit": run.attribution.median_delta, "p95_limit": run.attribution.p95_delta}
    sentences = [_state_method(run), state_completeness(run), *_state_absence(run)]
    tables = [_tabulate_gaps(run), _tabulate_samples(run)]
    pictures = [
        run.show_winners(
            draw_deltas(samples, **limits),
            "Completeness gaps and numbers of steps of the samples explained",
            "The gap is what attributions lack to adding up to the rise of the logit, as a share of that "
            "rise.",
        )
    ]
    if len(run.recovery):
        sentences += [MATCHED[run.explanation["markers_matched_by"]], *judge_recovery(run.recovery)]
        pictures += draw_recovery(run)
        tables.insert(1, tabulate_recovery(run.recovery))
    else:
        sentences.append(
            "No marker is among the genes of the types explained, so whether attributions find known markers "
            "cannot be tested here."
        )
    return Part(sentences, pictures=pictures, tables=tables)


def _state_method(run: FinishedRun) -> str:
    about, params = run.explanation, run.attribution
    return (
        f"Integrated Gradients of {about['backbone']}, for "
        f"{count(about['n_samples'], 'test sample')} that it classifies correctly (at most "
        f"{params.n_samples_per_type} of a type) and {count(about['n_genes'], 'gene')}, through the "
        "graph that paints the image, so every gene has its own share. The path runs from the mean of the "
        "training samples, and for comparison from zero expression; as a control the first is repeated "
        "through the same network with random weights. The steps of the path are trebled from "
        f"{params.steps} up to {params.max_steps} until attributions from the mean are complete enough; the "
        f"other two, which rank genes only, take {params.steps}."
    )


def state_completeness(run: FinishedRun) -> str:
    """Say whether attributions add up as asked."""
    gap = run.explanation["gap"]["mean"]
    reached = (
        f"a median gap of {gap['median']:.2%} and a 95th percentile of {gap['p95']:.2%} "
        f"(asked: {run.attribution.median_delta:.1%} and {run.attribution.p95_delta:.1%})"
    )
    if run.explanation["complete"]:
        return f"The attributions are complete as asked: {reached}."
    return (
        f"The attributions are NOT as complete as asked: {reached}. Raise attribution.max_steps before "
        "relying on the size of an attribution."
    )


def _state_absence(run: FinishedRun) -> list[str]:
    absent = [name for name in run.explanation["tumour_types"] if name not in set(run.gaps["tumour_type"])]
    if not absent:
        return []
    return [
        f"No test sample of {join(absent)} was classified correctly, so nothing is explained for "
        f"{'it' if len(absent) == 1 else 'them'}."
    ]


def _tabulate_gaps(run: FinishedRun) -> Table:
    rows = [{"path": _PATHS[key], **gap} for key, gap in run.explanation["gap"].items()]
    headings = {
        "path": "Path from",
        "median": "Median gap",
        "p95": "95th percentile",
        "n_steps": "Most steps",
    }
    return Table(
        pd.DataFrame(rows)[list(headings)],
        "Completeness by path",
        "Relative gap over the samples explained; the asked completeness concerns the first path.",
        headings=headings,
        formats={"median": ".2%", "p95": ".2%"},
    )


def _tabulate_samples(run: FinishedRun) -> Table:
    """List every sample with the delta of its three paths, a row each."""
    gaps = run.gaps.pivot(columns="reference", values="relative_gap")
    shown = ["tumour_type", "rise", "delta", "relative_gap", "steps"]
    rows = run.gaps.loc[run.gaps["reference"] == "mean", shown]
    rows = rows.assign(zero_gap=gaps["zero"], random_gap=gaps["random"])
    return Table(
        rows.reset_index(),
        "Delta of every sample",
        headings={
            "rise": "Rise of the logit",
            "relative_gap": "Relative gap",
            "zero_gap": "Gap, from zero",
            "random_gap": "Gap, random weights",
        },
        formats=dict.fromkeys(["relative_gap", "zero_gap", "random_gap"], ".2%"),
        folded=True,
    )
