"""The whole protocol on further deals of the patients: resumable model by model."""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressionist.data import Cohort, read_cohort, split_by_patient
from expressionist.evaluation import METRICS
from expressionist.files import md5, read_json, write_json
from expressionist.network import find_weights
from expressionist.params import SplitParams
from expressionist.pipeline import Deal, Recipe, digest_protocol, judge
from expressionist.training import digest

_RESULTS = "results"


def score_repeats(
    split: SplitParams,
    recipe: Recipe,
    backbones: tuple[str, ...],
    *,
    cohort: Path,
    incoming: Path,
    cache: Path,
    cache_gigabytes: float,
    tell: Callable[[str], object],
) -> Iterator[dict[str, Any]]:
    """Fit, choose and score every model anew on every deal but the first, which is the split of the stages.

    Parameters
    ----------
    split : SplitParams
        Shares, seed and number of deals.
    recipe : Recipe
        How everything is fitted. Studies are always local.
    backbones : tuple of str
        The networks.
    cohort : pathlib.Path
        The cohort's file.
    incoming : pathlib.Path
        Folder in which the file of gene sets lies that the layout method ``pathway`` reads.
    cache : pathlib.Path
        Folder that keeps what is done when this is killed; may be deleted at any time.
    cache_gigabytes : float
        Room that the frozen activations of one network may take.
    tell : callable
        Told in words of everything that is finished.

    Yields
    ------
    dict
        A row of the table: repeat, model, what it chose, and its scores on the deal's test samples.
    """
    whole, layout = read_cohort(cohort), recipe.layout
    gene_sets = layout.options.get("gene_sets")
    facts = {
        "cohort": md5(cohort),
        "expression": asdict(recipe.expression),
        "layout": asdict(layout),
        "gene_sets": md5(incoming / gene_sets) if isinstance(gene_sets, str) else None,
    }
    models = _list_models(recipe, backbones)
    for number in range(2, split.repeats + 1):
        sides = deal_anew(whole.samples, split, number)
        repeat = _Repeat(whole, sides, recipe, facts, incoming, cache, cache_gigabytes, tell)
        for model in models:
            yield {"repeat": number, **repeat.score(model, f"repeat {number} of {split.repeats}")}
        repeat.clear()


def deal_anew(samples: pd.DataFrame, split: SplitParams, repeat: int) -> pd.Series:
    """Divide the patients once more, by the same rules.

    Parameters
    ----------
    samples : pandas.DataFrame of length n_samples
        As for `split_by_patient`.
    split : SplitParams
        Shares and seed.
    repeat : int
        From 2: the first deal is the stage `split`.

    Returns
    -------
    pandas.Series of length n_samples
        ``"train"``, ``"validation"`` or ``"test"``, indexed like `samples`.
    """
    rng = np.random.default_rng([split.seed, repeat])
    return split_by_patient(samples, validation=split.validation, test=split.test, rng=rng)


@dataclass(frozen=True)
class _Model:
    """A model to score, and what its scores depend on beside the deal."""

    name: str
    kind: str
    facts: Mapping[str, Any]


def _list_models(recipe: Recipe, backbones: tuple[str, ...]) -> list[_Model]:
    """List opponents and networks; the quick ones come first."""
    method = recipe.layout.method
    code = digest_protocol(method, networks=False)
    models = [
        _Model(name, "opponent", {"code": code, "seed": recipe.baselines.seed})
        for name in recipe.baselines.opponents
    ]
    given, search = recipe.weights, asdict(recipe.search)
    del search["storage"]  # where trials are kept changes none
    facts = {
        "code": digest_protocol(method, networks=True),
        "network": asdict(recipe.network),
        "training": asdict(recipe.training),
        "search": search,
    }
    for name in backbones:
        found, _ = find_weights(
            name, given.source, Path(given.folder), required=given.required, seed=given.seed
        )
        models.append(_Model(name, "network", {**facts, "weights": asdict(found)}))
    return models


class _Repeat:
    """One deal, prepared only if a result is missing; results are kept under a digest of all they hang on."""

    def __init__(
        self,
        cohort: Cohort,
        sides: pd.Series,
        recipe: Recipe,
        facts: Mapping[str, Any],
        incoming: Path,
        folder: Path,
        cache_gigabytes: float,
        tell: Callable[[str], object],
    ) -> None:
        self.cohort, self.sides, self.recipe = cohort, sides, recipe
        self.incoming, self.cache_gigabytes = incoming, cache_gigabytes
        dealt = "\n".join(f"{sample}\t{side}" for sample, side in sides.items())
        self.facts = {**facts, "sides": hashlib.sha256(dealt.encode()).hexdigest()}
        self.results = folder / _RESULTS
        code = [digest_protocol(recipe.layout.method, networks=networks) for networks in (False, True)]
        self.folder = folder / digest({**self.facts, "code": code})
        self.tell = tell

    @cached_property
    def deal(self) -> Deal:
        """What models are fitted on."""
        return Deal(
            self.cohort,
            self.sides,
            self.recipe,
            incoming=self.incoming,
            folder=self.folder,
            cache_gigabytes=self.cache_gigabytes,
        )

    def score(self, model: _Model, title: str) -> dict[str, Any]:
        """Return a row of the table, from the cache where it is there already."""
        path = self.results / f"{digest({**self.facts, 'model': model.name, **model.facts})}.json"
        told = "kept"
        if not path.exists():
            begun = time.perf_counter()
            write_json(path, self._fit(model, title))
            told = f"{time.perf_counter() - begun:.0f} s"
            self.deal.clear(model.name)
        kept = read_json(path)
        scores = kept["test"]
        self.tell(
            f"{title}, {model.name}: accuracy {scores['accuracy']:.3f}, "
            f"macro-F1 {scores['f1_macro']:.3f} ({told})"
        )
        return {
            "model": model.name,
            "kind": model.kind,
            "depth": kept["choice"].get("depth"),
            **{f"n_{side}": int((self.sides == side).sum()) for side in ("train", "test")},
            "validation_f1_macro": kept["validation"]["f1_macro"],
            **{name: scores[name] for name in METRICS},
        }

    def _fit(self, model: _Model, title: str) -> dict[str, Any]:
        """Fit without the test samples; then let these judge, once."""
        if model.kind == "opponent":
            fitted = self.deal.fit_opponent(model.name)
        else:
            fitted = self.deal.fit_network(
                model.name, lambda words: self.tell(f"{title}, {model.name}: {words}")
            )
        test = self.cohort.take((self.sides == "test").to_numpy())
        return {
            "choice": fitted.choice,
            "validation": self.deal.validate(fitted),
            "test": judge(fitted, test, self.deal.tumour_types),
        }

    def clear(self) -> None:
        """Delete all but the results, also what a run with other params left."""
        if self.results.parent.exists():
            for path in self.results.parent.iterdir():
                if path != self.results:
                    shutil.rmtree(path)
