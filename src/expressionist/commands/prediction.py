"""Prediction of a table some samples at a time: what is done is kept until all is, and never done again."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from expressionist.commands.table_request import TableRequest
from expressionist.data import Nomenclature, Profiles, read_nomenclature
from expressionist.errors import RegistryError, name_some
from expressionist.files import digest_code, lock_file, md5, read_table, write_table, write_whole
from expressionist.tracking import (
    Loaded,
    Store,
    explain_predictions,
    find_profile,
    find_version,
    lengthen,
    load_model,
    log_once,
    make_explainer,
    name_logged,
    predict,
    prepare_table,
    state_scope,
)

if TYPE_CHECKING:
    from expressionist.explain import SampleExplainer

# A multiple of what the network is given at once.
_N_SAMPLES = 256
_TYPES, _GENES = "predictions.tsv", "genes.tsv"
_MARKS = ["sample", "abstain", "unlike_training"]
Prepared = tuple[pd.DataFrame, dict[str, int | np.ndarray], np.ndarray]


@dataclass(frozen=True)
class PredictionRequest(TableRequest):
    """What is to be predicted, where that is to be written, and how it is read.

    `out`, `explain` and `log` are the table of predictions, that of genes and the folder of the log.
    """

    out: Path | None
    explain: Path | None
    log: Path | None


class Prediction:
    """A table that was judged as a whole, and is predicted some samples at a time.

    Without a store, the model that is asked for is a folder.
    """

    def __init__(self, store: Store | None, request: PredictionRequest) -> None:
        self.request = request
        folder = Path(request.model) if store is None else find_version(store, request.model).folder
        self.reference = find_profile(folder, request.align)
        self.loaded: Loaded = load_model(folder)
        self.logged = name_logged(folder)
        self.names: Nomenclature | None = read_nomenclature(request.nomenclature)
        self.profiles: Profiles = request.read(self.loaded[0], self.names)
        self.n_samples = len(self.profiles.samples)
        # Refused before anything is predicted: too few genes, and samples that lack too many.
        for start in self._starts if self.profiles.has_gaps else self._starts[:1]:
            self._prepare(start)

    @property
    def _starts(self) -> range:
        return range(0, self.n_samples, _N_SAMPLES)

    @property
    def said(self) -> tuple[str, str]:
        """What was decided about the table, and what the probabilities mean."""
        return self.profiles.said, state_scope(self.loaded[0], self.loaded[2])

    @property
    def is_long(self) -> bool:
        """Whether it is done in several pieces."""
        return len(self._starts) > 1

    def _prepare(self, start: int) -> Prepared:
        table = self.profiles.read(start, start + _N_SAMPLES)
        return prepare_table(self.loaded[0], table, self.reference, self.names)

    @cached_property
    def key(self) -> str:
        """Digest all that the predictions hang on: files, model, options, and code."""
        options = asdict(self.request)
        given = [options.pop(name) for name in ("table", "gene_lengths", "nomenclature")]
        options |= {"model": self.logged, "out": None, "log": None, "explain": self.request.explain is None}
        read = [self.profiles.said, *map(str, self.profiles.samples)]
        code = digest_code("commands.prediction:Prediction")
        made = json.dumps([[path and md5(path) for path in given], options, read, code])
        return hashlib.sha256(made.encode()).hexdigest()[:16]

    @contextmanager
    def keep(self) -> Iterator[Path]:
        """Give a folder for what is done: beside the output, until this block ends well."""
        target = self.request.out or self.request.explain
        if target is None:
            with TemporaryDirectory() as name:
                yield Path(name)
            return
        folder = target.with_name(f".{target.name}-{self.key}")
        # What is left of other inputs under the same name is no use to anyone.
        old = [each for each in target.parent.glob(".*") if each != folder and self._is_left(each, target)]
        for each in old:
            with _lock(each, target):
                shutil.rmtree(each)
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder, target):
            yield folder
            shutil.rmtree(folder)

    @staticmethod
    def _is_left(folder: Path, target: Path) -> bool:
        return re.fullmatch(rf"\.{re.escape(target.name)}-[0-9a-f]{{16}}", folder.name) is not None

    def work(self, folder: Path, on_progress: Callable[[int], object]) -> None:
        """Predict what is not done yet; `on_progress` is told how many samples are, some at a time."""
        for start in self._starts:
            chunk = folder / f"{start:09}"
            if chunk.exists():
                on_progress(min(_N_SAMPLES, self.n_samples - start))
            else:
                self._answer(start, chunk, on_progress)

    def finish(self, folder: Path) -> Iterator[str]:
        """Log and write all that was asked for, from what is done, and give what is to be said of it."""
        request, chunks = self.request, [folder / f"{start:09}" for start in self._starts]
        if request.log is not None:
            parts = (read_table(chunk / _TYPES) for chunk in chunks)
            log_once(request.log, self.key, self.logged, parts)
        if request.explain is not None:
            _join(chunks, _GENES, request.explain)
            by_sample = [read_table(chunk / _GENES).drop_duplicates("sample") for chunk in chunks]
            median, p95 = np.percentile(pd.concat(by_sample)["completeness_gap"], [50, 95])
            yield f"Completeness gap: median {median:.2%}, 95th percentile {p95:.2%}."
        yield _sum_up(pd.concat([read_table(chunk / _TYPES)[_MARKS] for chunk in chunks]))
        if request.out is not None:
            _join(chunks, _TYPES, request.out)

    def show(self, folder: Path) -> Iterator[bytes]:
        """Give the table of predictions, as it would be written."""
        return _list_parts([folder / f"{start:09}" for start in self._starts], _TYPES)

    def _answer(self, start: int, chunk: Path, on_progress: Callable[[int], object]) -> None:
        """Predict some samples, and write what was found into a folder."""
        table, counts, filled = self._prepare(start)
        predictions = predict(*self.loaded, table, once=not self.is_long).assign(**counts)
        with write_whole(chunk) as partial:
            partial.mkdir()
            if self.request.explain is not None:
                genes = self._explain(table, filled, predictions, on_progress)
                write_table(partial / _GENES, genes, index=False)
            write_table(partial / _TYPES, predictions, index=False)
        if self.request.explain is None:
            on_progress(len(table))

    def _explain(
        self,
        table: pd.DataFrame,
        filled: np.ndarray,
        predictions: pd.DataFrame,
        on_progress: Callable[[int], object],
    ) -> pd.DataFrame:
        found = explain_predictions(
            self.loaded[0], self.explainer, table, filled, predictions, on_progress=on_progress
        )
        return lengthen(predictions, list(found))

    @cached_property
    def explainer(self) -> "SampleExplainer":
        """What explains predictions; to make it takes seconds."""
        return make_explainer(self.loaded)


@contextmanager
def _lock(folder: Path, target: Path) -> Iterator[None]:
    with lock_file(folder / ".lock", wait=False) as held:
        if not held:
            raise RegistryError(
                f"{target} must be written by one process at a time, but another one is predicting for it. "
                "Wait for it, or write elsewhere."
            )
        yield


def _sum_up(marks: pd.DataFrame) -> str:
    """Say how many samples have no answer, and why, in a sentence."""
    unlike, unsure = marks["unlike_training"], marks["abstain"] & ~marks["unlike_training"]
    told = [f"{len(marks):,} samples"]
    further = "further " if unlike.any() else ""
    reasons = ((unlike, "unlike the training samples"), (unsure, f"{further}too uncertain to name a type"))
    for marked, said in reasons:
        told += (
            [f"{int(marked.sum()):,} {said}: {name_some(marks['sample'][marked])}"] if marked.any() else []
        )
    return "; ".join(told) + ("." if len(told) > 1 else ", none marked.")


def _list_parts(chunks: Sequence[Path], name: str) -> Iterator[bytes]:
    """Give a table that was written in parts, the heading once."""
    for place, chunk in enumerate(chunks):
        heading, mark, rows = (chunk / name).read_bytes().partition(b"\n")
        yield rows if place else heading + mark + rows


def _join(chunks: Sequence[Path], name: str, path: Path) -> None:
    with write_whole(path) as partial, partial.open("wb") as stream:
        stream.writelines(_list_parts(chunks, name))
