"""Matrices in HDF5, which bring the names of both their sides: AnnData, and what 10x Genomics writes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse

from expressionist.data.readers.damage import refuse_damaged, refuse_deadly
from expressionist.data.readers.file_content import need_content, refuse_bomb
from expressionist.data.readers.row_source import RowSource
from expressionist.errors import CohortError, name_some

T = TypeVar("T")
_ANNDATA = "an AnnData file"
_WRITE = "Write it with anndata."
_SPARSE_PARTS = ("data", "indices", "indptr", "shape", "barcodes")
_OLD_SPARSE_PARTS = (*_SPARSE_PARTS, "genes", "gene_names")


@dataclass(frozen=True)
class NamedMatrix:
    """A float32 matrix with a table for either side, indexed by name (str).

    What else the file says of a side stands in its table, as text where it is no number.
    """

    values: RowSource
    rows: pd.DataFrame
    columns: pd.DataFrame

    def transpose(self) -> "NamedMatrix":
        """Return the matrix with its sides exchanged."""
        values = RowSource.hold(np.ascontiguousarray(self.values.load().T))
        return NamedMatrix(values, self.columns, self.rows)


@dataclass(frozen=True)
class AnnDataParts:
    """What of an AnnData file may be expression (``X``, ``layers/<name>``, ``raw/X``), and what is said of X.

    `logarithm` is what ``uns['log1p']`` says that scanpy took: ``ln``, ``log2``, ``log10``, or nothing.
    `unit` is that of a cohort of ours.
    """

    names: tuple[str, ...]
    logarithm: str
    unit: str = ""


def open_h5ad(path: Path, part: str) -> NamedMatrix:
    """Open a part of an AnnData file that is expression; read its ``obs``, and the ``var`` that fits.

    Rows are read when they are asked for, unless the part is sparse by columns.
    """
    return _read_safely(path, _ANNDATA, partial(_open_anndata, part))


def list_parts(path: Path) -> AnnDataParts:
    """List what of an AnnData file may be expression, without reading any of it."""
    return _read_safely(path, _ANNDATA, _list_parts)


def read_10x(path: Path) -> NamedMatrix:
    """Read a feature-barcode matrix as Cell Ranger writes it, in the layout of version 3 or that before.

    Barcodes are in rows; features, with ``symbol``, in columns.
    """
    return _read_safely(path, "a 10x feature-barcode matrix", _read_feature_barcodes)


def _read_safely(path: Path, expected: str, read: Callable[[Path, h5py.File], T]) -> T:
    need_content(path, "an HDF5 file")

    def read_whole() -> T:
        with refuse_damaged(path, expected), h5py.File(path) as file:
            return read(path, file)

    def try_all() -> None:
        found = read_whole()
        for _ in found.values.blocks() if isinstance(found, NamedMatrix) else ():
            pass

    refuse_deadly(path, expected, try_all)
    return read_whole()


def _open_anndata(part: str, path: Path, file: h5py.File) -> NamedMatrix:
    var = "raw/var" if part.startswith("raw/") else "var"
    missing = [name for name in (part, "obs", var) if name not in file]
    if missing:
        there = _list_parts(path, file).names if part in missing else ()
        mend = f"State one that is there as matrix: {' or '.join(there)}." if there else _WRITE
        raise CohortError(
            f"{path} must be an AnnData file with {part}, obs and {var}, but lacks {', '.join(missing)}. "
            f"{mend}"
        )
    tables = [_read_element(file[name]) for name in ("obs", var)]
    if not all(isinstance(table, pd.DataFrame) for table in tables):
        raise CohortError(f"obs and {var} of {path} must be tables, but got something else. {_WRITE}")
    _refuse_stretched(path, file[part])
    rows, columns = (table.set_axis(pd.Index(list(map(str, table.index)), dtype=object)) for table in tables)
    values = file[part]
    if _is_sliced(values):
        numbers = values if isinstance(values, h5py.Dataset) else values["data"]
        shape = tuple(map(int, values.attrs.get("shape", ()) if numbers is not values else values.shape))
        _need_numbers(path, part, shape, numbers.dtype, rows, columns)
        return NamedMatrix(RowSource((shape[0], shape[1]), partial(_read_rows, path, part)), rows, columns)
    return _name(path, part, _read_element(values), rows, columns)


def _is_sliced(values: h5py.Dataset | h5py.Group) -> bool:
    """Return whether some rows of a matrix can be read without the others."""
    if isinstance(values, h5py.Dataset):
        return values.ndim == 2
    return values.attrs.get("encoding-type") == "csr_matrix"


def _read_rows(path: Path, part: str, rows: np.ndarray) -> np.ndarray:
    first, last = int(rows[0]), int(rows[-1])
    chosen = slice(first, last + 1) if last - first + 1 == len(rows) else rows
    with refuse_damaged(path, _ANNDATA), h5py.File(path) as file, np.errstate(over="ignore"):
        values = file[part]
        if isinstance(values, h5py.Dataset):
            return np.asarray(values[chosen], dtype=np.float32)
        return _densify(anndata.io.sparse_dataset(values)[chosen])


def _densify(values: Any) -> np.ndarray:  # noqa: ANN401  scipy's
    values.check_format(full_check=True)
    dense: np.ndarray = values.astype(np.float32).toarray()
    return dense


def _list_parts(_: Path, file: h5py.File) -> AnnDataParts:
    found = file.get("layers")
    layers = [f"layers/{name}" for name in found] if isinstance(found, h5py.Group) else []
    names = tuple(name for name in ("X", *layers, "raw/X") if name in file)
    if "log1p" not in file.get("uns", ()):
        own = file.get("uns/expressionist/unit")
        return AnnDataParts(names, "", own.asstr()[()] if isinstance(own, h5py.Dataset) else "")
    # scanpy writes no base, or none that is a number, for the natural logarithm.
    base = file.get("uns/log1p/base")
    number = base[()] if isinstance(base, h5py.Dataset) and base.shape == () else None
    return AnnDataParts(names, "log2" if number == 2 else "log10" if number == 10 else "ln")


def _read_element(element: h5py.Dataset | h5py.Group) -> Any:  # noqa: ANN401
    try:
        return anndata.io.read_elem(element)
    except Exception as error:
        if type(error).__name__ != "IORegistryError":
            raise
        # It has no public name, and is of no kind that `refuse_damaged` knows.
        raise ValueError(str(error)) from error


def _read_feature_barcodes(path: Path, file: h5py.File) -> NamedMatrix:
    group = _find_group(file)
    if group is None:
        raise CohortError(
            f"{path} must hold a 10x feature-barcode matrix (a group with {', '.join(_SPARSE_PARTS)} and "
            f"features), but got {name_some(file.get('matrix', file)) or 'nothing'}. Write it as .h5ad."
        )
    features = group["features"] if "features" in group else group
    ids, symbols = ("id", "name") if "features" in group else ("genes", "gene_names")
    n_genes, n_samples = (int(n) for n in group["shape"][()])
    refuse_bomb(path, n_genes * n_samples * np.dtype(np.float32).itemsize)
    parts = tuple(group[part][()] for part in ("data", "indices", "indptr"))
    values = scipy.sparse.csr_matrix(parts, shape=(n_samples, n_genes))
    rows = pd.DataFrame(index=_decode(group["barcodes"]))
    columns = pd.DataFrame({"symbol": _decode(features[symbols])}, index=_decode(features[ids]), dtype=object)
    return _name(path, "data", values, rows, columns)


def _find_group(file: h5py.File) -> h5py.Group | None:
    if "matrix" in file and {*_SPARSE_PARTS, "features"} <= set(file["matrix"]):
        return file["matrix"]
    groups = [file[name] for name in file if isinstance(file[name], h5py.Group)]
    found = [group for group in groups if set(_OLD_SPARSE_PARTS) <= set(group)]
    return found[0] if len(found) == 1 else None


def _decode(names: h5py.Dataset) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names[()]]


def _refuse_stretched(path: Path, values: h5py.Dataset | h5py.Group) -> None:
    """Refuse a dataset far larger than its file: as long as nothing is written into it, it takes no room."""
    shape = values.attrs.get("shape", ()) if isinstance(values, h5py.Group) else values.shape
    refuse_bomb(path, int(np.prod([float(n) for n in shape])) * np.dtype(np.float32).itemsize)


def _name(path: Path, part: str, values: Any, rows: pd.DataFrame, columns: pd.DataFrame) -> NamedMatrix:  # noqa: ANN401
    dtype = getattr(values, "dtype", type(values))
    shape = (0,) if values is None else getattr(values, "shape", ())
    _need_numbers(path, part, shape, dtype, rows, columns)
    with np.errstate(over="ignore"):
        dense = _densify(values) if scipy.sparse.issparse(values) else values
        held = np.ascontiguousarray(dense, dtype=np.float32)
    return NamedMatrix(RowSource.hold(held), rows, columns)


def _need_numbers(
    path: Path,
    part: str,
    shape: tuple[int, ...],
    dtype: Any,  # noqa: ANN401
    rows: pd.DataFrame,
    columns: pd.DataFrame,
) -> None:
    """Refuse a matrix that is empty, of another shape than its names, or of no numbers."""
    if 0 in shape:
        raise CohortError(f"{path} must hold expression in {part}, but got none. Store it there.")
    if shape != (len(rows), len(columns)):
        raise CohortError(
            f"{part} of {path} must have a row and a column for each name, {(len(rows), len(columns))}, but "
            f"got {shape}. Write the file again."
        )
    if not (np.issubdtype(dtype, np.floating) or np.issubdtype(dtype, np.integer)):
        raise CohortError(f"{part} of {path} must hold numbers, but got {dtype}. Convert it.")
