"""Figures of the depth search and of training."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expressionist.report.figures.drawing import (
    AMBER,
    BLUE,
    GREEN,
    INK,
    QUIET,
    RULE,
    VERMILION,
    add_key,
    new_figure,
    tidy,
)


def draw_training(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw training loss, validation log-loss and macro-F1 per epoch, one column of panels per backbone.

    Parameters
    ----------
    histories : mapping of str to pandas.DataFrame
        Backbone → one row per epoch with the columns ``epoch``, ``loss`` (as trained: with dropout and class
        weights), ``validation_log_loss`` and ``validation_f1_macro``.

    Returns
    -------
    matplotlib.figure.Figure
        Two rows of panels; a row shares its scale.
    """
    n_columns = len(histories)
    figure = new_figure(max(2.2 * n_columns, 4.4) + 0.8, 4.6)
    panels = figure.subplots(2, n_columns, sharex="col", sharey="row", squeeze=False)
    for column, (backbone, history) in enumerate(histories.items()):
        above, below = panels[0, column], panels[1, column]
        tidy(above, title=backbone, y="loss" if column == 0 else "")
        above.plot(history["epoch"], history["loss"], color=QUIET, linewidth=1.6, label="training loss")
        above.plot(
            history["epoch"],
            history["validation_log_loss"],
            color=BLUE,
            linewidth=1.6,
            label="validation log-loss",
        )
        tidy(below, x="epoch", y="validation macro-F1" if column == 0 else "")
        below.plot(history["epoch"], history["validation_f1_macro"], color=BLUE, linewidth=1.6)
        below.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    panels[0, 0].set_ylim(bottom=0)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=2, frameon=False, fontsize=9, labelcolor=INK
    )
    return figure


def draw_search(trials: pd.DataFrame, objective: str) -> Figure:
    """Draw the value that every trial reached by its fine-tune depth, one panel per backbone.

    Parameters
    ----------
    trials : pandas.DataFrame of length n_trials
        Columns ``backbone``, ``depth``, ``value``, ``state`` (COMPLETE, PRUNED or FAIL; trials without a
        value are left out) and ``best`` (whether it is the one that was chosen).
    objective : str
        What the value is, on validation samples.

    Returns
    -------
    matplotlib.figure.Figure
        Panels on one vertical scale; the chosen trial of a backbone is ringed, and a line runs through the
        medians of the finished trials of each depth.
    """
    backbones = list(dict.fromkeys(trials["backbone"]))
    figure = new_figure(max(2.2 * len(backbones), 4.4) + 0.8, 3.2)
    panels = figure.subplots(1, len(backbones), sharey=True, squeeze=False)[0]
    seen = trials.loc[trials["value"].notna()]
    for number, (backbone, axes) in enumerate(zip(backbones, panels, strict=True)):
        rows = seen.loc[seen["backbone"] == backbone]
        tidy(axes, title=backbone, x="layers unfrozen", y=f"{objective}, validation" if number == 0 else "")
        _draw_trials(axes, rows)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.margins(x=0.12, y=0.12)
    found = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(found.values()),
        list(found),
        loc="outside upper left",
        ncols=4,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
    return figure


def _draw_trials(axes: Axes, rows: pd.DataFrame) -> None:
    finished = rows.loc[rows["state"] == "COMPLETE"]
    pruned = rows.loc[rows["state"] != "COMPLETE"]
    if len(finished):
        middle = finished.groupby("depth")["value"].median()
        axes.plot(middle.index, middle, color=RULE, linewidth=1.6, zorder=1)
        axes.scatter(finished["depth"], finished["value"], s=26, color=BLUE, label="finished", zorder=2)
        best = finished.loc[finished["best"].astype(bool)]
        ring = axes.scatter(
            best["depth"], best["value"], s=110, edgecolors=VERMILION, label="chosen", zorder=3
        )
        ring.set(facecolors="none", linewidths=1.8)
    if len(pruned):
        hollow = axes.scatter(
            pruned["depth"], pruned["value"], s=22, edgecolors=QUIET, label="pruned", zorder=2
        )
        hollow.set(facecolors="white", linewidths=1)


def draw_depths(depths: pd.DataFrame) -> Figure:
    """Draw the chosen fine-tune depth of every backbone within the depths that were open to it.

    Parameters
    ----------
    depths : pandas.DataFrame of length n_backbones
        Columns ``backbone``, ``depth`` (chosen), ``deepest`` (largest depth in the search space) and, where
        known, ``n_unfrozen_parameters``.

    Returns
    -------
    matplotlib.figure.Figure
        A bar per backbone.
    """
    figure = new_figure(7.4, 0.8 + 0.42 * len(depths))
    axes = tidy(figure.add_subplot(), grid="x", x="layers unfrozen, counted from the head")
    rows = np.arange(len(depths))
    axes.barh(rows, depths["deepest"], color=RULE, height=0.62, label="open to the search")
    axes.barh(rows, depths["depth"], color=GREEN, height=0.62, label="chosen")
    # A depth of 0 has no bar; the dot shows it.
    axes.plot(depths["depth"], rows, "o", color=AMBER, markersize=6, clip_on=False)
    for row, record in zip(rows, depths.to_dict("records"), strict=True):
        n_parameters = record.get("n_unfrozen_parameters")
        words = "" if n_parameters is None or pd.isna(n_parameters) else f", {int(n_parameters):,} parameters"
        text = f"{int(record['depth'])} of {int(record['deepest'])}{words}"
        axes.annotate(
            text,
            (record["deepest"], row),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=INK,
        )
    axes.set_yticks(rows, [str(name) for name in depths["backbone"]])
    axes.invert_yaxis()
    axes.set_xlim(0, max(float(depths["deepest"].max()), 1.0) * 1.45)
    ticks = MaxNLocator(integer=True, nbins=6).tick_values(0, max(int(depths["deepest"].max()), 1))
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= depths["deepest"].max()])
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure
