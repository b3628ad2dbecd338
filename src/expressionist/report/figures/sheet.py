"""Images whose pixels stay whole, and where no gene lies look like it."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from expressionist.report.figures.drawing import cut, keep_plain
from expressionist.report.figures.style import DPI, INK, PADDING

_MARGIN, _GAP, _TITLE, _FOOT = 14, 12, 34, 74
# Of a title, in figure pixels, where letters are wide.
_LETTER = 12.2


def colour_map(name: str) -> Colormap:
    """Return a colour map that shows pixels without a gene in `PADDING`."""
    return colormaps[name].with_extremes(bad=PADDING)


def hide_padding(images: np.ndarray, overlap: np.ndarray) -> np.ma.MaskedArray:
    """Mask the pixels of images (..., height, width) that no gene lies on: those of overlap 0.

    >>> hide_padding(np.zeros((2, 2)), np.array([[1, 1], [2, 0]])).tolist()
    [[0.0, 0.0], [0.0, None]]
    """
    return np.ma.masked_array(images, np.broadcast_to(overlap == 0, images.shape))


def find_spread(values: np.ma.MaskedArray) -> float:
    """Return how far a diverging scale reaches from 0: to the 99.5th percentile, but always above 0."""
    seen = np.abs(values.compressed())
    reach = float(np.percentile(seen, 99.5)) if seen.size else 0.0
    return reach or float(seen.max(initial=0.0)) or 1.0


class Sheet:
    """A grid of images, of an edge of about `cell` figure pixels, whose pixels cover whole figure pixels.

    Rounding would blend a gene with its neighbour or the padding, so no layout engine places the axes.
    """

    def __init__(
        self, n_images: int, shape: tuple[int, int], *, cell: int = 170, n_columns: int | None = None
    ) -> None:
        magnify = max(1, round(cell / max(shape)))
        self._n_columns = n_columns or (n_images if n_images <= 6 else int(np.ceil(np.sqrt(1.4 * n_images))))
        self._height, self._width = shape[0] * magnify, shape[1] * magnify
        # Letters that a title has room for.
        self.longest = int(self._width / _LETTER)
        n_rows = -(-n_images // self._n_columns)
        # Narrow sheets must still leave room for the colour bar and the legend below.
        self._across = max(2 * _MARGIN + self._n_columns * (self._width + _GAP) - _GAP, 420)
        self._down = _MARGIN + n_rows * (self._height + _TITLE) + _FOOT
        self.figure = Figure(figsize=(self._across / DPI, self._down / DPI), dpi=DPI, facecolor="white")

    def place(self, cell: int, image: np.ndarray, title: str, **options: Any) -> AxesImage:  # noqa: ANN401
        """Show an image in a cell, counted from the upper left row by row; options go to `Axes.imshow`."""
        row, column = divmod(cell, self._n_columns)
        top = _MARGIN + _TITLE * (row + 1) + row * self._height - 6
        axes = self._add(_MARGIN + column * (self._width + _GAP), top, self._width, self._height)
        axes.set_axis_off()
        (title,) = cut([title], self.longest)
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
        axes.spines[:].set_visible(False)

    def add_keys(self, keys: dict[str, str]) -> None:
        """Draw named colour patches, label → colour, at the lower right."""
        handles = [Rectangle((0, 0), 1, 1, facecolor=colour) for colour in keys.values()]
        corner = (1 - _MARGIN / self._across, (_FOOT - 46) / self._down)
        look: dict[str, Any] = {"frameon": False, "fontsize": 9, "labelcolor": INK, "borderpad": 0}
        look |= {"loc": "lower right", "bbox_to_anchor": corner, "borderaxespad": 0}
        keep_plain(self.figure.legend(handles, list(keys), **look))

    def _add(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = 1 - (top + height) / self._down
        box = (left / self._across, bottom, width / self._across, height / self._down)
        return self.figure.add_axes(box)
