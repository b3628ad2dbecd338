"""Figures of what a probability is worth: reliability, coverage against accuracy, and flagged samples."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from expressionist.report.figures.drawing import (
    AMBER,
    BLUE,
    INK,
    QUIET,
    SKY,
    VERMILION,
    add_key,
    new_figure,
    tidy,
)

_STAGES = {"before": (AMBER, "s", "before scaling"), "after": (BLUE, "o", "after scaling")}


def draw_reliability(sides: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Draw how often the predicted type is right at each level of confidence, before and after scaling.

    Parameters
    ----------
    sides : mapping of str to mapping of str to pandas.DataFrame
        Side of the split → ``before`` and ``after`` → columns ``confidence``, ``share_right``, a row per bin
        of equally many samples.

    Returns
    -------
    matplotlib.figure.Figure
        A panel per side. Points on the diagonal are calibrated; below it the network is too sure of itself.
    """
    tables = [table for stages in sides.values() for table in stages.values()]
    lowest = min(float(table[["confidence", "share_right"]].to_numpy().min()) for table in tables)
    low = max(0.0, np.floor(lowest * 10) / 10 - 0.05)
    figure = new_figure(0.6 + 3.7 * len(sides), 4.1)
    panels = figure.subplots(1, len(sides), sharey=True, squeeze=False)[0]
    for place, (axes, (side, stages)) in enumerate(zip(panels, sides.items(), strict=True)):
        tidy(axes, x="mean confidence of the bin", y="" if place else "share right", title=f"{side} samples")
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
        for stage, (colour, marker, label) in _STAGES.items():
            table = stages[stage]
            axes.plot(
                table["confidence"],
                table["share_right"],
                marker=marker,
                color=colour,
                linewidth=1.2,
                markersize=5,
                alpha=0.9,
                label=label,
            )
        axes.set(xlim=(low, 1.01), ylim=(low, 1.01))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
    add_key(panels[0], loc="upper left")
    return figure


def draw_coverage(curve: pd.DataFrame, answered: float, accuracy: float | None) -> Figure:
    """Draw the accuracy among answered samples by the share that is answered.

    Parameters
    ----------
    curve : pandas.DataFrame
        Columns ``coverage`` and ``accuracy``, the most confident samples first.
    answered, accuracy : float
        Where the threshold that was chosen on validation samples puts these; no accuracy where nothing is
        answered.

    Returns
    -------
    matplotlib.figure.Figure
        The curve falls where confidence orders right before wrong.
    """
    figure = new_figure(5.4, 3.5)
    axes = tidy(figure.add_subplot(), x="share of test samples answered", y="accuracy among them")
    axes.step(curve["coverage"], curve["accuracy"], color=BLUE, linewidth=1.8, where="post")
    if accuracy is not None:
        axes.plot(
            answered, accuracy, "D", color=VERMILION, markersize=8, label="chosen on validation samples"
        )
        add_key(axes, loc="lower left")
    low = float(curve["accuracy"].min())
    axes.set(xlim=(0, 1.02), ylim=(max(0.0, low - 0.25 * (1 - low) - 0.01), 1 + 0.1 * (1 - low) + 0.002))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    return figure


def draw_flagged(flagged: Mapping[str, tuple[int, int]], wanted: Mapping[str, bool]) -> Figure:
    """Draw which share of each kind of samples is flagged as unlike the training cohort.

    Parameters
    ----------
    flagged : mapping of str to tuple of int
        Kind of samples → how many are flagged, of how many.
    wanted : mapping of str to bool
        Kind of samples → whether they should be flagged.

    Returns
    -------
    matplotlib.figure.Figure
        A bar per kind, the first on top.
    """
    figure = new_figure(7.2, 0.8 + 0.42 * len(flagged))
    axes = tidy(figure.add_subplot(), grid="x", x="share flagged")
    places = np.arange(len(flagged))[::-1]
    shares = [n / total for n, total in flagged.values()]
    colours = [BLUE if wanted[name] else SKY for name in flagged]
    axes.barh(places, shares, height=0.66, color=colours)
    for place, share, (n, total) in zip(places, shares, flagged.values(), strict=True):
        inside = share > 0.6
        axes.text(
            share - 0.01 if inside else share + 0.01,
            place,
            f"{share:.1%}  ({n:,} of {total:,})",
            ha="right" if inside else "left",
            va="center",
            fontsize=9,
            color="white" if inside else INK,
        )
    axes.set_yticks(places, list(flagged), parse_math=False)
    axes.set_xlim(0, 1.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    return figure
