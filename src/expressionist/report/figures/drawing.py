"""The one style of all figures: colours, plain axes, and sheets of images whose pixels stay whole."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from expressionist.files import write_whole

DPI = 120

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/): told apart with any colour vision.
# Its purple is darkened here, to stand out on white.
BLUE, VERMILION, GREEN, AMBER = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE = "#56B4E9", "#AA5D8F"
QUALITATIVE = (BLUE, VERMILION, GREEN, AMBER, PURPLE, SKY)
# Paul Tol's muted scheme (https://personal.sron.nl/~pault/): nine areas side by side, likewise.
MUTED = (
    "#332288", "#88CCEE", "#117733", "#DDCC77", "#CC6677", "#44AA99", "#882255", "#999933", "#AA4499"
)  # fmt: skip
INK, QUIET, RULE = "#1f2a33", "#66737d", "#dde3e8"
STAMP = "#9a5200"
# A grey that neither of the two colour maps of images contains: no gene is painted there.
PADDING = "#b4bbc2"

_MARGIN, _GAP, _TITLE, _FOOT = 14, 12, 34, 74
# Figure pixels that stay free at the lower edge of figures placed by hand, for `stamp`.
STRIP = 18


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure that keeps its parts from overlapping.

    Parameters
    ----------
    width, height : float
        Size in inches.
    """
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def tidy(
    axes: Axes, *, grid: Literal["x", "y", "both", ""] = "y", title: str = "", x: str = "", y: str = ""
) -> Axes:
    """Give axes the common look and return them.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Changed in place.
    grid : {"x", "y", "both", ""}
        Direction of the faint rules behind the data.
    title, x, y : str
        Title and axis labels; these carry the units.
    """
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
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, **options)


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
    style: dict[str, Any] = {
        "fontsize": 7.5,
        "fontweight": "bold",
        "color": STAMP,
        "ha": "right",
        "va": "bottom",
    }
    figure.text(1 - 7 / width, 4 / height, " · ".join(words), **style)
    return figure


def write_beside(axes: Axes, place: float, text: str) -> None:
    """Write a number right of the axes, at the height of a row of data."""
    axes.annotate(
        text,
        (1, place),
        (6, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=INK,
        annotation_clip=False,
    )


def write_above(axes: Axes, place: float, height: float, text: str) -> None:
    """Write a number above a bar."""
    axes.annotate(
        text, (place, height), (0, 2), textcoords="offset points", ha="center", fontsize=7, color=INK
    )


def name_bars(axes: Axes, names: Sequence[str]) -> None:
    """Name bars that stand at 0, 1, ...; many names stand upright."""
    many = len(names) > 12
    axes.set_xticks(
        range(len(names)), names, rotation=90 if many else 0, fontsize=8 if many else 9, parse_math=False
    )
    axes.set_xlim(-0.6, len(names) - 0.4)


def colour_map(name: str) -> Colormap:
    """Return a colour map that shows pixels without a gene in `PADDING`."""
    return colormaps[name].with_extremes(bad=PADDING)


def hide_padding(images: np.ndarray, crowding: np.ndarray) -> np.ndarray:
    """Mask the pixels on which no gene lies.

    Parameters
    ----------
    images : numpy.ndarray of shape (..., height, width)
        Values per pixel.
    crowding : numpy.ndarray of shape (height, width)
        Number of genes per pixel.

    Returns
    -------
    numpy.ma.MaskedArray of the shape of `images`
        Masked where `crowding` is 0.

    Examples
    --------
    >>> hide_padding(np.zeros((2, 2)), np.array([[1, 1], [2, 0]])).tolist()
    [[0.0, 0.0], [0.0, None]]
    """
    return np.ma.masked_array(images, np.broadcast_to(crowding == 0, images.shape))


def find_spread(values: np.ndarray, *, share: float = 99.5) -> float:
    """Return how far a diverging scale reaches from 0, so that a few extremes do not wash out the rest.

    Parameters
    ----------
    values : numpy.ndarray
        Signed values; masked ones do not count.
    share : float
        Percentile of the absolute values at which the scale ends.

    Returns
    -------
    float
        Above 0, also where every value is 0.
    """
    seen = np.abs(np.ma.compressed(np.ma.asarray(values)))
    reach = float(np.percentile(seen, share)) if seen.size else 0.0
    return reach or float(seen.max(initial=0.0)) or 1.0


class Sheet:
    """A grid of equally large images in which every image pixel covers whole figure pixels.

    Interpolation or uneven rounding would blend a gene with its neighbour or with the padding, so the axes
    are placed by hand instead of by a layout engine.

    Parameters
    ----------
    n_images : int
        Number of cells.
    shape : tuple of int
        (height, width) of an image in pixels.
    cell : int
        Edge that an image should at least about have, in figure pixels.
    n_columns : int, optional
        Cells side by side; about as wide as high times 1.4 by default.
    """

    def __init__(
        self, n_images: int, shape: tuple[int, int], *, cell: int = 170, n_columns: int | None = None
    ) -> None:
        self.magnify = max(1, round(cell / max(shape)))
        self.n_columns = n_columns or (n_images if n_images <= 6 else int(np.ceil(np.sqrt(1.4 * n_images))))
        self._height, self._width = shape[0] * self.magnify, shape[1] * self.magnify
        n_rows = -(-n_images // self.n_columns)
        # Narrow sheets must still leave room for the colour bar and the legend below.
        self._across = max(2 * _MARGIN + self.n_columns * (self._width + _GAP) - _GAP, 420)
        self._down = _MARGIN + n_rows * (self._height + _TITLE) + _FOOT
        self.figure = Figure(figsize=(self._across / DPI, self._down / DPI), dpi=DPI, facecolor="white")

    def place(self, cell: int, image: np.ndarray, title: str, **options: Any) -> AxesImage:  # noqa: ANN401
        """Show an image in a cell and return what `Axes.imshow` returns.

        Parameters
        ----------
        cell : int
            Counted from the upper left, row by row.
        image : numpy.ndarray of shape (height, width)
            Masked where nothing is painted.
        title : str
            Shown above.
        **options
            Passed to `Axes.imshow`.
        """
        row, column = divmod(cell, self.n_columns)
        left = _MARGIN + column * (self._width + _GAP)
        axes = self._add(
            left, _MARGIN + _TITLE * (row + 1) + row * self._height - 6, self._width, self._height
        )
        axes.set_axis_off()
        axes.set_title(title, fontsize=11.5, color=INK, pad=4, loc="left", parse_math=False)
        return axes.imshow(image, interpolation="nearest", aspect="auto", **options)

    def add_scale(self, colours: Colormap, low: float, high: float, label: str) -> None:
        """Draw the colour bar shared by all cells at the lower left."""
        axes = self._add(_MARGIN + 8, self._down - _FOOT + 14, min(300, self._across * 0.5), 13)
        ramp = np.linspace(low, high, 256)[None]
        axes.imshow(ramp, aspect="auto", cmap=colours, norm=Normalize(low, high), extent=(low, high, 0, 1))
        axes.set_yticks([])
        axes.tick_params(labelsize=8.5, length=2, colors=INK, pad=2)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(label, fontsize=9, color=INK, labelpad=2, loc="left")
        for spine in axes.spines.values():
            spine.set_visible(False)

    def add_keys(self, colours: Sequence[str], labels: Sequence[str]) -> None:
        """Draw named colour patches at the lower right."""
        handles = [Rectangle((0, 0), 1, 1, facecolor=colour) for colour in colours]
        self.figure.legend(
            handles,
            labels,
            loc="lower right",
            bbox_to_anchor=(1 - _MARGIN / self._across, (_FOOT - 46) / self._down),
            frameon=False,
            fontsize=9,
            labelcolor=INK,
            borderpad=0,
            borderaxespad=0,
        )

    def _add(self, left: float, top: float, width: float, height: float) -> Axes:
        box = (
            left / self._across,
            1 - (top + height) / self._down,
            width / self._across,
            height / self._down,
        )
        return self.figure.add_axes(box)


def write_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG."""
    with write_whole(path) as partial:
        figure.savefig(partial, format="png", dpi="figure", metadata={"Software": None})
