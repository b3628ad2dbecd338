"""From points in the plane to pixels: every gene on one of its own, exchanged until neighbours are alike."""

from collections.abc import Iterator

import numba
import numpy as np

from expressionist.painting.layouts._curve import spread_along

# Width of what counts as around a gene (standard deviation of a Gaussian, in pixels; 0: the four pixels
# beside, above and below), and how far it may move at a time. From wide to narrow, as in Kohonen's maps: the
# wide ones untangle, the last asks for just what the score asks for. Chosen by measurement (docs/layouts.md).
_STEPS = ((3.0, 10), (2.0, 8), (1.0, 6), (0.0, 4))
_MOST_PASSES = 8
_LEAST_GAIN = 1e-4
# A pass that moves fewer genes than this share is the last of its step.
_FEW = 0.002


def snap(
    points: np.ndarray, shape: tuple[int, int], *, profiles: np.ndarray | None = None, n_more: int = 0
) -> np.ndarray:
    """Put points, (n_points, 2) columns and rows in any unit, on pixels of an image, and return flat indices.

    The image is halved across its longer side, again and again, and the points with it: each half takes as
    many as it has places. Then, if there are `profiles` and genes share no pixels, `exchange` follows. The
    image may be turned about, equal points keep their order, and pixels to spare lie at the rim, where the
    last indices, of `n_more` genes without a point, are. Too few pixels hold equally many genes or one more.
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
    waiting = [(0, 0, *capacity.shape, np.arange(len(points)))]
    while waiting:
        top, left, height, width, chosen = waiting.pop()
        if not len(chosen):
            continue
        if height * width == 1:
            yield top * capacity.shape[1] + left, chosen
            continue
        if width >= height:
            axis, first = 0, (height, width // 2)
            second = top, left + first[1], height, width - first[1]
        else:
            axis, first = 1, (height // 2, width)
            second = top + first[0], left, height - first[0], width
        n_first = capacity[top : top + first[0], left : left + first[1]].sum()
        chosen = chosen[np.argsort(ranks[chosen, axis])]
        waiting.append((top, left, *first, chosen[:n_first]))
        waiting.append((*second, chosen[n_first:]))


def exchange(pixel: np.ndarray, profiles: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Exchange genes with others near by wherever that makes genes and those around them more alike.

    Flat indices, all distinct, come back in another order; inner products of `profiles` say what is alike.
    """
    if not profiles.size:
        return pixel
    image = np.zeros((*shape, profiles.shape[1]), np.float32)
    image.reshape(-1, profiles.shape[1])[pixel] = profiles
    owner = np.full(shape[0] * shape[1], -1, np.intp)
    owner[pixel] = np.arange(len(pixel))
    for width, reach in _STEPS:
        kernel = _make_kernel(width)
        around = _sum_around(image, kernel)
        for _ in range(_MOST_PASSES):
            n_moved = _sweep(image, around, owner.reshape(shape), kernel, reach)
            if n_moved <= _FEW * len(pixel):
                break
    moved = np.empty(len(pixel), np.intp)
    taken = np.flatnonzero(owner >= 0)
    moved[owner[taken]] = taken
    return moved


def _make_kernel(width: float) -> np.ndarray:
    """Return weights of shape (side, side), side odd, with a sum of 1 and 0 in the middle."""
    edge = int(np.ceil(2.5 * width)) if width else 1
    step = np.arange(-edge, edge + 1)
    distance = step[:, None] ** 2 + step**2
    kernel = np.exp(-distance / (2 * width**2)) if width else (distance == 1).astype(float)
    kernel[edge, edge] = 0
    return (kernel / kernel.sum()).astype(np.float32)


def _sum_around(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    edge = len(kernel) // 2
    framed = np.pad(image, ((edge, edge), (edge, edge), (0, 0)))
    around = np.zeros_like(image)
    for row, column in np.argwhere(kernel):
        around += kernel[row, column] * framed[row : row + height, column : column + width]
    return around


def _find_partner(
    image: np.ndarray,
    around: np.ndarray,
    owner: np.ndarray,
    kernel: np.ndarray,
    place: tuple[int, int],
    reach: int,
) -> tuple[int, int]:
    """Return the place whose gene had best be exchanged with that of `place`; itself where none gains."""
    row, column = place
    height, width, n_components = image.shape
    edge = len(kernel) // 2
    best, partner = np.float32(_LEAST_GAIN), place
    for r in range(max(0, row - reach), min(height, row + reach + 1)):
        for c in range(max(0, column - reach), min(width, column + reach + 1)):
            if owner[r, c] < 0:
                continue
            gain = np.float32(0)
            apart = np.float32(0)
            for k in range(n_components):
                change = image[r, c, k] - image[row, column, k]
                gain += change * (around[row, column, k] - around[r, c, k])
                apart += change * change
            if abs(r - row) <= edge and abs(c - column) <= edge:
                # Each stands in what lies around the other, and takes its own place there by the exchange.
                gain -= kernel[r - row + edge, c - column + edge] * apart
            if gain > best:
                best, partner = gain, (r, c)
    return partner


def _add_around(around: np.ndarray, kernel: np.ndarray, row: int, column: int, change: np.ndarray) -> None:
    height, width, n_components = around.shape
    edge = len(kernel) // 2
    for r in range(max(0, row - edge), min(height, row + edge + 1)):
        for c in range(max(0, column - edge), min(width, column + edge + 1)):
            for k in range(n_components):
                around[r, c, k] += kernel[r - row + edge, c - column + edge] * change[k]


def _sweep(image: np.ndarray, around: np.ndarray, owner: np.ndarray, kernel: np.ndarray, reach: int) -> int:
    """Offer every gene its best exchange, row by row; change everything in place and count the exchanges."""
    n_moved = 0
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            if owner[row, column] < 0:
                continue
            r, c = _find_partner(image, around, owner, kernel, (row, column), reach)
            if r == row and c == column:
                continue
            change = image[r, c] - image[row, column]
            _add_around(around, kernel, row, column, change)
            _add_around(around, kernel, r, c, -change)
            image[row, column] += change
            image[r, c] -= change
            owner[row, column], owner[r, c] = owner[r, c], owner[row, column]
            n_moved += 1
    return n_moved


# Sums may be taken in any order: that is what lets them run on several numbers at a time.
_find_partner = numba.njit(fastmath={"reassoc", "contract"})(_find_partner)
_add_around = numba.njit(_add_around)
_sweep = numba.njit(_sweep)
