"""Figures of what explanations are worth: genes replaced in their order, and weights drawn anew."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expressionist.report.figures.drawing import add_key_above, new_figure, tidy
from expressionist.report.figures.style import BLUE, DASHES, LOOKS, QUIET

_LOOKS = {
    "own explanation": LOOKS["integrated_gradients"],
    "mean explanation of the type": LOOKS["test_samples"],
    "fold change": LOOKS["fold_change"],
    "random genes": (QUIET, DASHES),
}
_TITLES = {
    "deletion": "genes taken from the sample",
    "insertion": "genes given to the other sample",
}
# The middle share of the samples that a line spans.
MIDDLE = 0.9


def draw_replaced(curves: pd.DataFrame) -> Figure:
    """Draw the ``probability`` of the type, from ``low`` to ``high``, by ``n_genes`` replaced.

    A panel per ``curve`` (``deletion``, ``insertion``), in it a line per ``order``.
    """
    figure = new_figure(8.4, 3.4)
    for axes, (curve, title) in zip(figure.subplots(1, 2, sharey=True), _TITLES.items(), strict=True):
        tidy(
            axes, title=title, x="genes replaced", y="probability of the type" if curve == "deletion" else ""
        )
        shown = curves[curves["curve"] == curve]
        for order, (colour, line) in _LOOKS.items():
            rows = shown[shown["order"] == order]
            axes.fill_between(
                rows["n_genes"], rows["low"], rows["high"], color=colour, alpha=0.14, linewidth=0
            )
            (drawn,) = axes.plot(
                rows["n_genes"], rows["probability"], color=colour, linestyle=line, label=order
            )
            drawn.set(marker="o", markersize=3.5, linewidth=2.4 if order == "own explanation" else 1.4)
        counts = np.unique(shown["n_genes"])
        axes.set_xscale("symlog", linthresh=10, linscale=0.4)
        axes.set_xticks(counts, [f"{n:,}" for n in counts])
        axes.minorticks_off()
        axes.set_ylim(-0.02, 1.02)
    add_key_above(figure, figure.axes, n_columns=4)
    return figure


def draw_randomised(cascade: pd.DataFrame, panels: Mapping[str, tuple[str, float]]) -> Figure:
    """Draw what is left of explanations by the weights ``randomised`` so far: mean and middle of the samples.

    The cascade has a row per sample and part; `panels` are, by its column, the title and what stands there
    while nothing is randomised.
    """
    figure = new_figure(8.4, 2.7)
    parts = list(cascade["randomised"].unique())
    grid = figure.subplots(1, len(panels), sharey=True)
    for axes, (column, (title, most)) in zip(grid, panels.items(), strict=True):
        tidy(axes, grid="x", title=title)
        by_part = cascade.groupby("randomised", sort=False)[column]
        low, high = by_part.quantile((1 - MIDDLE) / 2), by_part.quantile((1 + MIDDLE) / 2)
        axes.hlines(range(1, len(parts) + 1), low, high, color=BLUE, linewidth=2.2)
        means = [most, *by_part.mean()]
        axes.plot(means, range(len(means)), "o-", color=BLUE, markersize=6, linewidth=1)
        axes.set_yticks(range(len(means)), ["nothing", *parts])
        axes.set_xlim(min(0.0, low.min()) - 0.03 * most, 1.03 * most)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    grid[0].invert_yaxis()
    return figure
