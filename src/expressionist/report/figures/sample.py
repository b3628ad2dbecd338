"""Figures of one sample: its picture beside its type's, and its genes beside those of training samples."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from expressionist.report.figures.drawing import add_key_above, cut, new_figure, tidy
from expressionist.report.figures.sheet import Sheet, colour_map, find_spread, hide_padding
from expressionist.report.figures.style import BLUE, INK, PADDING, QUIET, RULE, SKY, VERMILION


def draw_pictures(
    sample: np.ndarray, mean: np.ndarray, attribution: np.ndarray, overlap: np.ndarray, tumour_type: str
) -> Figure:
    """Draw a sample, the mean of a type (0 to 1), and attributions (signed), each (height, width)."""
    sheet = Sheet(3, overlap.shape, cell=290)
    for cell, (image, title) in enumerate(((sample, "this sample"), (mean, f"mean of {tumour_type}"))):
        sheet.place(cell, hide_padding(image, overlap), title, cmap=colour_map("magma"), vmin=0, vmax=1)
    shown = hide_padding(attribution, overlap)
    spread, colours = find_spread(shown), colour_map("RdBu_r")
    sheet.place(2, shown, f"speaks for {tumour_type}", cmap=colours, vmin=-spread, vmax=spread)
    sheet.add_scale(colours, -spread, spread, "attribution, in logits: red for the type, blue against it")
    if (overlap == 0).any():
        sheet.add_keys({"no gene": PADDING})
    return sheet.figure


def draw_genes(genes: pd.DataFrame, tumour_type: str, scale: str) -> Figure:
    """Draw genes for and against a type: their ``attribution``, and their expression beside others'.

    Parameters
    ----------
    genes : pandas.DataFrame
        A row per gene, in the order shown: ``symbol``, ``direction``, ``attribution``, ``log2``, ``filled``;
        ``type_0`` to ``type_4``, quantiles of the type's training samples at 5, 25, 50, 75 and 95%; and
        ``all_low``, ``all_median``, ``all_high`` of all training samples, at 5, 50 and 95%.
    tumour_type, scale : str
        The type, and what expression is given in, such as log₂(TPM+1).
    """
    figure = new_figure(8.2, 1.1 + 0.21 * len(genes))
    bars, strips = figure.subplots(1, 2, sharey=True, width_ratios=[2, 3])
    # A gap between the genes for the type and those against it.
    places = -np.arange(len(genes)) - (genes["direction"] == "against").to_numpy()
    tidy(bars, grid="x", x="attribution (logits)")
    tidy(strips, grid="x", x=f"expression, {scale}")
    colours = np.where(genes["attribution"] > 0, VERMILION, BLUE)
    bars.barh(places, genes["attribution"], color=colours, height=0.7)
    bars.axvline(0, color=QUIET, linewidth=0.8)
    bars.set_yticks(places, cut(genes["symbol"]), fontsize=8.5, parse_math=False)
    bars.set_ylim(places[-1] - 0.7, 0.7)
    _draw_strips(strips, genes, places, tumour_type)
    add_key_above(figure, [strips], n_columns=4)
    return figure


def _draw_strips(axes: Axes, genes: pd.DataFrame, places: np.ndarray, tumour_type: str) -> None:
    axes.hlines(
        places, genes["all_low"], genes["all_high"], color=RULE, linewidth=7, label="all types, 5–95%"
    )
    axes.plot(genes["all_median"], places, "|", color=QUIET, markersize=7)
    axes.hlines(
        places, genes["type_0"], genes["type_4"], color=SKY, linewidth=1.6, label=f"5–95% of {tumour_type}"
    )
    axes.hlines(places, genes["type_1"], genes["type_3"], color=SKY, linewidth=5, label="25–75%")
    axes.plot(genes["type_2"], places, "|", color=INK, markersize=6)
    filled = genes["filled"].to_numpy(bool)
    look: dict[str, Any] = {"markersize": 5.5, "markeredgecolor": INK, "linestyle": "none", "marker": "D"}
    axes.plot(genes["log2"][~filled], places[~filled], color=VERMILION, label="this sample", **look)
    if filled.any():
        axes.plot(genes["log2"][filled], places[filled], color="white", label="missing, filled", **look)
