"""Score all models on further splits of the patients, resumable model by model."""

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console

from expressionist.data import Cohort, read_cohort, split_by_patient
from expressionist.evaluation import CHOSEN_BY, METRICS
from expressionist.files import md5, read_json, write_json, write_table
from expressionist.params import (
    BaselinesParams,
    ExpressionParams,
    LayoutParams,
    NetworkParams,
    SearchParams,
    SplitParams,
    TrainingParams,
    WeightsParams,
)

if TYPE_CHECKING:
    from expressionist.pipeline import Recipe, SplitFitter

_COLUMNS = ("repeat", "model", "kind", "depth", "n_train", "n_test", *CHOSEN_BY, *METRICS)


def run(
    split: SplitParams,
    expression: ExpressionParams,
    layout: LayoutParams,
    backbones: tuple[str, ...],
    weights: WeightsParams,
    network: NetworkParams,
    training: TrainingParams,
    search: SearchParams,
    baselines: BaselinesParams,
    *,
    cohort: Path,
    lists: Path,
    cache: Path,
    cache_gigabytes: float,
    out: Path,
) -> None:
    """Write the test scores of every model on every split but the first, which is that of the other stages.

    With `split.repeats` 1 the table has no rows. Studies are always local. `lists` is what the stage of that
    name brought, `cache` keeps what is done when this is killed.
    """
    rows: list[dict[str, Any]] = []
    if split.repeats > 1:
        # Most runs have one split, and need not wait for TensorFlow.
        from expressionist.pipeline import Recipe

        recipe = Recipe(expression, layout, weights, network, training, search, baselines)
        paths = _Paths(cohort / "cohort.h5ad", lists, cache / "repeats", cache_gigabytes)
        rows.extend(_score_repeats(split, recipe, backbones, paths))
    write_table(out, pd.DataFrame(rows, columns=list(_COLUMNS)), index=False)


@dataclass(frozen=True)
class _Paths:
    cohort: Path
    lists: Path
    cache: Path
    cache_gigabytes: float


def _score_repeats(
    split: SplitParams, recipe: "Recipe", backbones: tuple[str, ...], paths: _Paths
) -> Iterator[dict[str, Any]]:
    """Fit, choose and score every model anew on every further split, and yield the rows of the table."""
    whole, layout = read_cohort(paths.cohort), recipe.layout
    facts = {
        "cohort": md5(paths.cohort),
        "expression": asdict(recipe.expression),
        "layout": asdict(layout),
        "lists": md5(paths.lists),
    }
    models = _list_models(recipe, backbones)
    for number in range(2, split.repeats + 1):
        repeat = _Repeat(whole, split_again(whole.samples, split, number), recipe, facts, paths)
        for model in models:
            title = f"repeat {number} of {split.repeats}, {model.name}"
            yield {"repeat": number, **repeat.score(model, title)}
        repeat.clear()


def split_again(samples: pd.DataFrame, split: SplitParams, repeat: int) -> pd.Series:
    """Divide the patients once more, as `split_by_patient` does; `repeat` begins at 2."""
    rng = np.random.default_rng([split.seed, repeat])
    return split_by_patient(samples, validation=split.validation, test=split.test, rng=rng)


@dataclass(frozen=True)
class _Model:
    """A model to score, and what its scores depend on besides the split."""

    name: str
    kind: str
    facts: Mapping[str, Any]


def _list_models(recipe: "Recipe", backbones: tuple[str, ...]) -> list[_Model]:
    """List baseline models and networks; the quick ones come first."""
    from expressionist.network import find_weights
    from expressionist.pipeline import digest_pipeline

    method = recipe.layout.method
    code = digest_pipeline(method, networks=False)
    alone = {"code": code, "seed": recipe.baselines.seed}
    models = [_Model(name, "baseline", alone) for name in recipe.baselines.models]
    given, search = recipe.weights, asdict(recipe.search)
    del search["storage"]  # where trials are kept changes none
    facts = {
        "code": digest_pipeline(method, networks=True),
        "network": asdict(recipe.network),
        # The repeats compare what is trained on training samples.
        "training": asdict(replace(recipe.training, members=0)),
        "search": search,
    }
    for name in backbones:
        found, _ = find_weights(
            name, given.source, Path(given.folder), required=given.required, seed=given.seed
        )
        models.append(_Model(name, "network", {**facts, "weights": asdict(found)}))
    return models


class _Repeat:
    """One split, prepared only if a result is missing; results are kept by a digest of all they hang on."""

    def __init__(
        self, cohort: Cohort, split: pd.Series, recipe: "Recipe", facts: Mapping[str, Any], paths: _Paths
    ) -> None:
        from expressionist.pipeline import digest_pipeline

        self.cohort, self.split, self.recipe, self.paths = cohort, split, recipe, paths
        listed = "\n".join(f"{sample}\t{subset}" for sample, subset in split.items())
        self.facts = {**facts, "split": hashlib.sha256(listed.encode()).hexdigest()}
        self.results = paths.cache / "results"
        code = [digest_pipeline(recipe.layout.method, networks=networks) for networks in (False, True)]
        self.folder = paths.cache / _digest({**self.facts, "code": code})

    @cached_property
    def fitter(self) -> "SplitFitter":
        """What models are fitted on."""
        from expressionist.pipeline import SplitFitter

        about = {"lists": self.paths.lists, "folder": self.folder}
        size = self.paths.cache_gigabytes
        return SplitFitter(self.cohort, self.split, self.recipe, **about, cache_gigabytes=size)

    def score(self, model: _Model, title: str) -> dict[str, Any]:
        """Return a row of the table, from the cache where it is there already."""
        path = self.results / f"{_digest({**self.facts, 'model': model.name, **model.facts})}.json"
        told = "kept"
        if not path.exists():
            begun = time.perf_counter()
            write_json(path, self._fit(model, title))
            told = f"{time.perf_counter() - begun:.0f} s"
            self.fitter.clear(model.name)
        kept = read_json(path)
        scores = kept["test"]
        said = f"accuracy {scores['accuracy']:.3f}, macro-F1 {scores['f1_macro']:.3f}"
        Console().print(f"{title}: {said} ({told})")
        return {
            "model": model.name,
            "kind": model.kind,
            "depth": kept["choice"].get("depth"),
            **{f"n_{subset}": int((self.split == subset).sum()) for subset in ("train", "test")},
            **{name: kept["validation"][name.removeprefix("validation_")] for name in CHOSEN_BY},
            **{name: scores[name] for name in METRICS},
        }

    def _fit(self, model: _Model, title: str) -> dict[str, Any]:
        """Fit without the test samples; then let these judge, once."""
        fitter, objective = self.fitter, self.recipe.search.objective

        def tell(trial: Mapping[str, Any]) -> None:
            value = "pruned" if trial["value"] is None else f"{objective} {trial['value']:.3f}"
            Console().print(f"{title}: trial at depth {trial['depth']}: {value}")

        if model.kind == "baseline":
            fitted = fitter.fit_baseline(model.name)
        else:
            fitted = fitter.fit_network(model.name, tell)
        test = self.cohort.take((self.split == "test").to_numpy())
        return {
            "choice": fitted.choice,
            "validation": fitter.validate(fitted),
            "test": fitted.score(test, fitter.tumour_types),
        }

    def clear(self) -> None:
        """Delete all but the results, also what a run with other params left."""
        if self.results.parent.exists():
            for path in self.results.parent.iterdir():
                if path != self.results:
                    shutil.rmtree(path)


def _digest(facts: Mapping[str, Any]) -> str:
    from expressionist.training import digest

    return digest(facts)
