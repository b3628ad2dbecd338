"""Expression made ready for painting: logarithm, gene choice and scale, fitted on training rows."""

from dataclasses import dataclass

import numpy as np

from expressionist.data.units import AS_IS_UNIT, LOG2_UNIT, convert
from expressionist.errors import CohortError

# Genes taken to float64 at a time: 22 MB at 11,000 samples, where the whole matrix would be 1.8 GB.
_N_GENES_AT_ONCE = 256


def to_log2(expression: np.ndarray, unit: str) -> np.ndarray:
    """Return expression as float32 log2(x+1), or as it is where its unit asks for no logarithm.

    Parameters
    ----------
    expression : numpy.ndarray of shape (n_samples, n_genes)
        In `unit`.
    unit : str
        As `expressionist.data.units.parse_unit` reads it; another one is refused.

    Examples
    --------
    >>> to_log2(np.array([[0.0, 1.0, 7.0]], "float32"), "RSEM").tolist()
    [[0.0, 1.0, 3.0]]
    """
    return convert(expression, unit, AS_IS_UNIT if unit == AS_IS_UNIT else LOG2_UNIT)


def choose_genes(log2: np.ndarray, n_genes: int) -> np.ndarray:
    """Choose the most variable genes, and return their positions, ascending.

    Genes with one and the same value in all rows given carry nothing and are never chosen, so that fewer than
    `n_genes` may come back. Of genes with equal variance those that stand first are chosen.

    Parameters
    ----------
    log2 : numpy.ndarray of shape (n_samples, n_genes_given)
        Training rows, in log2(x+1).
    n_genes : int
        At most so many genes are chosen.

    Raises
    ------
    CohortError
        If every gene is constant.

    Examples
    --------
    >>> log2 = np.array([[0.0, 5.0, 1.0, 3.0], [0.0, 1.0, 2.0, 9.0]], "float32")
    >>> choose_genes(log2, 2).tolist()
    [1, 3]
    >>> choose_genes(log2, 10).tolist()
    [1, 2, 3]
    """
    starts = range(0, log2.shape[1], _N_GENES_AT_ONCE)
    blocks = (log2[:, start : start + _N_GENES_AT_ONCE] for start in starts)
    variance = np.concatenate([block.var(axis=0, dtype=np.float64) for block in blocks])
    # Rounding can give a constant gene a tiny variance; its lowest and highest value cannot lie.
    varying = log2.min(axis=0) < log2.max(axis=0)
    if not varying.any():
        raise CohortError(
            f"Some gene must vary over the training samples, but all {log2.shape[1]} genes are constant over "
            f"{log2.shape[0]} samples. Check the expression matrix and the split."
        )
    by_variance = np.argsort(np.where(varying, -variance, np.inf), kind="stable")
    return np.sort(by_variance[: min(n_genes, int(varying.sum()))])


@dataclass(frozen=True, eq=False)
class Scale:
    """The line that takes each gene's training rows to [0, 1].

    Rows that were not fitted may fall outside [0, 1], and are left there: clipping would make painting
    non-linear, and a gene beyond its training range would lose its gradient, and so its attribution, just
    where it is most unusual.

    Parameters
    ----------
    low : numpy.ndarray of shape (n_genes,)
        Value that becomes 0, in log2(x+1).
    span : numpy.ndarray of shape (n_genes,)
        Distance from there to the value that becomes 1, in log2(x+1); above 0, or it is refused.

    Examples
    --------
    >>> scale = Scale.fit(np.array([[2.0, 7.0], [6.0, 7.0]], "float32"))
    >>> scale.apply(np.array([[4.0, 7.0], [8.0, 9.0]], "float32")).tolist()
    [[0.5, 0.0], [1.5, 2.0]]
    """

    low: np.ndarray
    span: np.ndarray

    def __post_init__(self) -> None:
        if self.low.ndim != 1 or self.low.shape != self.span.shape:
            raise CohortError(
                f"A scale must have one low and one span per gene, but got shapes {self.low.shape} and "
                f"{self.span.shape}. Fit it anew."
            )
        n_bad = int((~(self.span > 0)).sum())
        if n_bad:
            raise CohortError(f"Every span of a scale must be above 0, but {n_bad} are not. Fit it anew.")

    @classmethod
    def fit(cls, log2: np.ndarray) -> "Scale":
        """Learn each gene's lowest value and range from training rows, (n_samples, n_genes) in log2(x+1).

        A constant gene gets a span of 1, so that it becomes 0.
        """
        low = log2.min(axis=0).astype(np.float32)
        span = log2.max(axis=0).astype(np.float32) - low
        return cls(low=low, span=np.where(span > 0, span, np.float32(1)))

    def apply(self, log2: np.ndarray) -> np.ndarray:
        """Scale any rows, (n_samples, n_genes) in log2(x+1), to float32; refuse another number of genes."""
        if log2.ndim != 2 or log2.shape[1] != len(self.low):
            raise CohortError(
                f"Expression to scale must be (n_samples, {len(self.low)}), but got {log2.shape}. "
                "Give the genes that the scale was fitted on, in the same order."
            )
        scaled = np.subtract(log2, self.low, dtype=np.float32)
        scaled /= self.span
        return scaled
