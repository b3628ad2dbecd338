"""What stages hand to each other: JSON, tables and arrays, written whole or not at all."""

import csv
import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from expressionist.files.disk import explain_disk, reserve

# Columns of what stages write that name something: a tumour type may be called 1, and a patient 007.
_NAMES = frozenset(
    ("sample", "patient", "split", "tumour_type", "predicted", "type", "markers_of", "marker_of", "model")
    + ("gene", "symbol", "entrez", "ensembl", "chromosome", "gene_set", "leading_genes")
)


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it there once the block has ended without an error.

    Whoever writes a folder makes it at the temporary path. That is removed if the block fails; what stood at
    `path` before is then untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The last suffix stays last: some writers choose their format by it.
    partial = path.with_name(f".partial-{path.name}")
    _remove(partial)
    try:
        with explain_disk(path):
            yield partial
    except BaseException:
        _remove(partial)
        raise
    # A folder cannot replace another in one step: the old one steps aside, so that a kill never leaves
    # neither.
    aside = path.with_name(f".old-{path.name}")
    if path.is_dir():
        _remove(aside)
        path.replace(aside)
    partial.replace(path)
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping as indented JSON."""
    with write_whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2, default=_to_json) + "\n", encoding="utf-8")


def _to_json(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping from JSON."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_table(path: Path, table: pd.DataFrame, *, index: bool = True) -> None:
    """Write a table as TSV; nine digits give every float32 back exactly."""
    with write_whole(path) as partial:
        table.to_csv(partial, sep="\t", index=index, float_format="%.9g", lineterminator="\n")


def read_table(path: Path, *, index: str | None = None) -> pd.DataFrame:
    """Read a TSV; only an empty cell is missing, so that a gene or tumour type may be called NA.

    Columns that hold names are read as text, whatever they look like; `index` becomes the index.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        heading = next(csv.reader(stream, delimiter="\t"))
    # By position, as a tumour type may be called like a column; the first so called is ours.
    kinds = {heading.index(name): str for name in _NAMES.intersection(heading)}
    table = pd.read_csv(
        path,
        sep="\t",
        header=None,
        skiprows=1,
        names=range(len(heading)),
        index_col=False,
        dtype=kinds,
        keep_default_na=False,
        na_values=[""],
    )
    if index is None:
        return table.set_axis(heading, axis=1)
    place = heading.index(index)
    rest = table.drop(columns=place).set_axis(heading[:place] + heading[place + 1 :], axis=1)
    return rest.set_index(pd.Index(table[place], name=index))


def write_array(path: Path, blocks: Iterator[np.ndarray], shape: tuple[int, ...]) -> None:
    """Write blocks of shape (n_rows, ...), together `shape`, as one float32 `.npy` that can be memory-mapped.

    They are written as a stream: a memory map would keep every page written in memory, and a full disk would
    kill the process where a stream raises an error. Blocks that do not add up to `shape` are a ValueError.
    """
    with write_whole(path) as partial, partial.open("wb") as stream:
        _write_header(stream, shape, np.dtype("<f4"))
        n_rows = 0
        for block in blocks:
            if block.shape[1:] != shape[1:]:
                raise ValueError(f"A block of {shape[1:]} per row was announced, but got {block.shape[1:]}.")
            np.asarray(block, "<f4").tofile(stream)
            n_rows += len(block)
        if n_rows != shape[0]:
            raise ValueError(f"{shape[0]} rows were announced, but got {n_rows}.")


def allocate_rows(path: Path, shape: Sequence[int], dtype: str) -> None:
    """Write an `.npy` in full size, whose rows are yet to come; a `DiskError` if there is no room for it."""
    kind = np.dtype(dtype)
    with path.open("wb") as stream:
        _write_header(stream, shape, kind)
        n_bytes = stream.tell() + kind.itemsize * math.prod(shape)
    reserve(path, n_bytes)


def _write_header(stream: IO[bytes], shape: Sequence[int], kind: np.dtype) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": tuple(shape)}
    np.lib.format.write_array_header_1_0(stream, header)


def read_array(path: Path) -> np.ndarray:
    """Open an `.npy` memory-mapped, read-only."""
    return np.load(path, mmap_mode="r")


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as one compressed `.npz`."""
    with write_whole(path) as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]  # names are not options


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote."""
    with np.load(path) as content:
        return {name: content[name] for name in content.files}
