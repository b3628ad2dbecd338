"""Figures of attributions: where on the image, which genes, and how exact."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expressionist.report.figures.drawing import add_key_above, cut, new_axes, new_figure, note, tidy
from expressionist.report.figures.sheet import colour_map, find_spread, hide_padding
from expressionist.report.figures.style import BLUE, DASHES, DPI, INK, QUIET, STRIP

_TOWARDS, _AGAINST = "#b2182b", "#2166ac"  # The ends of the diverging colour map, one step in.
# Genes drawn that speak for a type by being high, and by being low.
_N_GENES = {"high": 15, "low": 8}


def draw_attribution(
    expression: np.ndarray, attribution: np.ndarray, overlap: np.ndarray, tumour_type: str
) -> Figure:
    """Draw a type's mean expression image (0 to 1) and beside it its mean attribution image (signed)."""
    # Every pixel covers the same whole number of figure pixels, so the axes are placed by hand.
    height, width = overlap.shape
    magnify = max(1, round(300 / max(height, width)))
    high, wide = height * magnify, width * magnify
    left, between, right, top, bottom = 12, 96, 92, 34, STRIP + 6
    across, down = left + 2 * wide + between + right, top + high + bottom
    figure = Figure(figsize=(across / DPI, down / DPI), dpi=DPI, facecolor="white")
    shown = hide_padding(attribution, overlap)
    reach = find_spread(shown)
    panels = (
        (left, hide_padding(expression, overlap), "magma", Normalize(0, 1), "mean scaled expression"),
        (left + wide + between, shown, "RdBu_r", Normalize(-reach, reach), "mean attribution"),
    )
    (named,) = cut([tumour_type], 18)
    for start, image, colours, scale, title in panels:
        axes = figure.add_axes((start / across, bottom / down, wide / across, high / down))
        axes.set_axis_off()
        axes.set_title(f"{named}: {title}", loc="left", fontsize=10, color=INK, parse_math=False)
        drawn = axes.imshow(
            image, cmap=colour_map(colours), norm=scale, interpolation="nearest", aspect="auto"
        )
        beside = figure.add_axes(((start + wide + 8) / across, bottom / down, 10 / across, high / down))
        ends = "both" if image is shown else "neither"
        bar = figure.colorbar(drawn, cax=beside, extend=ends, extendfrac=0.03)
        bar.ax.tick_params(labelsize=8, length=2, colors=INK)
        bar.ax.yaxis.get_offset_text().set_fontsize(8)
        bar.outline.set_visible(False)
    return figure


def draw_top_genes(genes: pd.DataFrame) -> Figure:
    """Draw the ``score``s of genes by ``symbol``: filled bars speak by being high, hollow ones by being low.

    A diamond stands on a ``marker``.
    """
    parts = [genes[genes["speaks_by_being"] == side].head(n) for side, n in _N_GENES.items()]
    rows = pd.concat(parts)
    places, values = np.arange(len(rows))[::-1], rows["score"].to_numpy(float)
    figure, axes = new_axes(
        5.6, 1.0 + 0.21 * len(rows), grid="x", x="score (logits above the mean over types)"
    )
    _draw_bars(axes, places, values, (rows["speaks_by_being"] == "high").to_numpy(), _TOWARDS)
    axes.set_yticks(places, cut(rows["symbol"]), fontsize=8.5, parse_math=False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    marked = rows["marker"].to_numpy(bool)
    if marked.any():
        diamonds = axes.plot(values[marked], places[marked], "D", label="known marker")
        diamonds[0].set(color="white", markeredgecolor=INK, markersize=5)
    _add_key_of_sides(figure, axes)
    return figure


def draw_apart(rows: pd.DataFrame, tumour_type: str, rival: str) -> Figure:
    """Draw what speaks for a type (right, red) and for its rival (left, blue): bars of ``attribution``.

    Columns are ``type``, ``symbol``, ``gene``, ``attribution`` and ``higher``: filled bars speak by being
    high. A gene that speaks on both sides has one line.
    """
    sides = {tumour_type: (1, _TOWARDS), rival: (-1, _AGAINST)}
    signs = rows["type"].map({name: sign for name, (sign, _) in sides.items()})
    signed = rows.assign(signed=rows["attribution"] * signs)
    order = signed.groupby("gene")["signed"].sum().sort_values(kind="stable").index
    names = rows.drop_duplicates("gene").set_index("gene")["symbol"].reindex(order)
    # Two of them fit beside each other on the page.
    figure, axes = new_axes(3.6, 1.1 + 0.21 * len(order), grid="x", x="attribution, in logits")
    for name, (_, colour) in sides.items():
        own = signed[signed["type"] == name]
        places = order.get_indexer(pd.Index(own["gene"]))
        _draw_bars(axes, places, own["signed"].to_numpy(float), own["higher"].to_numpy(bool), colour)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_yticks(range(len(order)), cut(names), fontsize=8.5, parse_math=False)
    axes.set_ylim(-0.7, len(order) - 0.3)
    # Both stand on one line.
    left, right = cut([rival, tumour_type], 11)
    axes.set_title(f"← for {left}", loc="left", fontsize=10, color=_AGAINST, parse_math=False)
    axes.set_title(f"for {right} →", loc="right", fontsize=10, color=_TOWARDS, parse_math=False)
    _add_key_of_sides(figure, axes)
    return figure


def _draw_bars(axes: Axes, places: np.ndarray, values: np.ndarray, high: np.ndarray, colour: str) -> None:
    """Draw bars that are filled where a gene speaks by being high, and hollow where by being low."""
    filled = [colour if each else "white" for each in high]
    axes.barh(places, values, color=filled, edgecolor=colour, linewidth=1.2, height=0.68)


def _add_key_of_sides(figure: Figure, axes: Axes) -> None:
    for colour, label in ((QUIET, "by being high"), ("white", "by being low")):
        axes.scatter([], [], marker="s", color=colour, edgecolor=QUIET, linewidth=1.2, label=label)
    add_key_above(figure, [axes], n_columns=3)


def draw_deltas(samples: pd.DataFrame, *, median_limit: float, p95_limit: float) -> Figure:
    """Draw ``relative_gap`` and ``steps`` of samples; the limits were asked of the gaps."""
    figure = new_figure(8.2, 2.8)
    gaps, steps = figure.subplots(1, 2, width_ratios=[3, 2])
    tidy(gaps, x="relative completeness gap", y="samples")
    tidy(steps, x="steps of the path integral", y="samples")
    # A gap of exactly 0 has no logarithm; it belongs to the lowest bin.
    floor = 1e-6
    edges = np.logspace(np.log10(floor), max(np.log10(samples["relative_gap"].max() * 1.1 + floor), -1), 40)
    gaps.hist(samples["relative_gap"].clip(lower=floor), bins=edges, color=BLUE)
    style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "va": "top", "fontsize": 8}
    for limit, word, side in ((median_limit, "median", "right"), (p95_limit, "95%", "left")):
        gaps.axvline(limit, color=INK, linewidth=1, linestyle=DASHES)
        note(gaps, f"{word} ≤ {limit:.0%}", (limit, 1), (-4 if side == "right" else 4, 0), ha=side, **style)
    gaps.set_xscale("log")
    gaps.margins(y=0.2)  # room for the words at the limits
    taken = samples["steps"].value_counts().sort_index()
    steps.bar(range(len(taken)), taken, width=0.7, color=BLUE)
    steps.set_xticks(range(len(taken)), [str(n) for n in taken.index])
    reach = max(len(taken), 3) / 2 + 0.1  # so that one bar alone does not fill the panel
    steps.set_xlim((len(taken) - 1) / 2 - reach, (len(taken) - 1) / 2 + reach)
    for axes in (gaps, steps):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure
