"""The frozen-prefix cache: activations that no epoch of any trial changes, computed once, memory-mapped."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.disk import reserve
from expressionist.files import digest_file, lock_file

# Rises when the same inputs would give other activations or another file layout.
_VERSION = 2
_ROWS_PER_RECORD = 512
_ABOUT = "identity.json"


def digest(facts: Mapping[str, Any]) -> str:
    """Name something that is kept on disk after everything that it depends on.

    Parameters
    ----------
    facts : mapping
        JSON-able, such as the digests of images and weights, the backbone and the cut. The versions of Keras
        and of this cache are added.

    Returns
    -------
    str
        20 hexadecimal digits.
    """
    whole = {**facts, "keras": keras.__version__, "version": _VERSION}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:20]


def compute_prefix(
    model: keras.Model,
    inputs: Sequence[np.ndarray],
    folder: Path,
    identity: Mapping[str, Any],
    *,
    dtype: str = "float32",
    most_bytes: float = math.inf,
    batch_size: int = 64,
    advance: Callable[[int], object] = lambda _: None,
) -> list[np.ndarray]:
    """Return a frozen model's outputs for all samples, from the cache where they are there already.

    Safe when two processes ask for the same activations (one computes, the other waits), and resumed after a
    kill. An entry whose files are not what was written is computed again.

    Parameters
    ----------
    model : keras.Model
        Images, or the activations of an earlier cut → list of activations.
    inputs : sequence of numpy.ndarray of shape (n_samples, ...)
        The model's inputs; may be memory-mapped.
    folder : pathlib.Path
        The cache; each entry is a folder in it.
    identity : mapping
        Facts that the activations depend on: two entries are the same exactly when these are.
    dtype : str
        What activations are kept as: ``float16`` halves the room on disk. Where one is too large for it,
        float32 is taken.
    most_bytes : float
        Room that the cache may take; entries used longest ago are deleted first, but never this one.
    batch_size : int
        Samples computed at once.
    advance : callable
        Told how many samples are done, batch by batch.

    Returns
    -------
    list of numpy.ndarray of shape (n_samples, ...)
        Memory-mapped, read-only; one per output of the model.
    """
    identity = {**identity, "dtype": dtype}
    key = digest(identity)
    entry, partial = folder / key, folder / f".partial-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with lock_file(folder / f".lock-{key}"):
        if entry.is_dir() and not _is_whole(entry):
            shutil.rmtree(entry)
        if entry.is_dir():
            advance(len(inputs[0]))
        else:
            try:
                _compute(model, inputs, partial, dtype, batch_size, advance)
            except OverflowError:
                shutil.rmtree(partial)
                _compute(model, inputs, partial, "float32", batch_size, lambda _: None)
            paths = _paths(partial, len(model.outputs))
            checked = {**identity, "sha256": {path.name: digest_file(path) for path in paths}}
            (partial / _ABOUT).write_text(json.dumps(checked, indent=2) + "\n", encoding="utf-8")
            partial.replace(entry)
        (entry / _ABOUT).touch()
        found = [np.load(path, mmap_mode="r") for path in _paths(entry, len(model.outputs))]
    _evict(folder, key, most_bytes)
    return found


def _is_whole(entry: Path) -> bool:
    """Whether the files are, byte for byte, those that were written."""
    digests = json.loads((entry / _ABOUT).read_text(encoding="utf-8"))["sha256"]
    return all(
        (entry / name).is_file() and digest_file(entry / name) == wanted for name, wanted in digests.items()
    )


def _evict(folder: Path, key: str, most_bytes: float) -> None:
    """Delete what was used longest ago, also what was never finished, until the rest has room.

    Arrays that another process has mapped stay readable to it: their files go when the last map does.
    """
    used, sizes = {}, {}
    for path in folder.iterdir():
        # Another process may finish, record or delete an entry at any moment: what it works on is in use.
        with suppress(FileNotFoundError, NotADirectoryError):
            files = [file.stat() for file in path.iterdir()]
            used[path] = max([path.stat().st_mtime, *(file.st_mtime for file in files)])
            sizes[path] = sum(file.st_size for file in files)
    for path in sorted(sizes, key=lambda each: used[each]):
        name = path.name.removeprefix(".partial-")
        if name == key or sum(sizes.values()) <= most_bytes:
            continue
        with lock_file(folder / f".lock-{name}", wait=False) as locked:
            if locked:
                shutil.rmtree(path, ignore_errors=True)
                del sizes[path]


def _paths(entry: Path, n_outputs: int) -> list[Path]:
    return [entry / f"activation_{place}.npy" for place in range(n_outputs)]


def _compute(
    model: keras.Model,
    inputs: Sequence[np.ndarray],
    partial: Path,
    dtype: str,
    batch_size: int,
    advance: Callable[[int], object],
) -> None:
    shapes = [(len(inputs[0]), *output.shape[1:]) for output in model.outputs]
    start = _prepare(partial, shapes, dtype)
    advance(start)
    _fill(model, inputs, partial, start, batch_size, advance)


def _prepare(partial: Path, shapes: Sequence[tuple[int, ...]], dtype: str) -> int:
    """Create the files of a new entry, or find how many rows of a broken-off one are done."""
    rows = partial / "rows"
    if rows.is_file():
        return int(rows.read_text(encoding="utf-8"))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for path, shape in zip(_paths(partial, len(shapes)), shapes, strict=True):
            np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()
            reserve(path, path.stat().st_size)
    except BaseException:
        shutil.rmtree(partial)
        raise
    _record(rows, 0)
    return 0


def _record(rows: Path, done: int) -> None:
    fresh = rows.with_name("rows.new")
    fresh.write_text(str(done), encoding="utf-8")
    fresh.replace(rows)


def _fill(
    model: keras.Model,
    inputs: Sequence[np.ndarray],
    partial: Path,
    start: int,
    batch_size: int,
    advance: Callable[[int], object],
) -> None:
    arrays = [np.load(path, mmap_mode="r+") for path in _paths(partial, len(model.outputs))]
    recorded, n_samples = start, len(inputs[0])
    for first in range(start, n_samples, batch_size):
        last = min(first + batch_size, n_samples)
        parts = [np.asarray(part[first:last], np.float32) for part in inputs]
        outputs = model.predict_on_batch(parts if len(parts) > 1 else parts[0])
        outputs = outputs if isinstance(outputs, list) else [outputs]
        for array, output in zip(arrays, outputs, strict=True):
            if np.abs(output).max() > np.finfo(array.dtype).max:
                raise OverflowError
            array[first:last] = output
        if last - recorded >= _ROWS_PER_RECORD or last == n_samples:
            # Rows are recorded only once they are on disk, so a kill can lose work but never keep a torn row.
            for array in arrays:
                array.flush()
            _record(partial / "rows", last)
            recorded = last
        advance(last - first)
