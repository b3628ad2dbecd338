"""Figures of attributions: where on the image, which genes, and how exact."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expressionist.report.figures.drawing import add_key, add_key_above, new_axes, new_figure, note, tidy
from expressionist.report.figures.sheet import colour_map, find_spread, hide_padding
from expressionist.report.figures.style import DASHES, DPI, INK, QUALITATIVE, QUIET, STRIP

_TOWARDS, _AGAINST = "#b2182b", "#2166ac"  # The ends of the diverging colour map, one step in.
_N_GENES = 20


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
    for start, image, colours, scale, title in panels:
        axes = figure.add_axes((start / across, bottom / down, wide / across, high / down))
        axes.set_axis_off()
        axes.set_title(f"{tumour_type}: {title}", loc="left", fontsize=10, color=INK, parse_math=False)
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
    """Draw the largest ``attribution``s by ``symbol``: red for the type, a diamond on a ``marker``."""
    order = genes["attribution"].abs().sort_values(ascending=False, kind="stable").index[:_N_GENES]
    rows = genes.loc[order].sort_values("attribution", kind="stable")
    places, values = np.arange(len(rows)), rows["attribution"].to_numpy(float)
    figure, axes = new_axes(5.6, 0.8 + 0.21 * len(rows), grid="x", x="mean attribution (share of the logit)")
    axes.barh(places, values, color=np.where(values < 0, _AGAINST, _TOWARDS), height=0.72)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.set_yticks(places, [str(symbol) for symbol in rows["symbol"]], fontsize=8.5, parse_math=False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    marked = rows["marker"].to_numpy(bool)
    if marked.any():
        diamonds = axes.plot(values[marked], places[marked], "D", label="known marker")
        diamonds[0].set(color="white", markeredgecolor=INK, markersize=5)
        add_key(axes, loc="lower right")
    return figure


def draw_deltas(samples: pd.DataFrame, *, median_limit: float, p95_limit: float) -> Figure:
    """Draw ``relative_gap`` and ``steps`` of samples by ``reference``; the limits were asked of the gaps."""
    figure = new_figure(8.2, 3)
    gaps, steps = figure.subplots(1, 2, width_ratios=[3, 2])
    tidy(gaps, x="relative completeness gap", y="samples")
    tidy(steps, x="steps of the path integral", y="samples")
    # A gap of exactly 0 has no logarithm; it belongs to the lowest bin.
    floor = 1e-6
    edges = np.logspace(np.log10(floor), max(np.log10(samples["relative_gap"].max() * 1.1 + floor), -1), 40)
    references = samples["reference"].unique()
    counts = sorted(samples["steps"].unique())
    places, share = np.arange(len(counts)), 0.8 / len(references)
    for number, reference in enumerate(references):
        rows, colour = samples.loc[samples["reference"] == reference], QUALITATIVE[number % len(QUALITATIVE)]
        clipped = rows["relative_gap"].clip(lower=floor)
        gaps.hist(clipped, bins=edges, color=colour, alpha=0.65, label=f"reference: {reference}")
        heights = rows["steps"].value_counts().reindex(counts, fill_value=0)
        steps.bar(places - 0.4 + share * (number + 0.5), heights, width=share, color=colour)
    style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "ha": "right", "va": "top", "fontsize": 8}
    for limit, word in ((median_limit, "median"), (p95_limit, "95%")):
        gaps.axvline(limit, color=INK, linewidth=1, linestyle=DASHES)
        note(gaps, f"{word} ≤ {limit:.0%}", (limit, 1), (-3, -2), rotation=90, **style)
    gaps.set_xscale("log")
    for axes in (gaps, steps):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    steps.set_xticks(places, [str(count) for count in counts])
    add_key_above(figure, [gaps], n_columns=3)
    return figure
