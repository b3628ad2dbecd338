"""The frozen-prefix cache: activations that no epoch of any trial changes, computed once, memory-mapped."""

import functools
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.files import (
    Compute,
    Span,
    allocate_rows,
    clear_shared,
    cut_spans,
    digest_file,
    find_gaps,
    lock_file,
    read_record,
    run_shards,
    share_folder,
    write_record,
)
from expressionist.network import (
    layers,  # noqa: F401  registers the layers of a model that a worker loads
    trace_prediction,
)

# Rises when the same inputs would give other activations or another file layout.
_VERSION = 2
_ROWS_PER_RECORD = 512
# What a kill can cost a worker of a cluster; small enough for the last shards to keep all of them at work.
_ROWS_PER_SHARD = 256
_ABOUT, _ROWS = "identity.json", "rows"


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
    scheduler: str | None = None,
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
    scheduler : str, optional
        Address of a Dask scheduler whose workers compute what is missing; without it, this process does.
    advance : callable
        Told how many samples are done, batch by batch or shard by shard.

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
                _compute(model, inputs, partial, dtype, batch_size, scheduler, advance)
            except OverflowError:
                shutil.rmtree(partial)
                _compute(model, inputs, partial, "float32", batch_size, scheduler, lambda _: None)
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
    scheduler: str | None,
    advance: Callable[[int], object],
) -> None:
    n_samples, paths = len(inputs[0]), _paths(partial, len(model.outputs))
    done = _prepare(partial, [(n_samples, *output.shape[1:]) for output in model.outputs], dtype)
    advance(sum(last - first for first, last in done))
    # What was broken off may have found before that the dtype asked for is too narrow.
    dtype, gaps = np.load(paths[0], mmap_mode="r").dtype.name, find_gaps(done, n_samples)

    def record(span: Span) -> None:
        done.append(span)
        write_record(partial / _ROWS, done)

    if scheduler is None:
        _fill(_predict(model, inputs, dtype, batch_size), paths, gaps, record, advance)
        return
    with share_folder(partial) as shared:
        model.save(shared / "model.keras")
        places = [_place(array, shared / f"input_{number}.npy") for number, array in enumerate(inputs)]
        work = functools.partial(_open_work, shared / "model.keras", places, dtype, batch_size)
        shards = list(cut_spans(gaps, _ROWS_PER_SHARD))
        for first, last in run_shards(work, paths, shards, scheduler=scheduler, shared=shared):
            record((first, last))
            advance(last - first)


def _prepare(partial: Path, shapes: Sequence[tuple[int, ...]], dtype: str) -> list[Span]:
    """Create the files of a new entry, or find which rows of a broken-off one are done."""
    rows = partial / _ROWS
    if rows.is_file():
        clear_shared(partial)
        return read_record(rows)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for path, shape in zip(_paths(partial, len(shapes)), shapes, strict=True):
            allocate_rows(path, shape, dtype)
    except BaseException:
        shutil.rmtree(partial)
        raise
    write_record(rows, [])
    return []


def _predict(model: keras.Model, inputs: Sequence[np.ndarray], dtype: str, batch_size: int) -> Compute:
    """Make the function that computes rows of the activations batch by batch."""
    predict = trace_prediction(model)

    def compute(first: int, last: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        for start in range(first, last, batch_size):
            stop = min(start + batch_size, last)
            parts = [np.asarray(part[start:stop], np.float32) for part in inputs]
            outputs = [np.asarray(output) for output in predict(parts)]
            if any(np.abs(output).max() > np.finfo(dtype).max for output in outputs):
                raise OverflowError
            yield start, outputs

    return compute


def _fill(
    compute: Compute,
    paths: Sequence[Path],
    gaps: Sequence[Span],
    record: Callable[[Span], None],
    advance: Callable[[int], object],
) -> None:
    arrays = [np.load(path, mmap_mode="r+") for path in paths]
    for first, last in gaps:
        recorded = first
        for start, outputs in compute(first, last):
            stop = start + len(outputs[0])
            for array, output in zip(arrays, outputs, strict=True):
                array[start:stop] = output
            if stop - recorded >= _ROWS_PER_RECORD or stop == last:
                # Rows are recorded only once they are on disk, so a kill can lose work but never keep a
                # torn row.
                for array in arrays:
                    array.flush()
                record((recorded, stop))
                recorded = stop
            advance(stop - start)


def _place(array: np.ndarray, copy: Path) -> Path:
    """Say from which `.npy` a worker can map an array; write one where there is none that holds just that."""
    with suppress(AttributeError, TypeError, OSError, ValueError):
        path = Path(array.filename)  # type: ignore[attr-defined]  # only a mapped array has one
        whole = np.load(path, mmap_mode="r")
        # A part of a map names the same file; as large as all of it, and in its order, it is no part. And the
        # file of that name may be another one by now: that of images painted anew, say.
        alike = (whole.shape, whole.dtype) == (array.shape, array.dtype) and array.flags.c_contiguous
        some = [0, len(array) // 2, len(array) - 1]
        if alike and np.array_equal(whole[some], array[some]):
            return path
    np.save(copy, array)
    return copy.absolute()


def _open_work(path: Path, places: Sequence[Path], dtype: str, batch_size: int) -> Compute:
    """Open model and inputs: called once in every worker."""
    model = keras.saving.load_model(path, compile=False)
    return _predict(model, [np.load(place, mmap_mode="r") for place in places], dtype, batch_size)
