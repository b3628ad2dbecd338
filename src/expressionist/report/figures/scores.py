"""Figures of how well tumour types are told apart."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from expressionist.evaluation import name_model
from expressionist.report.figures.drawing import (
    add_key,
    add_share_bar,
    cut,
    name_bars,
    name_cells,
    new_axes,
    write_beside,
)
from expressionist.report.figures.style import BLUE, DASHES, INK, RULE, SKY, VERMILION

_LARGEST_ANNOTATED = 40


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
    # Codes of four letters fit; what names are longer by would be taken from the matrix.
    room = 0.075 * max(len(max(cut(names), key=len, default="")) - 4, 0)
    figure, axes = new_axes(size + room + 1.2, size + room + 0.5, grid="", x="predicted type", y="true type")
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    between = np.arange(len(names) - 1) + 0.5
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.grid(which="minor", color=RULE, linewidth=0.6)
    name_cells(axes, names)
    for row in np.flatnonzero(totals[:, 0] == 0):
        axes.axhspan(row - 0.5, row + 0.5, facecolor="none", edgecolor=RULE, hatch="////", linewidth=0)
    if len(names) <= _LARGEST_ANNOTATED:
        for row, column in np.argwhere(counts > 0):
            colour, told = "white" if shares[row, column] > 0.55 else INK, f"{counts[row, column]}"
            axes.text(column, row, told, ha="center", va="center", fontsize=7, color=colour)
    add_share_bar(figure, axes, drawn, "share of the true type")
    return figure


def draw_forest(
    comparison: pd.DataFrame,
    *,
    level: float,
    splits: pd.DataFrame | None = None,
) -> Figure:
    """Draw the macro-F1 of every model with its interval, networks and baseline models told apart by colour.

    Parameters
    ----------
    comparison : pandas.DataFrame of length n_models
        Columns ``model``, ``kind`` (network or baseline), ``f1_macro``, ``f1_macro_low``, ``f1_macro_high``.
    level : float
        Share that the intervals cover; named on the axis.
    splits : pandas.DataFrame, optional
        Columns ``repeat``, ``model`` and ``f1_macro``, on every split of the patients. The scores on the
        first are those of `comparison`; those on the others are drawn as small dots.

    Returns
    -------
    matplotlib.figure.Figure
        Best first; a dashed line runs down from the best baseline model.
    """
    rows = comparison.sort_values("f1_macro", kind="stable").reset_index(drop=True)
    told = f"macro-F1, test samples, with {100 * level:.4g}% interval"
    figure, axes = new_axes(7.8, 0.9 + 0.36 * len(rows), grid="x", x=told)
    baselines = rows.loc[rows["kind"] == "baseline", "f1_macro"]
    if len(baselines):
        axes.axvline(baselines.max(), color=VERMILION, linewidth=1, linestyle=DASHES, alpha=0.8)
    for kind, colour, marker in (("network", BLUE, "o"), ("baseline", VERMILION, "D")):
        chosen = rows.loc[rows["kind"] == kind]
        if len(chosen):
            low, high, score = (chosen[f"f1_macro{end}"] for end in ("_low", "_high", ""))
            axes.hlines(chosen.index, low, high, color=colour, linewidth=2.2)
            axes.plot(score, chosen.index, marker, color=colour, markersize=6.5, label=f"{kind}s")
    if splits is not None:
        _add_dots(axes, rows, splits.loc[splits["repeat"] > 1])
    for place, value in enumerate(rows["f1_macro"]):
        write_beside(axes, place, f"{value:.3f}")
    axes.set_yticks(rows.index, [name_model(str(model)) for model in rows["model"]], parse_math=False)
    axes.set_ylim(-0.7, len(rows) - 0.3)
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)
    return figure


def _add_dots(axes: Axes, rows: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw a dot per model and split, below the model's own score."""
    places = {model: place for place, model in enumerate(rows["model"])}
    dots = others.loc[others["model"].isin(list(places))]
    if len(dots):
        heights = dots["model"].map(places) - 0.24
        axes.plot(dots["f1_macro"], heights, ".", color=INK, alpha=0.55, markersize=4.5, label="other splits")


def draw_recalls(per_type: pd.DataFrame) -> Figure:
    """Draw the ``recall`` of every ``type`` that has test samples, lowest first, with intervals."""
    rows = per_type.loc[per_type["n_samples"] > 0].sort_values(["recall", "type"], kind="stable")
    low, high = _find_wilson(rows["recall"].to_numpy(float), rows["n_samples"].to_numpy(float))
    figure, axes = new_axes(8.6, 3.1, y="recall")
    places = np.arange(len(rows))
    axes.bar(places, rows["recall"], width=0.74, color=SKY)
    axes.vlines(places, low, high, color=INK, linewidth=1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_ylim(0, 1.02)
    name_bars(axes, [f"{name} ({n})" for name, n in zip(rows["type"], rows["n_samples"], strict=True)])
    return figure


def _find_wilson(share: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find Wilson's 95% intervals (J Am Stat Assoc 22:209, 1927)."""
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return centre - reach, centre + reach
