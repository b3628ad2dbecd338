"""Figures of a cohort: its samples, what was missing, library sizes, and principal components."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expressionist.report.figures.drawing import (
    add_key,
    name_bars,
    name_places,
    new_axes,
    new_figure,
    tidy,
    write_above,
)
from expressionist.report.figures.style import AMBER, BLUE, QUALITATIVE, QUIET, RULE, SKY, VERMILION

_WIDTH, _BAR = 8.6, 0.74
# A key where no bar can reach it.
_ABOVE: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3, "borderaxespad": 0.2}
_SPLITS = {"train": BLUE, "validation": SKY, "test": AMBER}
# More groups than there are colours are named in the plot itself, unless the names would cover it.
_MOST_KEYS, _MOST_NAMES = len(QUALITATIVE), 40


def draw_samples(samples: pd.DataFrame) -> Figure:
    """Draw the number of samples per ``tumour_type``, largest first, stacked by ``split`` where known."""
    split = samples["split"] if "split" in samples else pd.Series("all", index=samples.index)
    counts = pd.crosstab(samples["tumour_type"], split)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    figure, axes = new_axes(_WIDTH, 3.1, y="samples")
    bottom = np.zeros(len(counts))
    places = np.arange(len(counts))
    for side in sorted(map(str, counts), key=[*_SPLITS, *map(str, counts)].index):
        axes.bar(places, counts[side], bottom=bottom, width=_BAR, color=_SPLITS.get(side, BLUE), label=side)
        bottom += counts[side].to_numpy()
    write_above(axes, bottom, bottom)
    name_bars(axes, [str(name) for name in counts.index])
    if counts.shape[1] > 1:
        add_key(axes, **_ABOVE)
    return figure


def draw_kept(read: Mapping[str, int], kept: Mapping[str, int]) -> Figure:
    """Draw the number of samples per tumour type before and after the rules, largest type first."""
    names = _order(read)
    before, after = [read[name] for name in names], [kept.get(name, 0) for name in names]
    figure, axes = new_axes(_WIDTH, 3.1, y="samples")
    axes.bar(range(len(names)), before, width=_BAR, color=RULE, label="read")
    axes.bar(range(len(names)), after, width=_BAR, color=BLUE, label="kept")
    write_above(axes, before, after)
    name_bars(axes, names)
    add_key(axes, **_ABOVE)
    return figure


def draw_missing(by_type: Mapping[str, int], n_genes: int) -> Figure:
    """Draw how many of all genes have no value in some sample of each tumour type, most first."""
    names = _order(by_type)
    heights = [by_type[name] for name in names]
    figure, axes = new_axes(_WIDTH, 2.9, y=f"genes of {n_genes:,} missing")
    axes.bar(range(len(names)), heights, width=_BAR, color=VERMILION)
    write_above(axes, heights, heights)
    name_bars(axes, names)
    return figure


def _order(counts: Mapping[str, int]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


def draw_library_sizes(sizes: np.ndarray, types: np.ndarray, unit: str) -> Figure:
    """Draw the sum of expression, above 0, of every sample by tumour type: shape (n_samples,) both."""
    names = sorted(set(types.tolist()))
    figure, axes = new_axes(_WIDTH, 3.1, y=f"sum over genes ({unit})")
    axes.boxplot(
        [sizes[types == name] for name in names],
        positions=range(len(names)),
        widths=0.6,
        whis=(5, 95),
        patch_artist=True,
        boxprops={"facecolor": RULE, "edgecolor": QUIET},
        medianprops={"color": BLUE, "linewidth": 1.6},
        whiskerprops={"color": QUIET},
        capprops={"color": QUIET},
        flierprops={"marker": ".", "markersize": 2.5, "markerfacecolor": QUIET, "markeredgecolor": "none"},
    )
    axes.set_yscale("log")
    name_bars(axes, names)
    return figure


def draw_components(
    points: np.ndarray, shares: Sequence[float], groupings: Mapping[str, np.ndarray]
) -> Figure:
    """Draw samples on their first two principal components, a panel per title and way of grouping them.

    Few groups have a key, more are named at their medians, very many not at all.
    """
    n_panels = len(groupings)
    figure = new_figure(_WIDTH, 4.6 * n_panels)
    panels = figure.subplots(n_panels, 1, squeeze=False)[:, 0]
    across, up = f"component 1 ({shares[0]:.0%} of variance)", f"component 2 ({shares[1]:.0%})"
    for axes, (title, groups) in zip(panels, groupings.items(), strict=True):
        _scatter(tidy(axes, grid="", title=title, x=across, y=up), points, groups)
    # Where names have room is known once all panels are filled.
    for axes, groups in zip(panels, groupings.values(), strict=True):
        names = np.unique(groups)
        if _MOST_KEYS < len(names) <= _MOST_NAMES:
            middles = np.array([np.median(points[groups == name, :2], axis=0) for name in names])
            name_places(figure, axes, names.tolist(), middles)
    return figure


def _scatter(axes: Axes, points: np.ndarray, groups: np.ndarray) -> None:
    # Small groups last, so that large ones do not cover them.
    names = [name for name, _ in Counter(groups.tolist()).most_common()]
    dots = []
    for place, name in enumerate(names):
        mine = points[groups == name]
        colour = QUALITATIVE[place % len(QUALITATIVE)]
        dots.append(axes.scatter(mine[:, 0], mine[:, 1], s=5, color=colour, alpha=0.55, linewidths=0))
    if len(names) <= _MOST_KEYS:
        # Given here, as Matplotlib would hide what begins with an underscore.
        add_key(axes, handles=dots, labels=names, loc="best", markerscale=2.5)
