"""The whole explanation of a network: samples, types, siblings, and the controls beside them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy.special import softmax

from expressionist.explain.controls import (
    choose_samples,
    choose_training,
    cross_check,
    randomise_down,
    summarise_gaps,
    tabulate_gaps,
)
from expressionist.explain.faithfulness import average_curves, replace_genes
from expressionist.explain.integrated_gradients import Attribution, IntegratedGradients
from expressionist.explain.markers import match_markers, matched_by
from expressionist.explain.pathways import enrich, locate_sets, match_sets
from expressionist.explain.rankings import (
    ABSENT,
    TESTED,
    compare_halves,
    count_shared,
    fold_change,
    mean_by_type,
    rank_types,
    t_statistic,
    tabulate_rankings,
)
from expressionist.explain.siblings import explain_errors, find_confused, tell_apart
from expressionist.explain.truth import judge_truth
from expressionist.network import logits_by_branch, logits_of_scaled
from expressionist.painting import Layout
from expressionist.params import AttributionParams, EvaluationParams

# Samples that controls take, about; pairs of types and errors that are explained; genes listed of them.
_N_PROBED, _N_PAIRS, _N_ERRORS, _N_LISTED = 30, 3, 20, 10

StartProgress = Callable[[str, int | None], Callable[[int], object]]


@dataclass(frozen=True)
class Explained:
    """What an explanation is made of.

    Parameters
    ----------
    rows : pandas.DataFrame of length n_samples
        The split table.
    predictions : pandas.DataFrame
        Test samples in the index, with ``tumour_type`` and ``predicted``.
    log2, scaled : numpy.ndarray of shape (n_samples, n_genes)
        Expression, genes in the order of the layout; scaled as the network paints it.
    types : numpy.ndarray of shape (n_samples,)
        Positions in `tumour_types`.
    tumour_types : list of str
        What the network's outputs stand for.
    reference : numpy.ndarray of shape (n_genes,)
        Mean of the training samples, scaled.
    genes : pandas.DataFrame of length n_genes
        Indexed by gene id, with ``symbol``.
    layout : Layout
        Gene → pixel.
    coefficients : numpy.ndarray of shape (n_genes, n_types), optional
        Of a logistic regression of log2 expression, to rank genes by beside the network.
    effect : numpy.ndarray of shape (n_types, n_genes), optional
        What a simulator knows: see `judge_truth`.
    gene_sets : mapping of str to iterable of str, optional
        Pathways to look for.
    merged : mapping of str to sequence of str, optional
        What merged types stand for.
    """

    rows: pd.DataFrame
    predictions: pd.DataFrame
    log2: np.ndarray
    scaled: np.ndarray
    types: np.ndarray
    tumour_types: list[str]
    reference: np.ndarray
    genes: pd.DataFrame
    layout: Layout
    coefficients: np.ndarray | None = None
    effect: np.ndarray | None = None
    gene_sets: Mapping[str, Any] | None = None
    merged: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def training(self) -> np.ndarray:
        """Positions of the training samples."""
        return np.flatnonzero(self.rows["split"] == "train")


@dataclass(frozen=True)
class Explanation:
    """Arrays of shape (n_types, n_genes) or (n_types,), tables and facts, by the names of their files."""

    arrays: dict[str, np.ndarray]
    tables: dict[str, pd.DataFrame]
    facts: dict[str, Any]


def explain_network(
    network: keras.Model,
    about: Explained,
    params: AttributionParams,
    evaluation: EvaluationParams,
    start_progress: StartProgress,
) -> Explanation:
    """Explain test samples, rank the genes of every type, and try what both are worth.

    Test samples that the network classifies correctly are explained from the training mean until complete.
    The rankings are of as many training samples of a type, from the mean of all types' means: from the
    training mean a frequent type would hardly differ. They take a sixth of the steps that an explanation
    begins with, as 18 of a type's first 20 genes are those of six times as many. `start_progress` is told
    what begins and how many points it takes, if that is known, and returns what is told of those done. The
    network, given whole, is as before in the end.
    """
    model = _Explainer(network, about, params, start_progress)
    rng = np.random.default_rng(params.seed)
    # First, as it may refuse.
    members = match_sets(about.gene_sets, about.genes) if about.gene_sets is not None else None
    tested = choose_samples(about.predictions, about.rows, params)
    drawn = choose_training(about.rows, params)
    found = model.complete(about.scaled[tested], about.reference, about.types[tested], "test samples")
    trained = model.rank(drawn, "training samples")
    held_out = model.rank(tested, "test samples, as the training samples")
    tables = {
        "samples": tabulate_gaps(found, about.rows.iloc[tested]).reset_index(names="sample"),
        "cross_check": cross_check(
            model.logits, about.scaled, about.training, tested, about.types, found.values, params.seed
        ),
        **_explain_siblings(model, drawn),
    }
    with _restored(network):
        probed = _draw_probed(trained.targets, rng)
        tables["randomisation"] = randomise_down(
            network,
            lambda: model.rank(drawn[probed], "randomised from the head down").found,
            _take(trained.found, probed),
            n_top=params.n_top,
            seed=params.seed,
        )
        untrained = model.rank(drawn, "untrained network")
    rankings = _rank(about, trained, held_out, untrained, rng)
    means = mean_by_type(trained.found.values, trained.targets, trained.n_types)
    tables["faithfulness"] = _replace(model, tested, found, means, rankings["fold_change"], evaluation)
    tables |= tabulate_rankings(
        rankings,
        trained.found.values,
        trained.targets,
        about.tumour_types,
        about.genes,
        about.layout,
        params.n_top,
        about.merged,
    )
    tables["types"] = _describe_types(about, params.n_top, trained, rankings, rng)
    tables |= _judge_known(about, rankings, members, np.unique(trained.targets))
    arrays = {
        **rankings,
        "attribution": means,
        "expression": mean_by_type(about.scaled[drawn], trained.targets, trained.n_types),
        "n_samples": np.bincount(trained.targets, minlength=trained.n_types),
    }
    facts = {
        "n_samples": len(tested),
        "n_training": len(drawn),
        "n_genes": len(about.genes),
        "markers_matched_by": matched_by(about.genes),
        "branches": _share_mass(found),
        **summarise_gaps(found, params),
    }
    return Explanation(arrays, tables, facts)


@dataclass(frozen=True)
class _Ranked:
    """Attributions that genes are ranked by; how far the samples lie above their reference; their types."""

    found: Attribution
    away: np.ndarray
    targets: np.ndarray
    n_types: int

    def score(self, values: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Score genes as `rank_types` does, by all branches or by what is given."""
        given = self.found.values if values is None else values
        return rank_types(given, self.away, self.targets, self.n_types)


class _Explainer:
    """One network, and the ways in which it is explained."""

    def __init__(
        self, network: keras.Model, about: Explained, params: AttributionParams, start_progress: StartProgress
    ) -> None:
        self.about, self.params, self.start_progress = about, params, start_progress
        self.logits = logits_of_scaled(network)
        # Traced once: random weights are assigned to the same variables.
        self.method = IntegratedGradients(logits_by_branch(network))
        training, n_types = about.training, len(about.tumour_types)
        self.means = mean_by_type(about.scaled[training], about.types[training], n_types)

    def complete(
        self, samples: np.ndarray, references: np.ndarray, targets: np.ndarray, description: str
    ) -> Attribution:
        """Explain samples until the attributions add up as asked."""
        return self.method.converge(
            samples,
            references,
            targets,
            n_steps=self.params.steps,
            max_steps=self.params.max_steps,
            median_gap=self.params.median_delta,
            p95_gap=self.params.p95_delta,
            on_progress=self.start_progress(description, None),
        )

    def estimate(
        self, samples: np.ndarray, references: np.ndarray, targets: np.ndarray, description: str
    ) -> Attribution:
        """Explain samples as exactly as a mean over some needs."""
        n_steps = max(1, self.params.steps // 6)
        on_progress = self.start_progress(description, len(samples) * n_steps)
        return self.method.explain(samples, references, targets, n_steps, on_progress=on_progress)

    def rank(self, rows: np.ndarray, description: str) -> _Ranked:
        """Explain samples from the mean of the types' means, each for its own type."""
        samples, targets = self.about.scaled[rows], self.about.types[rows]
        middle = np.nanmean(self.means, axis=0)
        found = self.estimate(samples, middle, targets, description)
        return _Ranked(found, samples - middle, targets, len(self.means))

    def predict(self, scaled: np.ndarray) -> np.ndarray:
        """Predict probabilities (n_samples, n_types) of scaled expression."""
        return np.asarray(softmax(self.logits.predict(scaled, batch_size=64, verbose=0), axis=1))


@contextmanager
def _restored(network: keras.Model) -> Iterator[None]:
    trained = network.get_weights()
    try:
        yield
    finally:
        network.set_weights(trained)


def _take(found: Attribution, rows: np.ndarray) -> Attribution:
    branches = {name: values[rows] for name, values in found.branches.items()}
    return Attribution(branches, found.rise[rows], found.n_steps[rows])


def _draw_probed(types: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw as many samples of every type as make up those that are wanted: positions in `types`."""
    there = np.unique(types)
    each = -(-_N_PROBED // len(there))
    return np.sort(np.concatenate([rng.permutation(np.flatnonzero(types == one))[:each] for one in there]))


def _rank(
    about: Explained, trained: _Ranked, held_out: _Ranked, untrained: _Ranked, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Rank the genes of every type by the network, by its branches, by controls and without it."""
    n_types, log2, types = trained.n_types, about.log2[about.training], about.types[about.training]
    high, low = trained.score()
    shuffled = rank_types(trained.found.values, trained.away, rng.permutation(trained.targets), n_types)
    rankings = {
        TESTED: high,
        ABSENT: low,
        **{name: trained.score(values)[0] for name, values in trained.found.branches.items()},
        "test_samples": held_out.score()[0],
        "random_weights": untrained.score()[0],
        "shuffled_types": shuffled[0],
        "fold_change": fold_change(log2, types, n_types=n_types),
        "t_statistic": t_statistic(log2, types, n_types=n_types),
    }
    if about.coefficients is not None:
        # By how much a logit rises with one standard deviation.
        rankings["logistic_regression"] = (about.coefficients * log2.std(axis=0)[:, None]).T
    return rankings


def _describe_types(
    about: Explained,
    n_top: int,
    trained: _Ranked,
    rankings: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Say of every type ranked how far its ranking holds."""
    there = np.unique(trained.targets)
    halves = compare_halves(trained.found.values, trained.away, trained.targets, trained.n_types, n_top, rng)
    others = {
        f"shared_{name}": count_shared(rankings[TESTED], rankings[name], n_top=n_top)[there]
        for name in ("test_samples", "random_weights", "fold_change")
    }
    return pd.DataFrame(
        {
            "tumour_type": [about.tumour_types[place] for place in there],
            "n_samples": np.bincount(trained.targets)[there],
            "n_top": min(n_top, len(about.genes)),
            "shared_halves": halves[there],
            **others,
        }
    )


def _share_mass(found: Attribution) -> dict[str, float]:
    """Give each branch's share of all that is attributed, for and against."""
    mass = {name: float(np.abs(values).sum(dtype=np.float64)) for name, values in found.branches.items()}
    return {name: value / sum(mass.values()) for name, value in mass.items()}


def _replace(
    model: _Explainer,
    tested: np.ndarray,
    found: Attribution,
    means: np.ndarray,
    change: np.ndarray,
    evaluation: EvaluationParams,
) -> pd.DataFrame:
    """Replace genes of some explained samples in the order of their explanation, and in other orders.

    `means` and `change` are attribution and fold change by type.
    """
    about = model.about
    rng = np.random.default_rng(model.params.seed)
    probed = _draw_probed(about.types[tested], rng)
    rows, targets = tested[probed], about.types[tested[probed]]
    others = [rng.choice(about.training[about.types[about.training] != target]) for target in targets]
    orders = {
        "own explanation": np.argsort(-found.values[probed], axis=1),
        "mean explanation of the type": np.argsort(-means, axis=1)[targets],
        "fold change": np.argsort(-np.abs(change), axis=1)[targets],
        "random genes": rng.permuted(np.tile(np.arange(about.scaled.shape[1]), (len(rows), 1)), axis=1),
    }
    on_progress = model.start_progress("genes replaced", None)
    curves = replace_genes(
        model.predict, about.scaled[rows], about.scaled[others], targets, orders, on_progress=on_progress
    )
    return average_curves(
        curves, n_resamples=evaluation.n_resamples, level=evaluation.level, seed=evaluation.seed
    )


def _explain_siblings(model: _Explainer, drawn: np.ndarray) -> dict[str, pd.DataFrame]:
    """Explain what tells the most confused types apart, and what pulled misclassified samples over."""
    about = model.about
    place = {name: number for number, name in enumerate(about.tumour_types)}
    confused = find_confused(about.predictions, _N_PAIRS)
    pairs = [(place[one], place[other]) for one, other in confused]
    apart = tell_apart(
        partial(model.estimate, description="siblings"),
        about.scaled[drawn],
        about.types[drawn],
        model.means,
        pairs,
        about.genes,
        _N_LISTED,
    )
    wrong = about.predictions[about.predictions["predicted"] != about.predictions["tumour_type"]].head(
        _N_ERRORS
    )
    targets = wrong[["predicted", "tumour_type"]].map(place.__getitem__).to_numpy(int).reshape(-1, 2)
    errors = explain_errors(
        partial(model.complete, description="errors"),
        about.scaled[about.rows.index.get_indexer(wrong.index)],
        [str(name) for name in wrong.index],
        targets,
        model.means,
        about.genes,
        _N_LISTED,
    )
    named = {number: name for name, number in place.items()}
    return {
        "siblings": apart.replace({"type": named, "rival": named}),
        "errors": errors.replace({"type": named, "predicted": named}),
    }


def _judge_known(
    about: Explained,
    rankings: Mapping[str, np.ndarray],
    members: Mapping[str, np.ndarray] | None,
    there: np.ndarray,
) -> dict[str, pd.DataFrame]:
    """Hold the rankings against what a simulator knows, and against pathways."""
    tables = {}
    if about.effect is not None:
        shown = {int(place): about.tumour_types[place] for place in there}
        judged = {name: scores for name, scores in rankings.items() if name != ABSENT}
        tables["truth"] = judge_truth(judged, about.effect, match_markers(about.genes), shown)
    if members is not None:
        # Genes that mark a type by being high above those that do by being low; others are 0.
        signed = np.maximum(rankings[TESTED], 0) - np.maximum(rankings[ABSENT], 0)
        tested = {TESTED: signed, **{name: rankings[name] for name in ("random_weights", "fold_change")}}
        log2, types = about.log2[about.training], about.types[about.training]
        found = enrich(tested, about.tumour_types, about.genes, members, log2, types)
        tables |= {
            "pathways": found,
            "gene_sets": locate_sets(members, about.layout, np.random.default_rng(0)),
        }
    return tables
