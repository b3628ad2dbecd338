"""Figures of the cohort's sizes and of how well tumour types are told apart."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter

from expressionist.report.figures.drawing import (
    AMBER,
    BLUE,
    INK,
    RULE,
    SKY,
    VERMILION,
    add_key,
    name_bars,
    new_figure,
    tidy,
    write_above,
    write_beside,
)

_SPLITS = {"train": BLUE, "validation": SKY, "test": AMBER}
_LARGEST_ANNOTATED = 40


def draw_samples(samples: pd.DataFrame) -> Figure:
    """Draw the number of samples per tumour type, stacked by side of the split.

    Parameters
    ----------
    samples : pandas.DataFrame of length n_samples
        Columns ``tumour_type`` and, where it is known, ``split``.

    Returns
    -------
    matplotlib.figure.Figure
        A bar per type, largest first.
    """
    split = samples["split"] if "split" in samples else pd.Series("all", index=samples.index)
    counts = pd.crosstab(samples["tumour_type"], split)
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    figure = new_figure(8.6, 3.1)
    axes = tidy(figure.add_subplot(), y="samples")
    bottom = np.zeros(len(counts))
    places = np.arange(len(counts))
    for side in sorted(map(str, counts), key=[*_SPLITS, *map(str, counts)].index):
        axes.bar(places, counts[side], bottom=bottom, width=0.74, color=_SPLITS.get(side, BLUE), label=side)
        bottom += counts[side].to_numpy()
    for place, total in enumerate(bottom.tolist()):
        write_above(axes, place, total, f"{int(total)}")
    name_bars(axes, [str(name) for name in counts.index])
    if counts.shape[1] > 1:
        add_key(axes, loc="upper right")
    return figure


def draw_confusion(counts: np.ndarray, tumour_types: Sequence[str]) -> Figure:
    """Draw a confusion matrix: colour is the share of the true type, numbers are samples.

    Parameters
    ----------
    counts : numpy.ndarray of shape (n_types, n_types)
        Samples by true type (row) and predicted type (column).
    tumour_types : sequence of str of length n_types
        Names of rows and columns, in the order of the matrix.

    Returns
    -------
    matplotlib.figure.Figure
        The matrix, sorted by type. A row without samples is hatched.
    """
    order = np.argsort(tumour_types, kind="stable")
    counts, names = counts[np.ix_(order, order)], [str(tumour_types[place]) for place in order]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    size = min(max(0.27 * len(names), 2.6), 12)
    figure = new_figure(size + 1.2, size + 0.5)
    axes = tidy(figure.add_subplot(), grid="")
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    _rule_cells(axes, names, x="predicted type", y="true type")
    for row in np.flatnonzero(totals[:, 0] == 0):
        axes.axhspan(row - 0.5, row + 0.5, facecolor="none", edgecolor=RULE, hatch="////", linewidth=0)
    if len(names) <= _LARGEST_ANNOTATED:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.55 else INK
            axes.text(
                column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=7, color=colour
            )
    _add_bar(figure, axes, drawn, "share of the true type")
    return figure


def _rule_cells(axes: Axes, names: Sequence[str], *, x: str, y: str) -> None:
    n_cells = len(names)
    tidy(axes, grid="", x=x, y=y)
    axes.set_xticks(range(n_cells), names, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(n_cells), names, fontsize=8, parse_math=False)
    axes.set_xticks(np.arange(n_cells - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(n_cells - 1) + 0.5, minor=True)
    axes.grid(which="minor", color=RULE, linewidth=0.6)
    axes.tick_params(which="both", length=0)


def _add_bar(figure: Figure, axes: Axes, drawn: AxesImage, label: str) -> None:
    shrink = 0.5 if axes.get_ylim()[0] > 12 else 1.0
    bar = figure.colorbar(drawn, ax=axes, shrink=shrink, aspect=26, pad=0.02, anchor=(0, 1))
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
    bar.ax.tick_params(labelsize=8.5, length=2, colors=INK)
    bar.set_label(label, fontsize=9, color=INK)
    bar.outline.set_visible(False)


def draw_forest(
    comparison: pd.DataFrame,
    metric: str = "f1_macro",
    *,
    label: str = "",
    level: float = 0.95,
    splits: pd.DataFrame | None = None,
) -> Figure:
    """Draw one score of every model with its interval, networks and opponents told apart by colour.

    Parameters
    ----------
    comparison : pandas.DataFrame of length n_models
        Columns ``model``, ``kind`` (network or opponent), and the metric with its ``_low`` and ``_high``.
    metric : str
        Column to draw.
    label : str
        What to call the metric; its column's name by default.
    level : float
        Share that the intervals cover; named on the axis.
    splits : pandas.DataFrame, optional
        Columns ``repeat`` and ``model``, and the metric on every split of the patients. The scores on the
        first are those of `comparison`; those on the others are drawn as small dots.

    Returns
    -------
    matplotlib.figure.Figure
        Best first; a dashed line runs down from the best opponent.
    """
    rows = comparison.sort_values(metric, kind="stable").reset_index(drop=True)
    figure = new_figure(7.8, 0.9 + 0.36 * len(rows))
    axes = tidy(
        figure.add_subplot(), grid="x", x=f"{label or metric}, test samples, with {100 * level:.4g}% interval"
    )
    opponents = rows.loc[rows["kind"] == "opponent", metric]
    if len(opponents):
        axes.axvline(opponents.max(), color=VERMILION, linewidth=1, linestyle=(0, (4, 3)), alpha=0.8)
    for kind, colour, marker in (("network", BLUE, "o"), ("opponent", VERMILION, "D")):
        chosen = rows.loc[rows["kind"] == kind]
        if len(chosen):
            axes.hlines(
                chosen.index, chosen[f"{metric}_low"], chosen[f"{metric}_high"], color=colour, linewidth=2.2
            )
            axes.plot(chosen[metric], chosen.index, marker, color=colour, markersize=6.5, label=f"{kind}s")
    if splits is not None:
        _add_dots(axes, rows, splits.loc[splits["repeat"] > 1], metric)
    for place, value in zip(rows.index, rows[metric], strict=True):
        write_beside(axes, place, f"{value:.3f}")
    axes.set_yticks(rows.index, [str(name).replace("_", " ") for name in rows["model"]], parse_math=False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    return figure


def _add_dots(axes: Axes, rows: pd.DataFrame, others: pd.DataFrame, metric: str) -> None:
    """Draw a dot per model and split, below the model's own score."""
    places = {model: place for place, model in enumerate(rows["model"])}
    dots = others.loc[others["model"].isin(list(places))]
    if len(dots):
        heights = [places[model] - 0.24 for model in dots["model"]]
        axes.plot(dots[metric], heights, ".", color=INK, alpha=0.55, markersize=4.5, label="other splits")


def draw_recalls(per_type: pd.DataFrame) -> Figure:
    """Draw the recall of every tumour type with its Wilson 95% interval, lowest first.

    Parameters
    ----------
    per_type : pandas.DataFrame of length n_types
        Columns ``type``, ``n_samples``, ``recall``. Types without test samples are left out.

    Returns
    -------
    matplotlib.figure.Figure
        A bar per type. Few samples show as a long interval: Wilson, J Am Stat Assoc 22:209 (1927).
    """
    rows = per_type.loc[per_type["n_samples"] > 0].sort_values(["recall", "type"], kind="stable")
    low, high = _find_wilson(rows["recall"].to_numpy(float), rows["n_samples"].to_numpy(float))
    figure = new_figure(8.6, 3.1)
    axes = tidy(figure.add_subplot(), y="recall")
    places = np.arange(len(rows))
    axes.bar(places, rows["recall"], width=0.74, color=SKY)
    axes.vlines(places, low, high, color=INK, linewidth=1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylim(0, 1.02)
    name_bars(axes, [f"{name} ({n})" for name, n in zip(rows["type"], rows["n_samples"], strict=True)])
    return figure


def _find_wilson(share: np.ndarray, n: np.ndarray, z: float = 1.959964) -> tuple[np.ndarray, np.ndarray]:
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return centre - reach, centre + reach
