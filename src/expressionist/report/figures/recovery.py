"""Figures of the markers that attributions find, beside the controls without which that is no evidence."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from expressionist.report.figures.drawing import (
    add_key,
    add_key_above,
    add_share_bar,
    name_bars,
    name_cells,
    new_axes,
    new_figure,
    tidy,
    write_beside,
)
from expressionist.report.figures.sheet import colour_map
from expressionist.report.figures.style import DASHES, INK, LOOKS, QUIET


def draw_recovery_map(shares: np.ndarray, tumour_types: Sequence[str], *, n_top: int) -> Figure:
    """Draw the share of a type's markers (column) that stand among the `n_top` genes of a type (row).

    It is NaN where a type has none. If attributions name the right genes, the framed diagonal stands out.
    """
    size = min(max(0.22 * len(tumour_types), 2.4), 10)
    figure, axes = new_axes(size + 1.3, size + 0.4, grid="", x="markers of", y=f"top {n_top} genes of")
    shown = np.ma.masked_invalid(shares)
    drawn = axes.imshow(shown, cmap=colour_map("Purples"), vmin=0, vmax=1, interpolation="nearest")
    name_cells(axes, tumour_types)
    for place in range(len(tumour_types)):
        corner = (place - 0.5, place - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=QUIET, linewidth=0.7))
    add_share_bar(figure, axes, drawn, "markers found")
    return figure


def draw_recovery_controls(shares: pd.DataFrame, names: Mapping[str, str], *, chance: float) -> Figure:
    """Draw the share of a type's markers that each ranking has among its top genes.

    `shares` is (n_types, n_rankings), NaN without a marker; `names` are what the rankings are called. A bar
    is a mean over types, a dot a type.
    """
    n_rankings = shares.shape[1]
    told = "markers found among the top genes (mean; a dot is a tumour type)"
    figure, axes = new_axes(6.8, 0.9 + 0.34 * n_rankings, grid="x", x=told)
    for place, ranking in enumerate(shares):
        values = shares[ranking].dropna().to_numpy(float)
        mean = float(values.mean()) if values.size else 0.0
        colour, line = LOOKS[str(ranking)]
        # What has a solid line elsewhere has a full bar, and its relatives paler ones.
        axes.barh(place, mean, height=0.66, color=colour, alpha=0.75 if line == "-" else 0.4)
        # Types that find equally many would hide each other on one line.
        offset = ((np.arange(values.size) * 0.618) % 1 - 0.5) * 0.5
        axes.plot(values, place + offset, "o", color=INK, alpha=0.45, markersize=2.6, markeredgewidth=0)
        write_beside(axes, place, f"{mean:.0%}")
    axes.axvline(chance, color=QUIET, linewidth=1.2, linestyle=DASHES, label=f"chance, {chance:.1%}")
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    axes.set_yticks(range(n_rankings), [names[str(ranking)] for ranking in shares], parse_math=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlim(0, 1.02)
    axes.invert_yaxis()
    return figure


def draw_truth_curves(panels: Mapping[str, pd.DataFrame], names: Mapping[str, str]) -> Figure:
    """Draw shares and their intervals by the number of genes ranked first, two panels a row.

    A panel, by its title, has the columns ``ranking``, ``n_top``, ``share``, ``low``, ``high``, ``chance``.
    The first ranking is the one under test; `names` are what the rankings are called.
    """
    n_rows = len(panels) // 2
    figure = new_figure(8.4, 0.9 + 2.8 * n_rows)
    grid = figure.subplots(n_rows, 2, sharey=True, squeeze=False)
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=True):
        tidy(axes, title=title, x="genes ranked first" if axes in grid[-1] else "")
        _draw_curves(axes, curves, names)
    add_key_above(figure, grid.flat, n_columns=3)
    return figure


def _draw_curves(axes: Axes, curves: pd.DataFrame, names: Mapping[str, str]) -> None:
    for place, (ranking, rows) in enumerate(curves.groupby("ranking", sort=False)):
        colour, line = LOOKS[str(ranking)]
        axes.fill_between(rows["n_top"], rows["low"], rows["high"], color=colour, alpha=0.12, linewidth=0)
        label = names[str(ranking)]
        (curve,) = axes.plot(rows["n_top"], rows["share"], color=colour, linestyle=line, label=label)
        curve.set(marker="o", markersize=3.5, linewidth=2.4 if place == 0 else 1.4)
    chance = curves.drop_duplicates("n_top")
    axes.plot(chance["n_top"], chance["chance"], color=QUIET, linewidth=1.2, linestyle=DASHES, label="chance")
    axes.set_xscale("log")
    axes.set_xticks(chance["n_top"], [f"{n:,}" for n in chance["n_top"]])
    axes.minorticks_off()
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1))


def draw_stability(shared: pd.DataFrame, marks: Mapping[str, tuple[str, str]], *, n_top: int) -> Figure:
    """Draw how many of a type's first `n_top` genes another ranking shares, a dot per type and ranking.

    `shared` is (n_types, n_others), by tumour type, NaN where nothing is known. `marks` say of its columns
    what they are called, and the ranking whose look they have.
    """
    figure, axes = new_axes(8.4, 3.1, y=f"shared of the top {n_top}")
    # Equal numbers of one type would hide each other on one line.
    beside = np.linspace(-0.27, 0.27, len(marks))
    for offset, (column, (name, ranking)) in zip(beside, marks.items(), strict=True):
        colour, line = LOOKS[ranking]
        places = np.arange(len(shared)) + offset
        (dots,) = axes.plot(places, shared[column], "o", color=colour, label=name, markersize=5)
        dots.set(markerfacecolor=colour if line == "-" else "white", markeredgewidth=1.4)
    name_bars(axes, [str(name) for name in shared.index])
    axes.set_ylim(-0.5, n_top + 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    add_key_above(figure, [axes], n_columns=4)
    return figure
