"""Attributions: how they were computed, how complete they are, and what they find."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from expressionist.params import AttributionParams
from expressionist.report.content import Part, Picture, Table
from expressionist.report.figures import draw_deltas
from expressionist.report.images import MATCHED
from expressionist.report.marks import Marks
from expressionist.report.recovery import draw_recovery, judge_recovery, tabulate_recovery
from expressionist.report.words import count, join

PATHS: Mapping[str, str] = {
    "mean": "mean of the training samples",
    "zero": "zero expression",
    "random": "mean, through a network of random weights",
}
_SHORT: Mapping[str, str] = {"mean": "mean", "zero": "zero expression", "random": "mean, random weights"}


def describe_attributions(
    explanation: Mapping[str, Any],
    params: AttributionParams,
    samples: pd.DataFrame,
    found: pd.DataFrame,
    matrix: pd.DataFrame,
    marks: Marks,
) -> Part:
    """Show how attributions were computed, whether they are complete, and whether they find markers.

    Parameters
    ----------
    explanation : mapping
        Content of explanation.json.
    params : AttributionParams
        How exactly attributions were asked for.
    samples : pandas.DataFrame
        Columns ``tumour_type``, ``baseline``, ``rise``, ``delta``, ``relative_gap``, ``steps``; a row per
        sample and baseline, indexed by sample.
    found, matrix : pandas.DataFrame
        Recovery of markers by ranking and type; of every type's markers by every type. Without rows where
        no marker is among the genes.
    marks : Marks
        What figures must say.

    Returns
    -------
    Part
        The section.
    """
    backbone = explanation["backbone"]
    deltas = marks.show(
        draw_deltas(
            samples.assign(baseline=samples["baseline"].map(_SHORT)),
            median_limit=params.median_delta,
            p95_limit=params.p95_delta,
        ),
        "Completeness gaps and numbers of steps of the samples explained",
        "The gap is what attributions lack to adding up to the rise of the logit, as a share of that rise.",
        backbones=[backbone],
    )
    sentences = [
        _state_method(explanation, params),
        state_completeness(explanation, params),
        _state_absence(explanation, samples),
    ]
    pictures: list[Picture] = [deltas]
    tables = [_tabulate_gaps(explanation), _tabulate_samples(samples)]
    if len(found):
        sentences += [MATCHED[explanation["markers_matched_by"]], *judge_recovery(found)]
        pictures += draw_recovery(found, matrix, backbone, marks)
        tables = [tables[0], tabulate_recovery(found), tables[1]]
    else:
        sentences.append(
            "No marker is among the genes of the types explained, so whether attributions find known markers "
            "cannot be tested here."
        )
    return Part([sentence for sentence in sentences if sentence], pictures=pictures, tables=tables)


def _state_method(explanation: Mapping[str, Any], params: AttributionParams) -> str:
    return (
        f"Integrated Gradients of {explanation['backbone']}, for "
        f"{count(explanation['n_samples'], 'test sample')} that it classifies correctly (at most "
        f"{params.n_samples_per_type} of a type) and {count(explanation['n_genes'], 'gene')}, through the "
        "graph that paints the image, so every gene has its own share. The path runs from the mean of the "
        "training samples, and for comparison from zero expression; as a control the first is repeated "
        "through the same network with random weights. The steps of the path are trebled from "
        f"{params.steps} up to {params.max_steps} until attributions from the mean are complete enough; the "
        f"other two, which rank genes only, take {params.steps}."
    )


def state_completeness(explanation: Mapping[str, Any], params: AttributionParams) -> str:
    """Say whether attributions add up as asked.

    Parameters
    ----------
    explanation : mapping
        Content of explanation.json.
    params : AttributionParams
        What was asked for.
    """
    gap = explanation["gap"]["mean"]
    asked = f"(asked: {params.median_delta:.1%} and {params.p95_delta:.1%})"
    reached = f"a median gap of {gap['median']:.2%} and a 95th percentile of {gap['p95']:.2%} {asked}"
    if explanation["complete"]:
        return f"The attributions are complete as asked: {reached}."
    return (
        f"The attributions are NOT as complete as asked: {reached}. Raise attribution.max_steps before "
        "relying on the size of an attribution."
    )


def _state_absence(explanation: Mapping[str, Any], samples: pd.DataFrame) -> str:
    absent = [name for name in explanation["tumour_types"] if name not in set(samples["tumour_type"])]
    if not absent:
        return ""
    return (
        f"No test sample of {join(absent)} was classified correctly, so nothing is explained for "
        f"{'it' if len(absent) == 1 else 'them'}."
    )


def _tabulate_gaps(explanation: Mapping[str, Any]) -> Table:
    rows = [
        {"path": PATHS[key], "median": gap["median"], "p95": gap["p95"], "n_steps": gap["n_steps"]}
        for key, gap in explanation["gap"].items()
    ]
    return Table(
        pd.DataFrame(rows),
        "Completeness by path",
        "Relative gap over the samples explained; the asked completeness concerns the first path.",
        headings={
            "path": "Path from",
            "median": "Median gap",
            "p95": "95th percentile",
            "n_steps": "Most steps",
        },
        formats={"median": ".2%", "p95": ".2%"},
    )


def _tabulate_samples(samples: pd.DataFrame) -> Table:
    """List every sample with the delta of its three paths, a row each."""
    wide = samples.pivot(columns="baseline", values=["delta", "relative_gap"])
    rows = samples.loc[
        samples["baseline"] == "mean", ["tumour_type", "rise", "delta", "relative_gap", "steps"]
    ]
    headings = {"rise": "Rise of the logit", "relative_gap": "Relative gap"}
    for path, words in (("zero", "from zero"), ("random", "random weights")):
        rows[f"{path}_gap"] = wide["relative_gap", path].reindex(rows.index)
        headings[f"{path}_gap"] = f"Gap, {words}"
    return Table(
        rows.reset_index(),
        "Delta of every sample",
        headings=headings,
        formats=dict.fromkeys(["relative_gap", "zero_gap", "random_gap"], ".2%"),
        folded=True,
    )


def describe_cross_check(checked: pd.DataFrame, samples: pd.DataFrame, marks: Marks, backbone: str) -> Part:
    """Hold the attributions against those of shap.

    Parameters
    ----------
    checked : pandas.DataFrame
        Columns ``sample_position`` (row of the split table), ``correlation``, ``n_top``, ``n_shared``.
    samples : pandas.DataFrame
        The split table, indexed by sample.
    marks : Marks
        What the section must say.
    backbone : str
        The network explained.

    Returns
    -------
    Part
        The section.
    """
    rows = samples.iloc[checked["sample_position"]]
    n_top = int(checked["n_top"].max())
    shared = checked["n_shared"] / checked["n_top"]
    table = pd.DataFrame(
        {
            "sample": rows.index,
            "tumour_type": rows["tumour_type"].to_numpy(),
            "correlation": checked["correlation"].to_numpy(),
            "n_shared": checked["n_shared"].to_numpy(),
            "share_shared": shared.to_numpy(),
        }
    )
    words = (
        f"Expected gradients of the shap package (GradientExplainer) on {count(len(table), 'sample')}, each "
        "of another tumour type, drawn at random by attribution.seed: their attributions correlate with "
        f"ours at {checked['correlation'].mean():.2f} on average (lowest "
        f"{checked['correlation'].min():.2f}), and {shared.mean():.0%} of the top {n_top} genes are the same."
    )
    caption = (
        "shap averages over paths from drawn training samples instead of one path from their mean, and over "
        "random points of each path, so full agreement is not to be expected."
    )
    headings = {"n_shared": f"Shared of the top {n_top}", "share_shared": "Share"}
    marked = [f"{backbone} started from random weights."] if backbone in marks.random_weights else []
    return Part([words, *marked], tables=[Table(table, caption=caption, headings=headings)])


def state_limits(
    explanation: Mapping[str, Any],
    params: AttributionParams,
    per_type: pd.DataFrame,
    marks: Marks,
    backbones: Sequence[str],
) -> list[str]:
    """Say what limits this run, beside what always does.

    Parameters
    ----------
    explanation : mapping
        Content of explanation.json.
    params : AttributionParams
        How exactly attributions were asked for.
    per_type : pandas.DataFrame
        Columns ``type`` and ``n_samples`` of the test samples.
    marks : Marks
        What the run is made of.
    backbones : sequence of str
        Networks compared.
    """
    limits = []
    few = per_type.loc[per_type["n_samples"] < 10]
    if len(few):
        limits.append(
            f"In this run {len(few)} of {count(len(per_type), 'tumour type')} have fewer than ten test "
            f"samples (fewest: {few['n_samples'].min()}): their scores move by a tenth or more with a single "
            "sample."
        )
    if not explanation["complete"]:
        limits.append(state_completeness(explanation, params))
    random = [backbone for backbone in backbones if backbone in marks.random_weights]
    if random:
        limits.append(
            f"{join(random)} started from random weights, so this run says nothing on transfer learning with "
            "them."
        )
    limits.append(
        "Depth and network were chosen on the validation samples; one split and one seed were used, "
        "so what another split would give is not known from this page."
    )
    return limits
