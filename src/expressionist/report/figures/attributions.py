"""Figures of attributions: where on the image, which genes, how exact, and against which controls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from expressionist.report.figures.drawing import (
    BLUE,
    DPI,
    INK,
    PADDING,
    QUALITATIVE,
    QUIET,
    STRIP,
    VERMILION,
    add_key,
    colour_map,
    find_spread,
    hide_padding,
    new_figure,
    tidy,
    write_beside,
)

_TOWARDS, _AGAINST = "#b2182b", "#2166ac"  # The ends of the diverging colour map, one step in.


def draw_attribution(
    expression: np.ndarray,
    attribution: np.ndarray,
    crowding: np.ndarray,
    tumour_type: str,
    *,
    spread: float | None = None,
) -> Figure:
    """Draw the mean attribution image of a tumour type beside its mean expression image.

    Parameters
    ----------
    expression : numpy.ndarray of shape (height, width)
        Mean scaled expression, 0 to 1.
    attribution : numpy.ndarray of shape (height, width)
        Mean signed attribution, summed over the genes of a pixel.
    crowding : numpy.ndarray of shape (height, width)
        Genes per pixel; grey where it is 0.
    tumour_type : str
        Named in the titles.
    spread : float, optional
        Attribution at which the colour scale ends on both sides of 0. By default the 99.5th percentile of
        this image; give one value to compare types.

    Returns
    -------
    matplotlib.figure.Figure
        Two images of which every pixel covers the same whole number of figure pixels.
    """
    height, width = crowding.shape
    magnify = max(1, round(300 / max(height, width)))
    high, wide = height * magnify, width * magnify
    left, between, right, top, bottom = 12, 96, 92, 34, STRIP + 6
    across, down = left + 2 * wide + between + right, top + high + bottom
    figure = Figure(figsize=(across / DPI, down / DPI), dpi=DPI, facecolor="white")
    shown = hide_padding(attribution, crowding)
    reach = find_spread(shown) if spread is None else spread
    panels = (
        (left, hide_padding(expression, crowding), "magma", (0.0, 1.0), "mean scaled expression"),
        (left + wide + between, shown, "RdBu_r", (-reach, reach), "mean attribution"),
    )
    for start, image, colours, (low, top_value), title in panels:
        axes = figure.add_axes((start / across, bottom / down, wide / across, high / down))
        axes.set_axis_off()
        axes.set_title(f"{tumour_type}: {title}", loc="left", fontsize=10, color=INK, parse_math=False)
        drawn = axes.imshow(
            image,
            cmap=colour_map(colours),
            norm=Normalize(low, top_value),
            interpolation="nearest",
            aspect="auto",
        )
        beside = figure.add_axes(((start + wide + 8) / across, bottom / down, 10 / across, high / down))
        bar = figure.colorbar(drawn, cax=beside, extend="both" if low < 0 else "neither", extendfrac=0.03)
        bar.ax.tick_params(labelsize=8, length=2, colors=INK)
        bar.ax.yaxis.get_offset_text().set_fontsize(8)
        bar.outline.set_visible(False)
    return figure


def draw_top_genes(genes: pd.DataFrame, *, n_shown: int = 20) -> Figure:
    """Draw the genes of largest mean attribution as signed bars.

    Parameters
    ----------
    genes : pandas.DataFrame
        Columns ``symbol``, ``attribution`` (mean, signed) and, where known, ``marker`` (bool).
    n_shown : int
        At most so many, by absolute attribution.

    Returns
    -------
    matplotlib.figure.Figure
        Red speaks for the type, blue against it; known markers carry a diamond.
    """
    order = genes["attribution"].abs().sort_values(ascending=False, kind="stable").index[:n_shown]
    rows = genes.loc[order].sort_values("attribution", kind="stable")
    figure = new_figure(5.6, 0.8 + 0.21 * len(rows))
    axes = tidy(figure.add_subplot(), grid="x", x="mean attribution (share of the logit)")
    places, values = np.arange(len(rows)), rows["attribution"].to_numpy(float)
    axes.barh(places, values, color=np.where(values < 0, _AGAINST, _TOWARDS), height=0.72)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.set_yticks(places, [str(symbol) for symbol in rows["symbol"]], fontsize=8.5, parse_math=False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    if "marker" in rows and rows["marker"].astype(bool).any():
        marked = rows["marker"].to_numpy(bool)
        axes.plot(
            values[marked],
            places[marked],
            "D",
            color="white",
            markeredgecolor=INK,
            markersize=5,
            label="known marker",
        )
        add_key(axes, loc="lower right")
    return figure


def draw_recovery_map(shares: np.ndarray, tumour_types: Sequence[str], *, n_top: int) -> Figure:
    """Draw which type's markers stand among the top genes of which type.

    Parameters
    ----------
    shares : numpy.ndarray of shape (n_types, n_types)
        Row: type explained. Column: type whose markers are looked for. Value: share of these markers that are
        found; NaN where a type has none.
    tumour_types : sequence of str of length n_types
        Names of rows and columns.
    n_top : int
        Number of top genes looked at.

    Returns
    -------
    matplotlib.figure.Figure
        If attributions name the right genes, the framed diagonal stands out.
    """
    names = [str(name) for name in tumour_types]
    size = min(max(0.22 * len(names), 2.4), 10)
    figure = new_figure(size + 1.3, size + 0.4)
    axes = tidy(figure.add_subplot(), grid="", x="markers of", y=f"top {n_top} genes of")
    drawn = axes.imshow(
        np.ma.masked_invalid(shares), cmap=colour_map("Purples"), vmin=0, vmax=1, interpolation="nearest"
    )
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.tick_params(length=0)
    for place in range(len(names)):
        axes.add_patch(
            Rectangle((place - 0.5, place - 0.5), 1, 1, fill=False, edgecolor=QUIET, linewidth=0.7)
        )
    bar = figure.colorbar(
        drawn, ax=axes, shrink=0.5 if len(names) > 12 else 1.0, aspect=26, pad=0.02, anchor=(0, 1)
    )
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
    bar.ax.tick_params(labelsize=8.5, length=2, colors=INK)
    bar.set_label("markers found", fontsize=9, color=INK)
    bar.outline.set_visible(False)
    return figure


def draw_recovery_controls(shares: pd.DataFrame, *, chance: float | None = None) -> Figure:
    """Draw how many markers each ranking finds, beside the controls without which that is no evidence.

    Parameters
    ----------
    shares : pandas.DataFrame of shape (n_types, n_rankings)
        Share of a type's markers among the top genes, a column per ranking (such as integrated gradients, the
        same from a zero baseline, the same with random weights, fold change); NaN where a type has none.
        The first column is the ranking under test.
    chance : float, optional
        Share that a random ranking would find.

    Returns
    -------
    matplotlib.figure.Figure
        A bar per ranking (mean over types), a dot per type.
    """
    figure = new_figure(6.8, 0.9 + 0.5 * shares.shape[1])
    axes = tidy(
        figure.add_subplot(), grid="x", x="markers found among the top genes (mean; a dot is a tumour type)"
    )
    for place, ranking in enumerate(shares):
        values = shares[ranking].dropna().to_numpy(float)
        mean = float(values.mean()) if values.size else 0.0
        axes.barh(place, mean, height=0.62, color=BLUE if place == 0 else PADDING)
        # Types that find equally many would hide each other on one line.
        offset = ((np.arange(values.size) * 0.618) % 1 - 0.5) * 0.42
        axes.plot(values, place + offset, "o", color=INK, alpha=0.45, markersize=3, markeredgewidth=0)
        write_beside(axes, place, f"{mean:.0%}")
    if chance is not None:
        axes.axvline(
            chance, color=VERMILION, linewidth=1.2, linestyle=(0, (4, 3)), label=f"chance, {chance:.1%}"
        )
        add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    axes.set_yticks(
        range(shares.shape[1]), [str(name).replace("_", " ") for name in shares], parse_math=False
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlim(0, 1.02)
    axes.invert_yaxis()
    return figure


def draw_deltas(
    samples: pd.DataFrame, *, median_limit: float | None = None, p95_limit: float | None = None
) -> Figure:
    """Draw how far the attributions of the samples are from complete, and how many steps they took.

    Parameters
    ----------
    samples : pandas.DataFrame
        Columns ``baseline`` (which one), ``relative_gap`` (absolute delta over the difference of logits
        that it should add up to) and ``steps``; a row per sample and baseline.
    median_limit, p95_limit : float, optional
        What the median and the 95th percentile of the gap were asked to be.

    Returns
    -------
    matplotlib.figure.Figure
        A histogram of gaps on a logarithmic scale, and the number of samples per number of steps.
    """
    figure = new_figure(8.2, 3)
    gaps, steps = figure.subplots(1, 2, width_ratios=[3, 2])
    tidy(gaps, x="relative completeness gap", y="samples")
    tidy(steps, x="steps of the path integral", y="samples")
    # A gap of exactly 0 has no logarithm; it belongs to the lowest bin.
    floor = 1e-6
    edges = np.logspace(np.log10(floor), max(np.log10(samples["relative_gap"].max() * 1.1 + floor), -1), 40)
    baselines = list(dict.fromkeys(samples["baseline"]))
    counts = sorted(samples["steps"].unique())
    for number, baseline in enumerate(baselines):
        rows, colour = samples.loc[samples["baseline"] == baseline], QUALITATIVE[number % len(QUALITATIVE)]
        gaps.hist(
            rows["relative_gap"].clip(lower=floor),
            bins=edges,
            color=colour,
            alpha=0.65,
            label=f"baseline: {baseline}",
        )
        share = 0.8 / len(baselines)
        heights = [(rows["steps"] == count).sum() for count in counts]
        steps.bar(np.arange(len(counts)) - 0.4 + share * (number + 0.5), heights, width=share, color=colour)
    for limit, word in ((median_limit, "median"), (p95_limit, "95%")):
        if limit is not None:
            gaps.axvline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)))
            gaps.annotate(
                f"{word} ≤ {limit:.0%}", (limit, 1), (-3, -2), xycoords=("data", "axes fraction"),
                textcoords="offset points", rotation=90, ha="right", va="top", fontsize=8, color=INK,
            )  # fmt: skip
    gaps.set_xscale("log")
    for axes in (gaps, steps):
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    steps.set_xticks(range(len(counts)), [str(count) for count in counts])
    figure.legend(
        *gaps.get_legend_handles_labels(),
        loc="outside upper left",
        ncols=3,
        frameon=False,
        fontsize=9,
        labelcolor=INK,
    )
    return figure
