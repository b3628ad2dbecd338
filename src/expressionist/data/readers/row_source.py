"""Expression of which the rows asked for are in memory, and no more where its file can be sliced."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Samples that are in memory at once, and genes that are moved.
_N_ROWS, _N_GENES = 256, 256


@dataclass(frozen=True)
class RowSource:
    """Expression of `shape`: `read` takes ascending positions of rows and gives them as float32.

    `array` is the whole of it, where that is in memory anyway.

    Examples
    --------
    >>> source = RowSource.hold(np.arange(6, dtype="float32").reshape(3, 2))
    >>> source.join([np.array([0, 2]), np.array([1])]).read(np.array([0, 1])).tolist()
    [[2.0, 3.0], [2.0, 3.0]]
    """

    shape: tuple[int, int]
    read: Callable[[np.ndarray], np.ndarray]
    array: np.ndarray | None = None

    @classmethod
    def hold(cls, array: np.ndarray) -> "RowSource":
        """Make one of what is in memory."""
        return cls((array.shape[0], array.shape[1]), array.__getitem__, array)

    def load(self) -> np.ndarray:
        """Read all rows."""
        return self.read(np.arange(self.shape[0])) if self.array is None else self.array

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Read all rows, a few at a time, with the position of the first."""
        for start in range(0, self.shape[0], _N_ROWS):
            yield start, self.read(np.arange(start, min(start + _N_ROWS, self.shape[0])))

    def take(self, columns: np.ndarray) -> "RowSource":
        """Take some columns, ascending, as `keep_genes` does."""
        if self.array is not None:
            return RowSource.hold(keep_genes(self.array, columns))
        return RowSource((self.shape[0], len(columns)), lambda rows: self.read(rows)[:, columns])

    def change(self, change: Callable[[np.ndarray], np.ndarray]) -> "RowSource":
        """Change rows, each for itself, when they are read."""
        return RowSource(self.shape, lambda rows: change(self.read(rows)))

    def join(self, members: Sequence[np.ndarray]) -> "RowSource":
        """Average rows, of which the positions of those that become one are given."""

        def read(places: np.ndarray) -> np.ndarray:
            asked = [members[place] for place in places.tolist()]
            rows, found = np.unique(np.concatenate(asked), return_inverse=True)
            values = self.read(rows)
            # One row for each, in their order.
            if len(found) == len(asked) and (np.diff(found) > 0).all():
                return values
            parts = np.split(found, np.cumsum([len(each) for each in asked])[:-1])
            means = [values[part].mean(axis=0, dtype=np.float64) for part in parts]
            return np.array(means, dtype=np.float32)

        return RowSource((len(members), self.shape[1]), read)


def cut_rows(expression: np.ndarray | RowSource) -> Iterable[tuple[int, np.ndarray]]:
    """Cut expression into rows to look at, with the position of the first: an array stays whole."""
    return [(0, expression)] if isinstance(expression, np.ndarray) else expression.blocks()


def keep_genes(expression: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Keep some columns, ascending, within the memory of the array: a second one may be more than there is.

    Where the samples of a gene stand side by side in memory, as files with genes in rows are read,
    `expression` is overwritten; else a copy is made.
    """
    if not (expression.flags.f_contiguous and expression.flags.writeable):
        return expression[:, places]
    genes = expression.T
    for start in range(0, len(places), _N_GENES):
        # Genes move towards the front, over what was read before; the selection is a copy.
        chosen = places[start : start + _N_GENES]
        genes[start : start + len(chosen)] = genes[chosen]
    return genes[: len(places)].T
