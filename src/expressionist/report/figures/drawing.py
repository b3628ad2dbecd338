"""The one look of all figures: plain axes, quiet rules, frameless keys, and the stamp."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from matplotlib.ticker import PercentFormatter

from expressionist.files import write_whole
from expressionist.report.figures.style import DPI, INK, QUIET, RULE, STAMP, STRIP

_LONGEST = 60  # letters of a name
_LETTERS_BELOW = 90  # of all names that lie side by side below bars
# In pixels of the figure: what lies between two names, how near its place a name needs no line, and what two
# names may lack of the first.
_GAP, _NEAR, _NEARLY, _N_PUSHES = 4.0, 14.0, 0.5, 2000


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure, its size in inches, that keeps its parts from overlapping."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def new_axes(width: float, height: float, **look: Any) -> tuple[Figure, Axes]:  # noqa: ANN401
    """Return a figure that holds one pair of axes; their look is as for `tidy`."""
    figure = new_figure(width, height)
    return figure, tidy(figure.add_subplot(), **look)


def tidy(axes: Axes, *, grid: Literal["x", "y", ""] = "y", title: str = "", x: str = "", y: str = "") -> Axes:
    """Give axes the common look, rules along `grid` behind the data, and labels that carry the units."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(QUIET)
        spine.set_linewidth(0.8)
    axes.tick_params(colors=QUIET, labelcolor=INK, labelsize=9, length=3, width=0.8)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=RULE, linewidth=0.8)
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, fontweight="bold", parse_math=False)
    axes.set_xlabel(x, fontsize=9.5, color=INK)
    axes.set_ylabel(y, fontsize=9.5, color=INK)
    return axes


def add_key(axes: Axes, **options: Any) -> None:  # noqa: ANN401
    """Add a frameless legend in the common look; options go to `Axes.legend`."""
    keep_plain(axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, **options))


def add_key_above(figure: Figure, panels: Iterable[Axes], *, n_columns: int) -> None:
    """Add one legend above all panels; what several of them show stands in it once."""
    found = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    look: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": INK}
    handles, names = list(found.values()), list(found)
    keep_plain(figure.legend(handles, names, loc="outside upper left", ncols=n_columns, **look))


def keep_plain(legend: Legend) -> None:
    """Take the texts of a legend as they are, but for their length: two dollar signs make no formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)
        text.set_text(*cut([text.get_text()]))


def cut(names: Iterable[object], longest: int = _LONGEST) -> list[str]:
    """Cut names, at so many letters, that would leave no room for what is drawn.

    >>> cut(["TP53", "P04637;" * 99])[1]
    'P04637;P04637;P04637;P04637;P04637;P04637;P04637;P04637;P04…'
    """
    return [name if len(name) <= longest else f"{name[: longest - 1]}…" for name in map(str, names)]


def name_places(figure: Figure, axes: Axes, names: Sequence[str], places: np.ndarray) -> None:
    """Write a name at each place, (n_names, 2) in data, beside it where names would lie on each other.

    A line leads from a name to its place. The axes must hold all their data.
    """
    look: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "fontsize": 7.5,
        "fontweight": "bold",
        "color": INK,
    }
    look |= {"parse_math": False, "zorder": 4, "textcoords": "offset pixels", "annotation_clip": False}
    look["bbox"] = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.8}
    look["arrowprops"] = {"arrowstyle": "-", "color": INK, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
    texts = [
        axes.annotate(name, place, (0, 0), **look) for name, place in zip(cut(names), places, strict=True)
    ]
    figure.draw_without_rendering()  # only then is it known how large names and axes are
    boxes = [text.get_window_extent() for text in texts]
    sizes = np.array([(box.width, box.height) for box in boxes]).reshape(-1, 2) + _GAP
    middles = axes.transData.transform(places).reshape(-1, 2)
    for text, moved in zip(
        texts, spread_boxes(middles, sizes, np.array(axes.bbox.extents)) - middles, strict=True
    ):
        text.set_position(tuple(moved))
        if text.arrow_patch and np.hypot(*moved) < _NEAR:
            text.arrow_patch.set_visible(False)


def spread_boxes(middles: np.ndarray, sizes: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Push boxes, of `middles` and `sizes` (n_boxes, 2), apart until none lies on another, or nearly so.

    They stay `within` the extents (left, bottom, right, top) where these have room.
    """
    placed, low, high = middles.astype(float), np.reshape(within[:2], (1, 2)), np.reshape(within[2:], (1, 2))
    reach = (sizes[:, None] + sizes[None]) / 2
    # Of boxes on one place none knows a way; the order of the boxes tells them one.
    order = np.sign(np.arange(len(sizes))[:, None] - np.arange(len(sizes))[None])[:, :, None]
    for _ in range(_N_PUSHES):
        apart = placed[:, None] - placed[None]
        missing = np.clip(reach - np.abs(apart), 0, None)
        missing[(missing.min(axis=2) == 0) | (order[:, :, 0] == 0)] = 0
        # Along the axis on which less is missing.
        missing *= missing == missing.min(axis=2, keepdims=True)
        if missing.max(initial=0) < _NEARLY:
            break
        placed += (np.where(apart == 0, order, np.sign(apart)) * missing).sum(axis=1) / 2
        placed = np.clip(placed, low + sizes / 2, np.maximum(high - sizes / 2, low + sizes / 2))
    return placed


def add_share_bar(figure: Figure, axes: Axes, drawn: AxesImage, label: str) -> None:
    """Add the colour bar of a matrix of shares; beside a large one it takes half the height."""
    shrink = 0.5 if axes.get_ylim()[0] > 12 else 1.0
    bar = figure.colorbar(drawn, ax=axes, shrink=shrink, aspect=26, pad=0.02, anchor=(0, 1))
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1))
    bar.ax.tick_params(labelsize=8.5, length=2, colors=INK)
    bar.set_label(label, fontsize=9, color=INK)
    bar.outline.set_visible(False)


def note(axes: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], **style: Any) -> None:  # noqa: ANN401
    """Write a text beside a place, the offset in points; style goes to `Axes.annotate`."""
    axes.annotate(text, at, offset, textcoords="offset points", color=INK, **style)


def write_beside(axes: Axes, place: float, text: str) -> None:
    """Write a number right of the axes, at the height of a row of data."""
    across = ("axes fraction", "data")
    note(axes, text, (1, place), (6, 0), xycoords=across, va="center", fontsize=9, annotation_clip=False)


def write_above(axes: Axes, heights: Iterable[float], counts: Iterable[float]) -> None:
    """Write counts above bars that stand at 0, 1, ..."""
    for place, (height, n) in enumerate(zip(heights, counts, strict=True)):
        note(axes, f"{n:.0f}", (place, height), (0, 2), ha="center", fontsize=7)


def name_bars(axes: Axes, names: Sequence[str]) -> None:
    """Name bars that stand at 0, 1, ...; many names stand upright, and a few long ones rise to their bars."""
    look: dict[str, Any] = {"rotation": 90, "fontsize": 8} if len(names) > 12 else {"fontsize": 9}
    if len(names) <= 12 and max(map(len, names), default=0) * len(names) > _LETTERS_BELOW:
        look |= {"rotation": 20, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), cut(names), parse_math=False, **look)
    axes.set_xlim(-0.6, len(names) - 0.4)


def name_cells(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows and columns of a square matrix."""
    axes.set_xticks(range(len(names)), cut(names), rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(names)), cut(names), fontsize=8, parse_math=False)
    axes.tick_params(which="both", length=0)


def stamp(figure: Figure, *, synthetic: bool, random_weights: bool = False) -> Figure:
    """Write at the lower right what a figure must say wherever it is copied to.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Changed in place: one with a layout engine grows by a strip, others keep `STRIP` pixels free for it.
    synthetic : bool
        Whether the cohort was simulated.
    random_weights : bool
        Whether a network in the figure started from random weights.

    Returns
    -------
    matplotlib.figure.Figure
        The same figure.

    Examples
    --------
    >>> figure = stamp(new_figure(4, 3), synthetic=True, random_weights=True)
    >>> [text.get_text() for text in figure.texts]
    ['SYNTHETIC · RANDOM WEIGHTS']
    """
    words = ["SYNTHETIC"] * synthetic + ["RANDOM WEIGHTS"] * random_weights
    if not words:
        return figure
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        figure.set_figheight(figure.get_figheight() + STRIP / DPI)
        share = STRIP / DPI / figure.get_figheight()
        engine.set(rect=(0, share, 1, 1 - share))
    width, height = figure.get_size_inches() * DPI
    style: dict[str, Any] = {"fontsize": 7.5, "fontweight": "bold", "color": STAMP}
    figure.text(1 - 7 / width, 4 / height, " · ".join(words), ha="right", va="bottom", **style)
    return figure


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all; the same figure gives the same bytes."""
    with write_whole(path) as partial:
        figure.savefig(partial, format="png", dpi="figure", metadata={"Software": None})
