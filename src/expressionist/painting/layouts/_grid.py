"""From points in the plane to pixels: every gene on one of its own, near its neighbours."""

from collections.abc import Iterator

import numpy as np

from expressionist.painting.layouts._exchange import exchange
from expressionist.painting.layouts._spread import spread_along


def snap(
    points: np.ndarray, shape: tuple[int, int], *, profiles: np.ndarray | None = None, n_more: int = 0
) -> np.ndarray:
    """Put points on the pixels of an image, one on each while there are pixels enough.

    The image is halved across its longer side, again and again, and the points with it, along the same axis:
    each half of the image takes as many of them as it has places, so that neighbours stay neighbours and
    nothing is left over. Then genes near one another change places wherever that makes neighbours on the
    image more alike (`exchange`).

    Parameters
    ----------
    points : numpy.ndarray of shape (n_points, 2)
        Finite; columns and rows of the image, in any unit. Which is which is turned about where that suits
        an oblong image better. Of equal points, those that stand first come first.
    shape : tuple of int
        (height, width) in pixels.
    profiles : numpy.ndarray of shape (n_points, n_components), optional
        What neighbours should have alike, by inner product; without them, and where genes share pixels,
        nothing is exchanged.
    n_more : int
        Number of genes without a point. They take the outermost places.

    Returns
    -------
    numpy.ndarray of shape (n_points + n_more,)
        Flat pixel index of every point, then those of the genes without one. Pixels to spare lie at the rim;
        where there are too few, all hold equally many genes, give or take one.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [12.0, 1.0], [1.0, 8.0], [10.0, 9.0]])
    >>> snap(points, (2, 2)).tolist()
    [0, 1, 2, 3]
    >>> snap(points, (1, 4)).tolist()
    [0, 3, 1, 2]
    """
    n_pixels, n_points = shape[0] * shape[1], len(points)
    pixel = spread_along(_order_pixels(shape), np.arange(n_points + n_more))
    capacity = np.bincount(pixel[:n_points], minlength=n_pixels).reshape(shape)
    for place, chosen in _halve(_turn(points, shape), capacity):
        pixel[chosen] = place
    if profiles is not None and n_points + n_more <= n_pixels:
        pixel[:n_points] = exchange(pixel[:n_points], profiles, shape)
    return pixel


def _order_pixels(shape: tuple[int, int]) -> np.ndarray:
    """Order pixels from the middle of the image to its rim, in frames of the image's own form."""
    row, column = (np.abs((np.arange(side) + 0.5) * 2 / side - 1) for side in shape)
    # Rounded, so that places that mirror one another are level and the index decides.
    frame = np.maximum(row[:, None], column).round(9).ravel()
    corner = np.minimum(row[:, None], column).round(9).ravel()
    return np.lexsort((corner, frame))


def _turn(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Lay the points' longer extent along the image's."""
    spread = points.std(axis=0) if len(points) else np.zeros(2)
    against = (spread[0] - spread[1]) * (shape[1] - shape[0]) < 0
    return points[:, ::-1] if against else points


def _rank(points: np.ndarray) -> np.ndarray:
    """Rank points along either axis: distinct whole numbers, so that ties are decided once and for all."""
    ranks = np.empty(points.shape, np.intp)
    for axis in (0, 1):
        ranks[np.lexsort((points[:, 1 - axis], points[:, axis])), axis] = np.arange(len(points))
    return ranks


def _halve(points: np.ndarray, capacity: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield pixels, each with the positions of its points: as many as `capacity` has for it."""
    ranks = _rank(points)
    above = np.zeros(np.add(capacity.shape, 1), np.intp)
    above[1:, 1:] = capacity.cumsum(axis=0).cumsum(axis=1)
    waiting = [(0, 0, *capacity.shape, np.arange(len(points)))]
    while waiting:
        top, left, height, width, chosen = waiting.pop()
        if height * width == 1 and len(chosen):
            yield top * capacity.shape[1] + left, chosen
        if height * width == 1 or not len(chosen):
            continue
        if width >= height:
            axis, first, second = (
                0,
                (height, width // 2),
                (top, left + width // 2, height, width - width // 2),
            )
        else:
            axis, first, second = (
                1,
                (height // 2, width),
                (top + height // 2, left, height - height // 2, width),
            )
        bottom, right = top + first[0], left + first[1]
        n_first = above[bottom, right] - above[top, right] - above[bottom, left] + above[top, left]
        chosen = chosen[np.argsort(ranks[chosen, axis])]
        waiting.append((top, left, *first, chosen[:n_first]))
        waiting.append((*second, chosen[n_first:]))
