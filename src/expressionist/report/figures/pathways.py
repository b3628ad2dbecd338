"""Figures of gene sets: at the ends of which types' rankings they stand, and where their genes lie."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from expressionist.report.figures.drawing import add_key, cut, new_axes
from expressionist.report.figures.sheet import Sheet, colour_map, hide_padding
from expressionist.report.figures.style import INK, PADDING, RULE, VERMILION

_GROUND = "#eceff2"
_LEVELS = (0.05, 1e-3, 1e-6)
_MOST_LOG = 8.0  # what lies beyond looks alike
_REACH = 6.0


def draw_enrichment(found: pd.DataFrame, sets: Sequence[str], tumour_types: Sequence[str]) -> Figure:
    """Draw ``score`` as colour and ``q_value`` as size, by ``gene_set`` and ``tumour_type``."""
    rows = found.loc[found["gene_set"].isin(sets) & found["tumour_type"].isin(tumour_types)]
    width, height = 5.4 + 0.24 * len(tumour_types), 1.4 + 0.22 * len(sets)
    figure, axes = new_axes(width, height, grid="")
    # Lines to the names, as most places are nearly empty.
    axes.hlines(range(len(sets)), -0.5, len(tumour_types) - 0.5, color=RULE, linewidth=0.6, zorder=0)
    edges = np.where(rows["q_value"] < _LEVELS[0], INK, "none")
    drawn = axes.scatter(
        pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"])),
        pd.Index(sets).get_indexer(pd.Index(rows["gene_set"])),
        s=_size(rows["q_value"].to_numpy(float)),
        c=rows["score"],
        cmap=colour_map("RdBu_r"),
        vmin=-_REACH,
        vmax=_REACH,
        edgecolors=edges,
        linewidths=0.8,
    )
    for level in _LEVELS:
        area = float(_size(np.array([level]))[0])
        axes.scatter([], [], s=area, color=PADDING, edgecolors=INK, linewidths=0.8, label=f"q = {level:g}")
    axes.set_xticks(range(len(tumour_types)), cut(tumour_types), rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(sets)), [shorten(name, 60) for name in sets], fontsize=8, parse_math=False)
    axes.set(xlim=(-0.7, len(tumour_types) - 0.3), ylim=(len(sets) - 0.4, -0.6))
    axes.tick_params(length=0)
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(_LEVELS), borderaxespad=0.2)
    bar = figure.colorbar(drawn, ax=axes, shrink=min(1.0, 6 / len(sets)), aspect=16, pad=0.02, anchor=(0, 1))
    bar.ax.tick_params(labelsize=8.5, length=2, colors=INK)
    bar.set_label("score", fontsize=9, color=INK)
    bar.outline.set_visible(False)
    return figure


def _size(q_values: np.ndarray) -> np.ndarray:
    """Turn q-values into areas, in square points."""
    return 4 + 20 * np.minimum(-np.log10(np.maximum(q_values, 1e-300)), _MOST_LOG)


def draw_set_places(pixel: np.ndarray, members: Mapping[str, np.ndarray], shape: tuple[int, int]) -> Figure:
    """Draw where the genes of each set, positions in `pixel`, lie on the image."""
    overlap = np.bincount(pixel, minlength=shape[0] * shape[1]).reshape(shape)
    ground = hide_padding(np.zeros(shape), overlap)
    colours = ListedColormap([_GROUND], name="ground").with_extremes(bad=PADDING)
    sheet = Sheet(len(members), shape, cell=300, n_columns=min(3, len(members)))
    for cell, (name, places) in enumerate(members.items()):
        axes = sheet.place(cell, ground, f"{cell + 1}  {shorten(name, 23)}", cmap=colours).axes
        rows, columns = np.divmod(pixel[places], shape[1])
        axes.scatter(columns, rows, s=22, color=VERMILION, linewidths=0)
    sheet.add_keys({"gene of the set": VERMILION})
    return sheet.figure


def shorten(name: str, most: int) -> str:
    """Write a gene set's name without what WikiPathways adds to it, and cut it to so many characters.

    >>> shorten("GDNF signaling%WikiPathways_20220613%WP5143%Homo sapiens", 20), shorten("Cell cycle", 6)
    ('GDNF signaling', 'Cell …')
    """
    plain = name.partition("%")[0]
    return plain if len(plain) <= most else plain[: most - 1] + "…"
