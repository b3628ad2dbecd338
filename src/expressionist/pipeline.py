"""One deal of the patients, from gene choice to test scores: all that a repeat does anew."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from expressionist.data import Cohort, to_log2, write_split
from expressionist.evaluation import Fold, fit_opponent, fit_temperature, score
from expressionist.files import digest_code, write_whole
from expressionist.network import assemble, predict_logits
from expressionist.painting import fit_imaging, read_layout, read_options, write_images, write_layout
from expressionist.params import (
    BaselinesParams,
    ExpressionParams,
    LayoutParams,
    NetworkParams,
    SearchParams,
    TrainingParams,
    WeightsParams,
)
from expressionist.training import (
    find_best_trial,
    name_local_storage,
    open_tuner,
    plan_search,
    run_search,
    settle,
)


@dataclass(frozen=True)
class Recipe:
    """The sections of params.yaml that say how everything is fitted."""

    expression: ExpressionParams
    layout: LayoutParams
    weights: WeightsParams
    network: NetworkParams
    training: TrainingParams
    search: SearchParams
    baselines: BaselinesParams


@dataclass(frozen=True)
class Fitted:
    """A model that was fitted on training samples, with what was chosen on validation samples.

    Parameters
    ----------
    choice : mapping
        Hyper-parameters, or a network's depth and whatever else its search chose.
    predict : callable
        Expression of shape (n_samples, n_genes), in the unit and with all genes of the cohort, to
        probabilities of shape (n_samples, n_types).
    """

    choice: Mapping[str, Any]
    predict: Callable[[np.ndarray], np.ndarray]


class Deal:
    """The training and validation samples of one deal, and what is fitted on them, in a folder of its own.

    Test samples are never held here nor written to the folder, so nothing that is fitted can see them.

    Parameters
    ----------
    cohort : Cohort
        With all its samples.
    sides : pandas.Series of length n_samples
        As `split_by_patient` gives it.
    recipe : Recipe
        How everything is fitted.
    incoming : pathlib.Path
        Folder in which the file of gene sets lies that the layout method ``pathway`` reads.
    folder : pathlib.Path
        Where a deal of exactly these facts is prepared, and found again after a kill.
    cache_gigabytes : float
        Room that frozen activations may take.
    """

    def __init__(
        self,
        cohort: Cohort,
        sides: pd.Series,
        recipe: Recipe,
        *,
        incoming: Path,
        folder: Path,
        cache_gigabytes: float,
    ) -> None:
        known = (sides != "test").to_numpy()
        self.known, self.sides = cohort.take(known), sides[known]
        self.recipe, self.folder, self.cache_gigabytes = recipe, folder, cache_gigabytes
        if not (folder / "layout").exists():
            self._lay_out(incoming)
        self.layout, self.scale, *_ = read_layout(folder / "layout")
        self.genes = self.known.genes.index.get_indexer(pd.Index(self.layout.genes))

    @property
    def tumour_types(self) -> list[str]:
        """All types of the cohort, in alphabetical order: every one has training samples."""
        return self.known.tumour_types

    def clear(self, model: str) -> None:
        """Delete what only the fitting of this model needs."""
        shutil.rmtree(self.folder / model, ignore_errors=True)

    def validate(self, fitted: Fitted) -> dict[str, float]:
        """Score a model on the validation samples."""
        rows = self._rows("validation")
        return judge(fitted, self.known.take(rows), self.tumour_types)

    def _rows(self, side: str) -> np.ndarray:
        return np.flatnonzero((self.sides == side).to_numpy())

    def _types(self, side: str) -> np.ndarray:
        types = self.known.samples["tumour_type"].iloc[self._rows(side)]
        return pd.Index(self.tumour_types).get_indexer(pd.Index(types))

    def _lay_out(self, incoming: Path) -> None:
        """Choose genes, scale and pixels on training samples, as the stage `layout` does."""
        given = self.recipe.layout
        laid, scale, chosen = fit_imaging(
            to_log2(self.known.expression[self._rows("train")], self.known.unit),
            self.known.genes,
            method=given.method,
            options={**read_options(given, incoming), "crowding": given.crowding},
            n_genes=self.recipe.expression.n_genes,
            shape=None,
            rng=np.random.default_rng(given.seed),
        )
        about = {"unit": self.known.unit, "cohort": self.known.name, "synthetic": self.known.synthetic}
        write_layout(self.folder / "layout", laid, scale, self.known.genes.iloc[chosen], about)

    def _paint(self) -> None:
        write_split(self.folder / "split.tsv", self.known, self.sides)
        with write_whole(self.folder / "images") as partial:
            partial.mkdir()
            rows = self.known.samples.assign(split=self.sides)
            sides = ("train", "validation")
            write_images(partial, self.known, rows, self.layout, self.scale, sides=sides)

    def fit_opponent(self, name: str) -> Fitted:
        """Fit an opponent on the genes that are painted, as the stage `baselines` does."""
        genes, unit = self.genes, self.known.unit

        def take(expression: np.ndarray) -> np.ndarray:
            return to_log2(np.ascontiguousarray(expression[:, genes]), unit)

        training, validation = (
            Fold(take(self.known.expression[self._rows(side)]), self._types(side))
            for side in ("train", "validation")
        )
        opponent = fit_opponent(
            name, training, validation, n_types=len(self.tumour_types), seed=self.recipe.baselines.seed
        )
        return Fitted(opponent.choice, lambda expression: opponent.predict_proba(take(expression)))

    def fit_network(self, backbone: str, tell: Callable[[str], object] = lambda _: None) -> Fitted:
        """Search a backbone's depth, train at it and stitch the whole, as `tune` and `train` do.

        Parameters
        ----------
        backbone : str
            Row of the table of backbones.
        tell : callable
            Told in words of every trial that is finished.

        Returns
        -------
        Fitted
            The whole network, from expression on, at the temperature that `evaluate` would give it.
        """
        if not (self.folder / "images").exists():
            self._paint()
        recipe, own = self.recipe, self.folder / backbone
        tuner, _ = open_tuner(
            backbone,
            recipe.weights,
            recipe.network,
            split=self.folder / "split.tsv",
            layout=self.folder / "layout",
            images=self.folder / "images",
            # Apart from the cache of the first split: these are needed once, and would push others out.
            cache=own / "prefix",
            cache_gigabytes=self.cache_gigabytes,
        )
        planned = plan_search(tuner, recipe.network, recipe.training, recipe.search, self.known.name)
        checkpoints, objective = own / "checkpoints", recipe.search.objective
        trials = run_search(
            planned.study,
            planned.space,
            lambda choice, report: planned.run_trial(choice, checkpoints=checkpoints, report=report),
            storage=name_local_storage(own),
            objective=objective,
            n_trials=recipe.search.n_trials,
            prune=recipe.search.prune,
            seed=recipe.search.seed,
            record=lambda trial: tell(_describe_trial(trial, objective)),
        )
        best = find_best_trial(trials, objective)
        params, dropout = settle(best["params"], recipe.training, recipe.network.dropout)
        tuned = tuner.fit(best["depth"], dropout, params, checkpoints=checkpoints)
        parts = (tuned.front, tuned.division.prefix, tuned.model, tuned.ranks)
        whole = assemble(self.layout, self.scale, self.known.unit, *parts)

        def predict(expression: np.ndarray) -> np.ndarray:
            return predict_logits(whole, expression[:, self.genes], np.arange(len(expression)))

        logits = predict(self.known.expression[self._rows("validation")])
        temperature = fit_temperature(logits, self._types("validation"))
        return Fitted(
            {**best["params"], "temperature": temperature},
            lambda expression: softmax(predict(expression) / temperature, axis=1),
        )


def _describe_trial(trial: Mapping[str, Any], objective: str) -> str:
    value = "pruned" if trial["value"] is None else f"{objective} {trial['value']:.3f}"
    return f"trial at depth {trial['depth']}: {value}"


def judge(fitted: Fitted, cohort: Cohort, tumour_types: list[str]) -> dict[str, float]:
    """Score a model on samples.

    Parameters
    ----------
    fitted : Fitted
        The model.
    cohort : Cohort
        These samples, with all genes.
    tumour_types : list of str
        What the columns of its probabilities stand for.

    Returns
    -------
    dict of str to float
        As `metrics.score` gives them.
    """
    truth = pd.Index(tumour_types).get_indexer(pd.Index(cohort.samples["tumour_type"]))
    return score(fitted.predict(cohort.expression), truth)


def digest_protocol(layout_method: str, *, networks: bool) -> str:
    """Digest the code of what a deal's models and their scores depend on.

    Parameters
    ----------
    layout_method : str
        Of the layouts, only this one counts.
    networks : bool
        Whether networks are fitted, or opponents.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    others = ("evaluation.baselines",) if networks else ("training", "network")
    return digest_code("pipeline", without=others, chosen=(("painting.layouts", layout_method),))
