"""The layout: which pixel a gene is painted on, in an image of which shape."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from expressionist.errors import CohortError


def square_shape(n_genes: int) -> tuple[int, int]:
    """Return the smallest square image that holds every gene on a pixel of its own.

    Parameters
    ----------
    n_genes : int
        Number of genes, at least 1.

    Returns
    -------
    tuple of int
        (height, width) in pixels.

    Examples
    --------
    >>> square_shape(10_404)
    (102, 102)
    >>> square_shape(680)
    (27, 27)
    """
    side = int(np.ceil(np.sqrt(n_genes)))
    return side, side


@dataclass(frozen=True, eq=False)
class Layout:
    """Gene → pixel map of one image shape.

    Parameters
    ----------
    genes : numpy.ndarray of shape (n_genes,)
        Gene ids, in the order of the expression columns that are painted.
    pixel : numpy.ndarray of shape (n_genes,)
        Flat pixel index (row · width + column) of every gene.
    shape : tuple of int
        (height, width) in pixels.
    method : str
        The layout method that placed the genes.

    Raises
    ------
    CohortError
        If genes and pixels differ in number or a pixel lies outside the image.
    """

    genes: np.ndarray
    pixel: np.ndarray
    shape: tuple[int, int]
    method: str

    def __post_init__(self) -> None:
        integers = np.issubdtype(self.pixel.dtype, np.integer)
        if (
            self.genes.shape != self.pixel.shape
            or self.pixel.ndim != 1
            or not integers
            or not self.pixel.size
        ):
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
    def crowding(self) -> np.ndarray:
        """Number of genes on every pixel, of shape (height, width); 0 where nothing is painted."""
        return np.bincount(self.pixel, minlength=self.n_pixels).reshape(self.shape)

    def paint(self, scaled: np.ndarray) -> np.ndarray:
        """Draw samples: a pixel shows the mean of the genes on it, and 0 where there is none.

        Parameters
        ----------
        scaled : numpy.ndarray of shape (n_samples, n_genes)
            Scaled expression, genes in the order of `genes`.

        Returns
        -------
        numpy.ndarray of shape (n_samples, height, width, 1)
            float32 images.

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
        # Genes sorted by pixel make every pixel one contiguous run, so painting is a gather followed by run
        # sums.
        order = np.argsort(self.pixel, kind="stable")
        used, starts = np.unique(self.pixel[order], return_index=True)
        gathered: np.ndarray = np.take(scaled, order, axis=1).astype(np.float32, copy=False)
        if len(used) < len(order):
            runs = np.diff(np.append(starts, len(order))).astype(np.float32)
            gathered = np.add.reduceat(gathered, starts, axis=1) / runs
        if len(used) == self.n_pixels:
            return gathered.reshape(len(scaled), *self.shape, 1)
        images = np.zeros((len(scaled), self.n_pixels), np.float32)
        images[:, used] = gathered
        return images.reshape(len(scaled), *self.shape, 1)
