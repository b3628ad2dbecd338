"""The steps on one split of the patients, from gene choice to calibrated models."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from expressionist.data import Cohort, keep_listed, to_log2, write_split
from expressionist.evaluation import (
    LabelledRows,
    confusion,
    find_organ_systems,
    fit_baseline,
    fit_temperature,
    flatten_facts,
    judge_probabilities,
    per_type,
    score,
    score_subsets,
    tabulate_predictions,
    write_predictions,
)
from expressionist.files import digest_code, write_json, write_table, write_whole
from expressionist.network import predict_logits
from expressionist.painting import lay_out, read_layout, read_options, write_images, write_layout
from expressionist.params import (
    BaselinesParams,
    EvaluationParams,
    ExpressionParams,
    LayoutParams,
    NetworkParams,
    SearchParams,
    TrainingParams,
    WeightsParams,
)
from expressionist.training import (
    DepthSearch,
    Epoch,
    FineTuned,
    FineTuner,
    Train,
    Workspace,
    apply_trial,
    find_best_trial,
    open_tuner,
    plan_search,
    run_search,
)


def search_depth(
    planned: DepthSearch,
    search: SearchParams,
    train: Train,
    storage: str,
    *,
    on_trial: Callable[[dict[str, Any]], object],
    on_begin: Callable[[dict[str, Any]], object] = lambda _: None,
    on_progress: Callable[[int], object] = lambda _: None,
) -> list[dict[str, Any]]:
    """Run all trials of a planned search, as `run_search` does."""
    return run_search(
        planned.study,
        planned.space,
        train,
        storage=storage,
        objective=search.objective,
        n_trials=search.n_trials,
        prune=search.prune,
        seed=search.seed,
        on_begin=on_begin,
        on_trial=on_trial,
        on_progress=on_progress,
    )


def train_best(
    tuner: FineTuner,
    best: Mapping[str, Any],
    training: TrainingParams,
    network: NetworkParams,
    checkpoints: Path,
    *,
    on_epoch: Callable[[Epoch], bool] = lambda _: False,
) -> FineTuned:
    """Train as the best trial chose."""
    params, dropout = apply_trial(best["params"], training, network.dropout)
    return tuner.fit(best["depth"], dropout, params, checkpoints=checkpoints, on_epoch=on_epoch)


def train_members(
    tuner: FineTuner,
    best: Mapping[str, Any],
    training: TrainingParams,
    checkpoints: Path,
    *,
    shares: Mapping[str, float],
    on_epoch: Callable[[Epoch], bool] = lambda _: False,
) -> list[FineTuned]:
    """Train `training.members` times as the best trial chose, on training and validation samples.

    They differ in their seeds; `shares` are those that validation samples set while they were unseen. What
    the histories have of validation samples is of samples that were learned.
    """
    params, dropout = apply_trial(best["params"], training, tuner.network.dropout)
    members = [
        tuner.fit(
            best["depth"],
            dropout,
            replace(params, seed=params.seed + number),
            checkpoints=checkpoints,
            fold=tuner.join(),
            shares=shares,
            keep=True,
            on_epoch=on_epoch,
        )
        for number in range(params.members)
    ]
    for member in members:
        member.forget()
    return members


def write_evaluation(
    folder: Path,
    rows: pd.DataFrame,
    logits: np.ndarray,
    tumour_types: list[str],
    evaluation: EvaluationParams,
    novelty: Mapping[str, Any],
    marks: Mapping[str, bool],
    merged: Mapping[str, Sequence[str]],
) -> None:
    """Calibrate a network by its logits, and write predictions, scores and what its probabilities are worth.

    `rows` are of the split table: those of ``validation`` set the temperature and the confidence below which
    no answer is given, those of ``test`` judge. `merged` are the cohort's merged types.
    """
    # What trains need not wait for what draws.
    from expressionist.report import draw_confusion, stamp, write_figure

    truth = pd.Index(tumour_types).get_indexer(pd.Index(rows["tumour_type"]))
    held_out = (rows["split"] == "validation").to_numpy()
    temperature = fit_temperature(logits[held_out], truth[held_out])
    probabilities = softmax(logits / temperature, axis=1)
    systems = find_organ_systems(tumour_types, merged)
    unlike = rows.index.isin(novelty["unlike"])
    facts = judge_probabilities(
        logits, temperature, truth, held_out, unlike, evaluation.answered_accuracy, systems
    )
    facts |= {name: fact for name, fact in novelty.items() if name != "unlike"}
    scores = score_subsets(rows, probabilities, truth, evaluation)
    counts = confusion(probabilities[~held_out], truth[~held_out])
    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(folder / "predictions.tsv", tabulate_predictions(rows, probabilities, tumour_types))
    write_json(folder / "probabilities.json", facts)
    write_json(folder / "metrics.json", scores | {"probabilities": flatten_facts(facts)})
    write_table(folder / "confusion.tsv", pd.DataFrame(counts, index=tumour_types, columns=tumour_types))
    write_figure(folder / "confusion.png", stamp(draw_confusion(counts, tumour_types), **marks))
    by_type = per_type(probabilities[~held_out], truth[~held_out], tumour_types)
    write_table(folder / "per_type.tsv", by_type, index=False)


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
    """A model that was fitted on training samples, with what was chosen for it."""

    # Hyper-parameters, or a network's depth and whatever else its search chose.
    choice: Mapping[str, Any]
    # Expression of shape (n_samples, n_genes), in the unit and with all genes of the cohort, to
    # probabilities of shape (n_samples, n_types).
    predict: Callable[[np.ndarray], np.ndarray]

    def score(self, cohort: Cohort, tumour_types: list[str]) -> dict[str, float]:
        """Score the model on a cohort's samples, with `metrics.score`."""
        return score(self.predict(cohort.expression), _number_types(cohort, tumour_types))


def _number_types(cohort: Cohort, tumour_types: list[str]) -> np.ndarray:
    """Return the position of every sample's type among these."""
    return pd.Index(tumour_types).get_indexer(pd.Index(cohort.samples["tumour_type"]))


class SplitFitter:
    """Fits models on the training and validation samples of one split, in a folder of its own.

    Test samples are never held here nor written to the folder, so nothing that is fitted can see them.

    Parameters
    ----------
    cohort : Cohort
        With all its samples.
    split : pandas.Series of length n_samples
        As `split_by_patient` gives it.
    recipe : Recipe
        How everything is fitted.
    lists : pathlib.Path
        Folder of the list of genes to choose from, and of the layout method's gene sets.
    folder : pathlib.Path
        Where a split of exactly these facts is prepared, and found again after a kill.
    cache_gigabytes : float
        Room that frozen activations may take.
    """

    def __init__(
        self,
        cohort: Cohort,
        split: pd.Series,
        recipe: Recipe,
        *,
        lists: Path,
        folder: Path,
        cache_gigabytes: float,
    ) -> None:
        known = (split != "test").to_numpy()
        self.known, self.split = cohort.take(known), split[known]
        self.recipe, self.folder, self.cache_gigabytes = recipe, folder, cache_gigabytes
        if not (folder / "layout").exists():
            self._lay_out(lists)
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
        return fitted.score(self._validation, self.tumour_types)

    @property
    def _validation(self) -> Cohort:
        return self.known.take((self.split == "validation").to_numpy())

    def _lay_out(self, lists: Path) -> None:
        given, chooser = self.recipe.layout, self.recipe.expression
        known, _ = keep_listed(self.known, chooser.genes, lists)
        training = to_log2(known.expression[(self.split == "train").to_numpy()], known.unit)
        options = read_options(given, lists)
        laid, scale, chosen = lay_out(training, known.genes, chooser, given, options)
        about = {"unit": known.unit, "cohort": known.name, "synthetic": known.synthetic}
        write_layout(self.folder / "layout", laid, scale, known.genes.iloc[chosen], about)

    def _paint(self) -> None:
        write_split(self.folder / "split.tsv", self.known, self.split)
        with write_whole(self.folder / "images") as partial:
            partial.mkdir()
            rows = self.known.samples.assign(split=self.split)
            subsets = ("train", "validation")
            write_images(partial, self.known, rows, self.layout, self.scale, subsets=subsets)

    def fit_baseline(self, name: str) -> Fitted:
        """Fit a baseline model on the genes that are painted."""
        genes, known, seed = self.genes, self.known, self.recipe.baselines.seed
        painted = known.take(genes=genes)
        subsets = (LabelledRows.take(painted, self.split, subset) for subset in ("train", "validation"))
        baseline = fit_baseline(name, *subsets, n_types=len(self.tumour_types), seed=seed)
        return Fitted(
            baseline.choice,
            lambda expression: baseline.predict_proba(
                to_log2(np.ascontiguousarray(expression[:, genes]), known.unit)
            ),
        )

    def fit_network(self, backbone: str, on_trial: Callable[[dict[str, Any]], object]) -> Fitted:
        """Search a backbone's depth, train at it and stitch the whole; `on_trial` is given finished trials.

        The network takes expression, and has the temperature that `evaluate` would give it.
        """
        if not (self.folder / "images").exists():
            self._paint()
        recipe, folder = self.recipe, self.folder
        # A cache apart from the first split's: these activations are needed once, and would push others out.
        workspace = Workspace(
            split=folder / "split.tsv",
            layout=folder / "layout",
            images=folder / "images",
            cache=folder / backbone,
            cache_gigabytes=self.cache_gigabytes,
        )
        tuner = open_tuner(backbone, recipe.weights, recipe.network, workspace)
        planned = plan_search(tuner, recipe.training, recipe.search)
        trials = search_depth(
            planned,
            recipe.search,
            lambda *given: planned.run_trial(*given, checkpoints=workspace.checkpoints),
            workspace.name_storage(),
            on_trial=on_trial,
        )
        best = find_best_trial(trials, recipe.search.objective)
        tuned = train_best(tuner, best, recipe.training, recipe.network, workspace.checkpoints)
        whole = tuner.assemble(tuned)

        def predict(expression: np.ndarray) -> np.ndarray:
            return predict_logits(whole, expression[:, self.genes], np.arange(len(expression)))

        held_out = self._validation
        types = _number_types(held_out, self.tumour_types)
        temperature = fit_temperature(predict(held_out.expression), types)
        return Fitted(
            {**best["params"], "temperature": temperature},
            lambda expression: softmax(predict(expression) / temperature, axis=1),
        )


def digest_pipeline(layout_method: str, *, networks: bool) -> str:
    """Digest the code that networks, or baseline models, depend on, as 32 hexadecimal digits.

    Of the layout methods, only the one that is named counts.
    """
    others = ("evaluation.baselines",) if networks else ("training", "network")
    return digest_code("pipeline:SplitFitter", without=others, chosen=(("painting.layouts", layout_method),))
