"""The frozen-prefix cache: activations that no epoch of any trial changes, computed once, memory-mapped."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.disk import reserve

# Rises when the same inputs would give other activations or another file layout.
_VERSION = 1
_ROWS_PER_RECORD = 512


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
    batch_size: int = 64,
    advance: Callable[[int], object] = lambda _: None,
) -> list[np.ndarray]:
    """Return a frozen model's outputs for all samples, from the cache where they are there already.

    Safe when two processes ask for the same activations (one computes, the other waits), and resumed after a
    kill.

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
    batch_size : int
        Samples computed at once.
    advance : callable
        Told how many samples are done, batch by batch.

    Returns
    -------
    list of numpy.ndarray of shape (n_samples, ...)
        float32, memory-mapped, read-only; one per output of the model.
    """
    key = digest(identity)
    entry, partial = folder / key, folder / f".partial-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    n_samples = len(inputs[0])
    with _lock(folder / f".lock-{key}"):
        if entry.is_dir():
            advance(n_samples)
        else:
            shapes = [(n_samples, *output.shape[1:]) for output in model.outputs]
            start = _prepare(partial, shapes)
            advance(start)
            _fill(model, inputs, partial, start, batch_size, advance)
            (partial / "identity.json").write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")
            partial.replace(entry)
    return [np.load(path, mmap_mode="r") for path in _paths(entry, len(model.outputs))]


def _paths(entry: Path, n_outputs: int) -> list[Path]:
    return [entry / f"activation_{place}.npy" for place in range(n_outputs)]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _prepare(partial: Path, shapes: Sequence[tuple[int, ...]]) -> int:
    """Create the files of a new entry, or find how many rows of a broken-off one are done."""
    rows = partial / "rows"
    if rows.is_file():
        return int(rows.read_text(encoding="utf-8"))
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for path, shape in zip(_paths(partial, len(shapes)), shapes, strict=True):
            np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape).flush()
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
        parts = [np.asarray(part[first:last]) for part in inputs]
        outputs = model.predict_on_batch(parts if len(parts) > 1 else parts[0])
        outputs = outputs if isinstance(outputs, list) else [outputs]
        for array, output in zip(arrays, outputs, strict=True):
            array[first:last] = output
        if last - recorded >= _ROWS_PER_RECORD or last == n_samples:
            # Rows are recorded only once they are on disk, so a kill can lose work but never keep a torn row.
            for array in arrays:
                array.flush()
            _record(partial / "rows", last)
            recorded = last
        advance(last - first)
