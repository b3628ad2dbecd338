"""Paths over the pixels of a rectangle of any shape, and genes along them."""

from collections.abc import Iterator

import numpy as np


def spread_along(path: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Put genes, in an order of their positions, on a path of pixels; return each gene's flat pixel index.

    They fill it from its start, one each, or where pixels are too few, equally many on each or one more.
    """
    n_genes, n_pixels = len(order), len(path)
    step = np.arange(n_genes)
    if n_genes > n_pixels:
        step = step * n_pixels // n_genes
    pixel = np.empty(n_genes, np.intp)
    pixel[order] = path[step]
    return pixel


def trace_curve(shape: tuple[int, int]) -> np.ndarray:
    """Return a Hilbert-like walk over every pixel of a rectangle: flat indices, of shape (height * width,).

    What is close on it is close in the image, as on Hilbert's curve (Skilling 2004, doi:10.1063/1.1751381),
    here by splitting into two or three rectangles, of even sides if possible (J. Červený's gilbert, GitHub).
    Every step goes beside, above or below, at most one diagonally, and none where both sides are even.
    """
    height, width = shape
    if width >= height:
        runs = _walk(0j, 1j, width, 1 + 0j, height)
    else:
        runs = _walk(0j, 1 + 0j, height, 1j, width)
    steps = np.concatenate(list(runs))
    return steps.real.astype(np.intp) * width + steps.imag.astype(np.intp)


def _walk(start: complex, along: complex, length: int, across: complex, breadth: int) -> Iterator[np.ndarray]:
    """Yield straight runs from `start` to the far end of `along`; a pixel is the number row + 1j * column."""
    if breadth == 1:
        yield start + along * np.arange(length)
    elif length == 1:
        yield start + across * np.arange(breadth)
    elif 2 * length > 3 * breadth:
        near = _halve(length)
        yield from _walk(start, along, near, across, breadth)
        yield from _walk(start + along * near, along, length - near, across, breadth)
    else:
        # Out on the near side, along the far side, and back: the walk leaves where the next rectangle begins.
        near, side = length // 2, _halve(breadth)
        yield from _walk(start, across, side, along, near)
        yield from _walk(start + across * side, along, length, across, breadth - side)
        end = start + along * (length - 1) + across * (side - 1)
        yield from _walk(end, -across, side, -along, length - near)


def _halve(length: int) -> int:
    # An even half can be entered and left on the same side without a diagonal step.
    half = length // 2
    return half + 1 if half % 2 and length > 2 else half
