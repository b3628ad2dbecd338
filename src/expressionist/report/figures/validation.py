"""Figures of a validation: two cohorts side by side in scores, calibration, components and genes."""

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from expressionist.report.figures.drawing import add_key, cut, name_places, new_axes, write_beside
from expressionist.report.figures.style import BLUE, DASHES, INK, QUALITATIVE, QUIET, SKY, VERMILION

_MOST_COLOURED, _MOST_NAMED = len(QUALITATIVE), 25


def draw_travel(rows: pd.DataFrame, level: float) -> Figure:
    """Draw each ``model``'s ``accuracy`` on another cohort and its interval, and on its own test samples."""
    rows = rows.iloc[::-1].reset_index(drop=True)
    told = f"accuracy, with {100 * level:.4g}% interval"
    figure, axes = new_axes(7.8, 1.2 + 0.42 * len(rows), grid="x", x=told)
    for place, row in enumerate(rows.to_dict("records")):
        colour = BLUE if row["kind"] == "network" else VERMILION
        axes.hlines(place, row["accuracy_low"], row["accuracy_high"], color=colour, linewidth=2.2)
        axes.plot(row["accuracy"], place, "o", color=colour, markersize=7)
        axes.plot(row["tested_accuracy"], place, "D", color=QUIET, markerfacecolor="white", markersize=6)
        write_beside(axes, place, f"{row['accuracy']:.3f}")
    axes.plot([], [], "o", color=INK, label="this cohort")
    axes.plot([], [], "D", color=QUIET, markerfacecolor="white", label="the version's own test samples")
    axes.set_yticks(rows.index, [str(name) for name in rows["model"]], parse_math=False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure


def draw_bins(bins: pd.DataFrame) -> Figure:
    """Draw how often the predicted type is right at each level of confidence, in bins of samples."""
    figure, axes = new_axes(4.6, 4.3, x="mean confidence of the bin", y="share right")
    low = max(0.0, float(bins[["confidence", "share_right"]].to_numpy().min()) - 0.08)
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=DASHES)
    axes.plot(bins["confidence"], bins["share_right"], "o-", color=BLUE, linewidth=1.2, markersize=5)
    axes.set(xlim=(low, 1.01), ylim=(low, 1.01))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def draw_cohorts(trained: np.ndarray, here: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw training samples (grey) and those of another cohort on two components, each (n_samples, 2).

    `labels` name the types of the other cohort; few have a colour each, more are named at their medians.
    """
    figure, axes = new_axes(8.6, 5.2, grid="", x="component 1", y="component 2")
    grey = axes.scatter(trained[:, 0], trained[:, 1], s=6, color=QUIET, alpha=0.35, linewidths=0)
    keys = [("training samples", grey)]
    names = [name for name, _ in Counter(labels.tolist()).most_common()]
    few = len(names) <= _MOST_COLOURED
    if not few:
        keys += [("this cohort", axes.scatter([], [], s=10, color=BLUE))]
    for place, name in enumerate(names):
        points, colour = here[labels == name], QUALITATIVE[place] if few else BLUE
        dots = axes.scatter(points[:, 0], points[:, 1], s=10, color=colour, alpha=0.7, linewidths=0)
        keys += [(str(name), dots)] if few else []
    if not few and len(names) <= _MOST_NAMED:
        middles = np.array([np.median(here[labels == name], axis=0) for name in names])
        name_places(figure, axes, [str(name) for name in names], middles)
    # Given here, as Matplotlib would hide what begins with an underscore.
    shown, handles = zip(*keys, strict=True)
    add_key(axes, handles=handles, labels=shown, loc="best", markerscale=2)
    return figure


def draw_shift(rows: pd.DataFrame) -> Figure:
    """Draw where genes lie in both cohorts, from the 5% to the 95% quantile, the median marked."""
    rows = rows.iloc[::-1].reset_index(drop=True)
    figure, axes = new_axes(7.8, 0.9 + 0.3 * len(rows), grid="x", x="expression, log₂(x+1) unless as is")
    places = np.arange(len(rows))
    for before, lift, colour, label in (
        ("trained_", 0.15, QUIET, "training samples"),
        ("", -0.15, VERMILION, "this cohort"),
    ):
        low, high, middle = (rows[f"{before}{side}"] for side in ("low", "high", "median"))
        axes.hlines(places + lift, low, high, color=colour if before == "" else SKY, linewidth=3)
        shown = colour if before == "" else BLUE
        axes.plot(middle, places + lift, "o", color=shown, markersize=4.5, label=label)
    names = [
        row["symbol"] if row["symbol"] not in ("", "?") else row["gene"] for row in rows.to_dict("records")
    ]
    axes.set_yticks(places, cut(names), parse_math=False)
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure
