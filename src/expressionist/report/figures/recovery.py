"""Figures of the markers that attributions find, beside the controls without which that is no evidence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from expressionist.report.figures.drawing import add_key, add_share_bar, name_cells, new_axes, write_beside
from expressionist.report.figures.sheet import colour_map
from expressionist.report.figures.style import BLUE, DASHES, INK, PADDING, QUIET, VERMILION


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


def draw_recovery_controls(shares: pd.DataFrame, *, chance: float) -> Figure:
    """Draw the share of a type's markers that each ranking, the first under test, has among its top genes.

    `shares` is (n_types, n_rankings), NaN without a marker. A bar is a mean over types, a dot a type.
    """
    n_rankings = shares.shape[1]
    told = "markers found among the top genes (mean; a dot is a tumour type)"
    figure, axes = new_axes(6.8, 0.9 + 0.5 * n_rankings, grid="x", x=told)
    for place, ranking in enumerate(shares):
        values = shares[ranking].dropna().to_numpy(float)
        mean = float(values.mean()) if values.size else 0.0
        axes.barh(place, mean, height=0.62, color=BLUE if place == 0 else PADDING)
        # Types that find equally many would hide each other on one line.
        offset = ((np.arange(values.size) * 0.618) % 1 - 0.5) * 0.42
        axes.plot(values, place + offset, "o", color=INK, alpha=0.45, markersize=3, markeredgewidth=0)
        write_beside(axes, place, f"{mean:.0%}")
    axes.axvline(chance, color=VERMILION, linewidth=1.2, linestyle=DASHES, label=f"chance, {chance:.1%}")
    add_key(axes, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2)
    axes.set_yticks(range(n_rankings), [str(name).replace("_", " ") for name in shares], parse_math=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlim(0, 1.02)
    axes.invert_yaxis()
    return figure
