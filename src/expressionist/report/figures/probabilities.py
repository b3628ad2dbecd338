"""Figures of what a probability is worth: reliability, coverage against accuracy, and flagged samples."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from expressionist.report.figures.drawing import add_key, add_key_above, cut, new_axes, new_figure, tidy
from expressionist.report.figures.style import AMBER, BLUE, DASHES, INK, QUIET, SKY, VERMILION

_STAGES = {"before": (AMBER, "s", "before scaling"), "after": (BLUE, "o", "after scaling")}


def draw_reliability(sides: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Draw, a panel per side of the split, how often predictions of each confidence are right.

    Sides have tables of bins ``before`` and ``after`` scaling, with ``confidence`` and ``share_right``.
    """
    bins = pd.concat([table for stages in sides.values() for table in stages.values()])
    lowest = float(bins[["confidence", "share_right"]].to_numpy().min())
    low = max(0.0, np.floor(lowest * 10) / 10 - 0.05)
    figure = new_figure(0.6 + 3.7 * len(sides), 4.1)
    panels = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
    for place, (axes, (side, stages)) in enumerate(zip(panels, sides.items(), strict=True)):
        tidy(axes, x="mean confidence of the bin", y="" if place else "share right", title=f"{side} samples")
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=DASHES)
        for stage, (colour, marker, label) in _STAGES.items():
            points = stages[stage]["confidence"], stages[stage]["share_right"]
            (curve,) = axes.plot(*points, marker=marker, color=colour, label=label)
            curve.set(linewidth=1.2, markersize=5, alpha=0.9)
        axes.set(xlim=(low, 1.01), ylim=(low, 1.01))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
    add_key_above(figure, [panels[0]], n_columns=len(_STAGES))
    return figure


def draw_coverage(curve: pd.DataFrame, answered: float, accuracy: float | None) -> Figure:
    """Draw the ``accuracy`` among answered samples by the share answered (``coverage``), surest first.

    `answered` and `accuracy`, none where nothing is answered, are those of the chosen threshold.
    """
    figure, axes = new_axes(5.4, 3.5, x="share of test samples answered", y="accuracy among them")
    axes.step(curve["coverage"], curve["accuracy"], color=BLUE, linewidth=1.8, where="post")
    if accuracy is not None:
        told = "chosen on validation samples"
        axes.plot(answered, accuracy, "D", color=VERMILION, markersize=8, label=told)
        add_key(axes, loc="lower left")
    low = float(curve["accuracy"].min())
    axes.set(xlim=(0, 1.02), ylim=(max(0.0, low - 0.25 * (1 - low) - 0.01), 1 + 0.1 * (1 - low) + 0.002))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    return figure


def draw_flagged(
    flagged: Mapping[str, tuple[int, int]], wanted: Mapping[str, bool], *, what: str = "share flagged"
) -> Figure:
    """Draw which share of each kind of samples is `flagged` (how many of how many; `wanted` or not)."""
    figure, axes = new_axes(7.2, 0.8 + 0.42 * len(flagged), grid="x", x=what)
    places = np.arange(len(flagged))[::-1]
    for place, (kind, (n, total)) in zip(places, flagged.items(), strict=True):
        share = n / total
        axes.barh(place, share, height=0.66, color=BLUE if wanted[kind] else SKY)
        at, side, colour = (share - 0.01, "right", "white") if share > 0.6 else (share + 0.01, "left", INK)
        told = f"{share:.1%}  ({n:,} of {total:,})"
        axes.text(at, place, told, ha=side, va="center", fontsize=9, color=colour)
    axes.set_yticks(places, cut(flagged), parse_math=False)
    axes.set_xlim(0, 1.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    return figure
