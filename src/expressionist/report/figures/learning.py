"""Figures of the depth search and of training."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expressionist.report.figures.drawing import add_key, add_key_above, new_axes, new_figure, note, tidy
from expressionist.report.figures.style import BLUE, GREEN, QUIET, RULE, VERMILION


def draw_training(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw losses and macro-F1 per epoch, a column of panels per backbone; a row shares its scale."""
    n_columns = len(histories)
    figure = new_figure(max(2.2 * n_columns, 4.4) + 0.8, 4.6)
    panels = figure.subplots(2, n_columns, sharex="col", sharey="row", squeeze=False)
    curves = (
        (0, "loss", QUIET, "training loss"),
        (0, "validation_log_loss", BLUE, "validation log-loss"),
        (1, "validation_f1_macro", BLUE, "validation macro-F1"),
    )
    for column, (backbone, history) in enumerate(histories.items()):
        above, below = panels[:, column]
        tidy(above, title=backbone, y="loss" if column == 0 else "")
        tidy(below, x="epoch", y="validation macro-F1" if column == 0 else "")
        for row, measure, colour, label in curves:
            panels[row, column].plot(
                history["epoch"], history[measure], color=colour, linewidth=1.6, label=label
            )
        below.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    panels[0, 0].set_ylim(bottom=0)
    add_key_above(figure, panels[0], n_columns=2)
    return figure


def draw_search(trials: pd.DataFrame, objective: str) -> Figure:
    """Draw the mean `objective` over folds, and its standard error, of every trial that has one by its depth.

    There is a panel per backbone. The ``best`` is ringed; a line runs through the medians of those whose
    ``state`` is COMPLETE.
    """
    backbones = trials["backbone"].unique()
    figure = new_figure(max(2.2 * len(backbones), 4.4) + 0.8, 3.2)
    panels = figure.subplots(1, len(backbones), sharey=True, squeeze=False)[0]
    seen = trials.loc[trials["value"].notna()]
    for number, (backbone, axes) in enumerate(zip(backbones, panels, strict=True)):
        tidy(axes, title=backbone, x="layers unfrozen", y="" if number else f"{objective}, mean over folds")
        _draw_trials(axes, seen.loc[seen["backbone"] == backbone])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.margins(x=0.12, y=0.12)
    add_key_above(figure, panels, n_columns=4)
    return figure


def _draw_trials(axes: Axes, rows: pd.DataFrame) -> None:
    finished = rows.loc[rows["state"] == "COMPLETE"]
    pruned = rows.loc[rows["state"] != "COMPLETE"]
    if len(finished):
        middle = finished.groupby("depth")["value"].median()
        axes.plot(middle.index, middle, color=RULE, linewidth=1.6, zorder=1)
        errors = finished["standard_error"].fillna(0)
        axes.errorbar(
            finished["depth"], finished["value"], errors, fmt="none", ecolor=BLUE, capsize=3, zorder=2
        )
        axes.scatter(finished["depth"], finished["value"], s=26, color=BLUE, label="finished", zorder=2)
        best = finished.loc[finished["best"].astype(bool)]
        ring = axes.scatter(best["depth"], best["value"], s=110, label="chosen", zorder=3)
        ring.set(edgecolors=VERMILION, facecolors="none", linewidths=1.8)
    if len(pruned):
        hollow = axes.scatter(pruned["depth"], pruned["value"], s=22, label="pruned", zorder=2)
        hollow.set(edgecolors=QUIET, facecolors="white", linewidths=1)


def draw_depths(depths: pd.DataFrame) -> Figure:
    """Draw the chosen ``depth`` of every ``backbone`` within those open to it, 0 to ``deepest``."""
    deepest = depths["deepest"].to_numpy()
    rows = np.arange(len(depths))
    figure, axes = new_axes(
        7.4, 0.8 + 0.42 * len(depths), grid="x", x="layers unfrozen, counted from the head"
    )
    axes.barh(rows, deepest, color=RULE, height=0.62, label="open to the search")
    axes.barh(rows, depths["depth"], color=GREEN, height=0.62)
    # A depth of 0 has no bar; the dot shows it.
    axes.plot(depths["depth"], rows, "o", color=GREEN, markersize=6, clip_on=False, label="chosen")
    for row, record in enumerate(depths.to_dict("records")):
        n_parameters = record["n_unfrozen_parameters"]
        words = "" if pd.isna(n_parameters) else f", {int(n_parameters):,} parameters"
        told = f"{int(record['depth'])} of {int(record['deepest'])}{words}"
        note(axes, told, (record["deepest"], row), (6, 0), va="center", fontsize=8.5)
    axes.set_yticks(rows, [str(name) for name in depths["backbone"]])
    axes.invert_yaxis()
    axes.set_xlim(0, max(float(deepest.max()), 1.0) * 1.45)
    ticks = MaxNLocator(integer=True, nbins=6).tick_values(0, max(int(deepest.max()), 1))
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= deepest.max()])
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure
