"""The frozen-prefix cache: activations that no epoch of any trial changes, computed once, memory-mapped."""

import functools
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from expressionist.network import load_network, trace_prediction

# Rises when the same inputs would give other activations or another file layout.
_VERSION = 3
_BATCH_SIZE = 64
_ROWS_PER_RECORD = 512
# What a kill can cost a worker of a cluster; small enough for the last shards to keep all of them at work.
_ROWS_PER_SHARD = 256
_ABOUT, _ROWS = "identity.json", "rows"


def digest(facts: Mapping[str, Any]) -> str:
    """Name something on disk after all that it depends on, as 20 hexadecimal digits; `facts` are JSON-able.

    The versions of Keras and of this cache are added.
    """
    whole = {**facts, "keras": keras.__version__, "version": _VERSION}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class ActivationCache:
    """Outputs of frozen models for all samples, each entry a folder; damaged ones are computed again.

    Of two processes that ask for the same, one computes and the other waits; after a kill it goes on.
    """

    folder: Path
    # What activations are kept as: float16 halves the room. Where one is too large for it, float32 is taken.
    dtype: str = "float32"
    # Room that the cache may take; entries used longest ago are deleted first, but never the present one.
    most_bytes: float = math.inf
    # Address of a Dask scheduler whose workers compute what is missing; without it, this process does.
    scheduler: str | None = None

    def compute(
        self,
        model: keras.Model,
        inputs: np.ndarray,
        identity: Mapping[str, Any],
        *,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> dict[str, np.ndarray]:
        """Return a model's dict of outputs for all `inputs`, memory-mapped; computed unless they are there.

        Two entries are the same exactly when `identity`, the facts that they depend on, is. `on_progress` is
        told how many samples are done, batch by batch or shard by shard.
        """
        identity = {**identity, "dtype": self.dtype}
        key, names = digest(identity), list(model.output)
        entry, partial = self.folder / key, self.folder / f".partial-{key}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock_file(self.folder / f".lock-{key}"):
            if entry.is_dir() and not _is_whole(entry):
                shutil.rmtree(entry)
            if entry.is_dir():
                on_progress(len(inputs))
            else:
                try:
                    self._fill(model, inputs, partial, self.dtype, on_progress)
                except OverflowError:
                    shutil.rmtree(partial)
                    self._fill(model, inputs, partial, "float32", lambda _: None)
                digests = {path.name: digest_file(path) for path in _paths(partial, names)}
                about = json.dumps({**identity, "sha256": digests}, indent=2)
                (partial / _ABOUT).write_text(about + "\n", encoding="utf-8")
                partial.replace(entry)
            (entry / _ABOUT).touch()
            paths = zip(names, _paths(entry, names), strict=True)
            found = {name: np.load(path, mmap_mode="r") for name, path in paths}
        self._evict(key)
        return found

    def _fill(
        self,
        model: keras.Model,
        inputs: np.ndarray,
        partial: Path,
        dtype: str,
        on_progress: Callable[[int], object],
    ) -> None:
        """Write the rows that are missing, here or on the workers of a cluster."""
        n_samples, paths = len(inputs), _paths(partial, list(model.output))
        done = _prepare(
            partial, paths, [(n_samples, *each.shape[1:]) for each in model.output.values()], dtype
        )
        on_progress(sum(last - first for first, last in done))
        # What was broken off may have found before that the dtype asked for is too narrow.
        dtype, gaps = np.load(paths[0], mmap_mode="r").dtype.name, find_gaps(done, n_samples)

        def record(span: Span) -> None:
            done.append(span)
            write_record(partial / _ROWS, done)

        if self.scheduler is None:
            _write_rows(_predict(model, inputs, dtype), paths, gaps, record, on_progress)
            return
        with share_folder(partial) as shared:
            model.save(shared / "model.keras")
            place = _place(inputs, shared / "inputs.npy")
            work = functools.partial(_open_work, shared / "model.keras", place, dtype)
            shards = list(cut_spans(gaps, _ROWS_PER_SHARD))
            for first, last in run_shards(work, paths, shards, scheduler=self.scheduler, shared=shared):
                record((first, last))
                on_progress(last - first)

    def _evict(self, key: str) -> None:
        """Delete what was used longest ago, also what was never finished; who has mapped it reads on."""
        used, sizes = {}, {}
        for path in self.folder.iterdir():
            # Another process may finish, record or delete an entry at any moment: what it works on is in use.
            with suppress(FileNotFoundError, NotADirectoryError):
                files = [file.stat() for file in path.iterdir()]
                used[path] = max([path.stat().st_mtime, *(file.st_mtime for file in files)])
                sizes[path] = sum(file.st_size for file in files)
        for path in sorted(sizes, key=lambda each: used[each]):
            name = path.name.removeprefix(".partial-")
            if name == key or sum(sizes.values()) <= self.most_bytes:
                continue
            with lock_file(self.folder / f".lock-{name}", wait=False) as locked:
                if locked:
                    shutil.rmtree(path, ignore_errors=True)
                    del sizes[path]


def _is_whole(entry: Path) -> bool:
    """Whether the files are, byte for byte, those that were written."""
    digests = json.loads((entry / _ABOUT).read_text(encoding="utf-8"))["sha256"]
    return all(
        (entry / name).is_file() and digest_file(entry / name) == wanted for name, wanted in digests.items()
    )


def _paths(entry: Path, names: Sequence[str]) -> list[Path]:
    return [entry / f"{name}.npy" for name in names]


def _prepare(
    partial: Path, paths: Sequence[Path], shapes: Sequence[tuple[int, ...]], dtype: str
) -> list[Span]:
    """Create the files of a new entry, or find which rows of a broken-off one are done."""
    rows = partial / _ROWS
    if rows.is_file():
        clear_shared(partial)
        return read_record(rows)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for path, shape in zip(paths, shapes, strict=True):
            allocate_rows(path, shape, dtype)
    except BaseException:
        shutil.rmtree(partial)
        raise
    write_record(rows, [])
    return []


def _predict(model: keras.Model, inputs: np.ndarray, dtype: str) -> Compute:
    """Make the function that computes rows of the activations batch by batch."""
    predict = trace_prediction(model)

    def compute(first: int, last: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        for start in range(first, last, _BATCH_SIZE):
            stop = min(start + _BATCH_SIZE, last)
            found = predict(np.asarray(inputs[start:stop], np.float32))
            outputs = [np.asarray(found[name]) for name in model.output]
            if any(np.abs(output).max() > np.finfo(dtype).max for output in outputs):
                raise OverflowError
            yield start, outputs

    return compute


def _write_rows(
    compute: Compute,
    paths: Sequence[Path],
    gaps: Sequence[Span],
    record: Callable[[Span], None],
    on_progress: Callable[[int], object],
) -> None:
    arrays = [np.load(path, mmap_mode="r+") for path in paths]
    for first, last in gaps:
        recorded = first
        for start, outputs in compute(first, last):
            stop = start + len(outputs[0])
            for array, output in zip(arrays, outputs, strict=True):
                array[start:stop] = output
            if stop - recorded >= _ROWS_PER_RECORD or stop == last:
                # Recorded only once on disk: a kill can lose work but never keep a torn row.
                for array in arrays:
                    array.flush()
                record((recorded, stop))
                recorded = stop
            on_progress(stop - start)


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


def _open_work(path: Path, inputs: Path, dtype: str) -> Compute:
    """Open model and inputs: called once in every worker."""
    return _predict(load_network(path), np.load(inputs, mmap_mode="r"), dtype)
