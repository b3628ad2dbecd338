"""Samples × genes in whatever holds them (array, DataFrame, AnnData, sparse), read in blocks of rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import issparse
from sklearn.utils import check_array

from expressionist.errors import Refusal, name_some

# float32 values read at a time: 16 MB, whatever the number of genes.
_N_VALUES_AT_ONCE = 1 << 22


class ImagerError(Refusal, ValueError):
    """What an imager is given cannot be used; also a ValueError, as scikit-learn's callers expect."""


@dataclass(frozen=True, eq=False)
class SampleTable:
    """A table of samples × genes, and what its genes are called."""

    # Of shape (n_samples, n_columns); read some rows at a time and never copied as a whole.
    matrix: Any
    # Of the columns, as text; None where they are known by their position only.
    names: np.ndarray | None = None
    # What else is known of the genes.
    genes: pd.DataFrame | None = None

    @classmethod
    def open(cls, source: object, *, reader: str) -> "SampleTable":
        """Take a table as users have it, without a copy of what is an array, for a `reader` of this name."""
        if isinstance(source, AnnData):
            return cls._open_anndata(source, reader)
        names = _read_names(source)
        if isinstance(source, pd.DataFrame) and source.size:
            return cls(source, names)
        array = source.to_numpy() if isinstance(source, pd.DataFrame) else source
        keys = {"ensure_all_finite": False, "estimator": reader, "input_name": "X"}
        return cls(check_array(array, accept_sparse="csr", **keys), names)

    @classmethod
    def _open_anndata(cls, source: AnnData, reader: str) -> "SampleTable":
        if source.X is None or 0 in source.shape:
            raise ImagerError(
                f"{reader} needs an AnnData with samples, genes and X, but got one of shape {source.shape} "
                f"{'without' if source.X is None else 'with'} X. Put the expression on a log scale into X."
            )
        return cls(source.X, _refuse_twice(source.var_names), source.var)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, n_columns)."""
        return int(self.matrix.shape[0]), int(self.matrix.shape[1])

    def blocks(self, n_wanted: int) -> Iterator[slice]:
        """Cut the rows into blocks that are small, whatever the table's size, in `n_wanted` columns."""
        n_rows = max(1, _N_VALUES_AT_ONCE // n_wanted)
        for start in range(0, self.shape[0], n_rows):
            yield slice(start, min(start + n_rows, self.shape[0]))

    def read(self, rows: slice, columns: np.ndarray, names: np.ndarray) -> np.ndarray:
        """Read one of `blocks` as float32, row after row; columns are positions, and refused by `names`."""
        block = self._cut(rows, columns, names)
        # A value beyond float32's range becomes infinite here and is refused below.
        with np.errstate(over="ignore", invalid="ignore"):
            values: np.ndarray = np.ascontiguousarray(block, dtype=np.float32)
            # A sum is finite exactly when no NaN or infinity is in it: float64 cannot overflow on float32.
            bad = names[~np.isfinite(values.sum(axis=0, dtype=np.float64))]
        if len(bad):
            raise ImagerError(
                f"Expression must be finite, but {len(bad)} genes have NaN or infinite values in rows "
                f"{rows.start} to {rows.stop - 1}: {name_some(bad)}. Drop these genes or fill the gaps."
            )
        return values

    def _cut(self, rows: slice, columns: np.ndarray, names: np.ndarray) -> np.ndarray:
        block = self.matrix.iloc[rows] if isinstance(self.matrix, pd.DataFrame) else self.matrix[rows]
        if isinstance(block, pd.DataFrame) and _is_uniform(block):
            block = block.to_numpy()
        elif isinstance(block, pd.DataFrame):
            block = block.iloc[:, columns]
            _refuse_text(block, names)
            # pandas has several marks for what is missing, and float one.
            block = block.mask(block.isna()).to_numpy(np.float64, na_value=np.nan)
            columns = np.arange(len(columns))
        elif issparse(block):
            block = block[:, columns].toarray()
            columns = np.arange(len(columns))
        block = check_array(block, ensure_all_finite=False, input_name="X")
        in_place = np.array_equal(columns, np.arange(block.shape[1]))
        return np.asarray(block if in_place else np.take(block, columns, axis=1))


def name_columns(names: Iterable[object] | None, n_columns: int) -> np.ndarray:
    """Return names as text; x0, x1, ..., as scikit-learn has it, where there are none."""
    given = [f"x{place}" for place in range(n_columns)] if names is None else names
    return np.array([str(name) for name in given], dtype=object)


def _read_names(source: object) -> np.ndarray | None:
    # Also tables of other libraries have `columns`; taking these by position would mix up genes in silence.
    columns = getattr(source, "columns", None)
    if columns is None or list(columns) == list(range(len(columns))):
        return None
    return _refuse_twice(columns)


def _refuse_twice(columns: Iterable[object]) -> np.ndarray:
    names = pd.Index([str(name) for name in columns], dtype=object)
    twice = names[names.duplicated()].unique()
    if len(twice):
        raise ImagerError(
            f"Every gene must stand once, but {len(twice)} stand more often: {name_some(twice)}. "
            "Drop, join or rename the repeats."
        )
    return names.to_numpy()


def _is_uniform(block: pd.DataFrame) -> bool:
    """Whether a DataFrame is one array of plain numbers, so that its rows are there without a copy."""
    dtypes = set(block.dtypes)
    return len(dtypes) == 1 and isinstance(only := dtypes.pop(), np.dtype) and only.kind in "fiu"


def _refuse_text(block: pd.DataFrame, names: np.ndarray) -> None:
    odd = [place for place, dtype in enumerate(block.dtypes) if not pd.api.types.is_numeric_dtype(dtype)]
    bad = [names[place] for place in odd if not _holds_numbers(block.iloc[:, place])]
    if bad:
        raise ImagerError(
            f"Every gene must hold numbers, but {len(bad)} columns do not: {name_some(bad)}. "
            "Take columns that are no genes out of the table."
        )


def _holds_numbers(column: "pd.Series[Any]") -> bool:
    try:
        pd.to_numeric(column)
    except (ValueError, TypeError):
        return False
    return True
