"""The layout: which pixel a gene is painted on, in an image of which shape."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from expressionist.errors import CohortError

# Rows that are not float32 and row after row in memory are brought into that form so many at a time.
_N_ROWS_AT_ONCE = 256
_N_TOGETHER = 4


def square_shape(n_genes: int) -> tuple[int, int]:
    """Return (height, width) of the smallest square image that holds every gene on a pixel of its own."""
    side = int(np.ceil(np.sqrt(n_genes)))
    return side, side


@dataclass(frozen=True, eq=False)
class Layout:
    """Gene → pixel map of one image shape; one pixel per gene, inside the image, or it is refused.

    Parameters
    ----------
    genes, pixel : numpy.ndarray of shape (n_genes,)
        Gene ids, in the order of the expression columns that are painted; flat pixel index (row · width +
        column) of every gene.
    shape : tuple of int
        (height, width) in pixels.
    method : str
        The layout method that placed the genes.
    """

    genes: np.ndarray
    pixel: np.ndarray
    shape: tuple[int, int]
    method: str

    def __post_init__(self) -> None:
        is_whole = np.issubdtype(self.pixel.dtype, np.integer) and self.pixel.ndim == 1 and self.pixel.size
        if not is_whole or self.genes.shape != self.pixel.shape:
            raise CohortError(
                f"A layout must have one whole pixel number per gene, but got {len(self.genes)} genes "
                f"and pixels of shape {self.pixel.shape} and type {self.pixel.dtype}. "
                "Place every gene exactly once."
            )
        if self.pixel.min() < 0 or self.pixel.max() >= self.n_pixels:
            raise CohortError(
                f"Pixels must lie in 0 to {self.n_pixels - 1}, but got {self.pixel.min()} to "
                f"{self.pixel.max()}. Enlarge the image or mend the layout method."
            )

    @property
    def n_pixels(self) -> int:
        """Number of pixels of the image, painted or not."""
        return self.shape[0] * self.shape[1]

    @property
    def row(self) -> np.ndarray:
        """Row of every gene, of shape (n_genes,)."""
        return self.pixel // self.shape[1]

    @property
    def column(self) -> np.ndarray:
        """Column of every gene, of shape (n_genes,)."""
        return self.pixel % self.shape[1]

    @cached_property
    def overlap(self) -> np.ndarray:
        """Number of genes on every pixel, of shape (height, width); 0 where nothing is painted."""
        return np.bincount(self.pixel, minlength=self.n_pixels).reshape(self.shape)

    @cached_property
    def share(self) -> np.ndarray:
        """What a gene counts for on every pixel, of shape (height · width,): 1 over the genes there."""
        return (1.0 / np.maximum(self.overlap, 1)).ravel().astype(np.float32)

    def paint(self, scaled: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Draw samples: a pixel shows the mean of the genes on it, and 0 where there is none.

        `overlap` says which pixels these are, whatever they show: 0 is also the lowest expression.

        Parameters
        ----------
        scaled : numpy.ndarray of shape (n_samples, n_genes)
            Scaled expression; also memory-mapped, as it is read row by row.
        out : numpy.ndarray of shape (n_samples, height, width, 1), optional
            Where to paint: float32, row after row in memory; by default a new array. It is returned.

        Examples
        --------
        >>> layout = Layout(np.array(["a", "b", "c"]), np.array([0, 3, 3]), (2, 2), "random")
        >>> layout.paint(np.array([[1.0, 0.2, 0.4]], "float32"))[0, :, :, 0].round(2).tolist()
        [[1.0, 0.0], [0.0, 0.30000001192092896]]
        """
        if scaled.ndim != 2 or scaled.shape[1] != len(self.genes):
            raise CohortError(
                f"Expression to paint must be (n_samples, {len(self.genes)}), but got {scaled.shape}. "
                "Give the genes of the layout, in its order."
            )
        wanted = (len(scaled), *self.shape, 1)
        images = np.empty(wanted, np.float32) if out is None else out
        if images.shape != wanted or images.dtype != np.float32 or not images.flags.c_contiguous:
            raise CohortError(
                f"Images must be painted on float32 of shape {wanted}, row after row in memory, but got "
                f"{images.dtype} of shape {images.shape}. Make it by numpy.empty."
            )
        # Unsigned: a compiled index that may be negative is asked about every time.
        paint_rows, pixel = _compile(), self.pixel.astype(np.uintp)
        flat = images.reshape(len(scaled), self.n_pixels)
        for start in range(0, len(scaled), _N_ROWS_AT_ONCE):
            rows = np.ascontiguousarray(scaled[start : start + _N_ROWS_AT_ONCE], np.float32)
            paint_rows(rows, pixel, self.share, flat[start : start + _N_ROWS_AT_ONCE])
        return images


def _paint_rows(scaled: np.ndarray, pixel: np.ndarray, share: np.ndarray, images: np.ndarray) -> None:
    """Give every pixel, of images of shape (n_samples, n_pixels), the sum of its genes times its share."""
    # The pictures of a few samples stay in the cache while genes are added to them in the genes' own order.
    # Four samples that share the look-up of a gene's pixel take two thirds of the time of one by one. Looking
    # up the genes of every pixel instead is no faster where each has its own, and far slower on crowds.
    for first in range(0, scaled.shape[0], _N_TOGETHER):
        last = min(first + _N_TOGETHER, scaled.shape[0])
        images[first:last] = 0
        if last - first == _N_TOGETHER:
            for gene in range(scaled.shape[1]):
                place = pixel[gene]
                for sample in range(_N_TOGETHER):
                    images[first + sample, place] += scaled[first + sample, gene]
        else:
            for sample in range(first, last):
                for gene in range(scaled.shape[1]):
                    images[sample, pixel[gene]] += scaled[sample, gene]
        for sample in range(first, last):
            for place in range(images.shape[1]):
                images[sample, place] *= share[place]


@cache
def _compile() -> Callable[..., None]:
    # Loading and running the compiler takes most of a second: only who paints shall wait for it.
    import numba

    compiled: Callable[..., None] = numba.njit(_paint_rows)
    return compiled
