"""Figures of drift: what was predicted over time, beside a version's own samples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from expressionist.report.figures.drawing import add_key, add_key_above, new_axes, new_figure, tidy
from expressionist.report.figures.style import BLUE, DASHES, QUIET, VERMILION

_PANELS = {
    "n_samples": "samples",
    "abstain": "share abstained",
    "unlike_training": "share unlike training",
    "probability": "highest probability",
    "missing": "share lacking genes",
}
_MOST_NAMED = 10


def draw_over_time(bins: pd.DataFrame, own: Mapping[str, Any], shifted: Sequence[tuple[str, str]]) -> Figure:
    """Draw what `judge_drift` says of its bins, and of own samples (dashed), a panel for each measure.

    `shifted` are the (measure, begin) that count as shifted; these are marked.
    """
    figure = new_figure(7.8, 1.7 * len(_PANELS))
    panels = figure.subplots(len(_PANELS), sharex=True)
    places = np.arange(len(bins))
    for axes, (measure, said) in zip(panels, _PANELS.items(), strict=True):
        tidy(axes, y=said)
        if measure == "n_samples":
            axes.bar(places, bins[measure], color=QUIET, width=0.7)
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            continue
        low, middle, high = (bins[f"{measure}{end}"] for end in ("_low", "", "_high"))
        is_far = np.array([(measure, begin) in shifted for begin in bins["begin"]])
        for chosen, colour, label in ((~is_far, BLUE, "predictions"), (is_far, VERMILION, "shifted")):
            axes.vlines(places[chosen], low[chosen], high[chosen], color=colour, linewidth=2)
            axes.plot(places[chosen], middle[chosen], "o", color=colour, markersize=5, label=label)
        if measure in own:
            axes.axhline(own[measure], color=QUIET, linestyle=DASHES, linewidth=1.2, label="own samples")
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    step = max(1, -(-len(bins) // _MOST_NAMED))
    panels[-1].set_xticks(places[::step], bins["begin"][::step], parse_math=False)
    panels[-1].set_xlim(-0.6, len(bins) - 0.4)
    for label in panels[-1].get_xticklabels():
        label.set(rotation=30, ha="right")
    add_key_above(figure, panels[1:], n_columns=3)
    figure.align_ylabels(panels)
    return figure


def draw_types(types: pd.DataFrame) -> Figure:
    """Draw each type's share of predictions and of training samples, as rows come."""
    rows = types.iloc[::-1].reset_index(drop=True)
    figure, axes = new_axes(7.8, 1.0 + 0.27 * len(rows), grid="x", x="share")
    axes.hlines(rows.index, rows["trained"], rows["share"], color=QUIET, linewidth=1.5)
    axes.plot(
        rows["trained"], rows.index, "D", color=QUIET, markerfacecolor="white", label="training samples"
    )
    axes.plot(rows["share"], rows.index, "o", color=BLUE, label="predictions")
    axes.set_yticks(rows.index, [str(name) for name in rows["type"]], parse_math=False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return figure
