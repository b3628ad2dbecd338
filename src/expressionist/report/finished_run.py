"""A finished run, as read from what its stages wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from expressionist.painting import Layout
from expressionist.params import AttributionParams, EvaluationParams
from expressionist.report.content import Marks, Picture

_Facts = Mapping[str, Any]


@dataclass(frozen=True)
class FinishedRun:
    """What the report shows, in the order in which it was made.

    Parameters
    ----------
    backbones : sequence of str
        The networks compared.
    attribution, evaluation : AttributionParams, EvaluationParams
        Sections of params.yaml.
    quality : mapping
        quality.json of the cohort.
    split : pandas.DataFrame of length n_samples
        Columns ``patient``, ``tumour_type``, ``split``; indexed by sample.
    layout, genes, about : Layout, pandas.DataFrame of length n_genes, mapping
        Gene → pixel, the gene table in the same order, and layout.json.
    preview, differences : bytes
        PNGs of the sheets of mean images and of their differences.
    searches, trainings : mapping of str to mapping
        Backbone → its search JSON; backbone → its training.json.
    baselines : mapping
        baselines.json: baseline model → what was chosen for it on validation samples, and seconds.
    comparison, spread : mapping
        comparison.json, and spread.json, which is empty where the patients were split only once.
    refit : mapping
        refit.json; empty where the winner is registered as it was trained.
    picture, ablation : mapping, pandas.DataFrame
        ablation.json, and ablation.tsv: a row per variant of the winner and subset.
    scores : pandas.DataFrame of length n_models
        comparison.tsv, indexed by model.
    splits : pandas.DataFrame
        splits.tsv: the scores of every model on every split.
    confusion : pandas.DataFrame of shape (n_types, n_types)
        The winning network's test samples, true types down and predicted types across.
    per_type : pandas.DataFrame of length n_types
        Its columns ``type``, ``n_samples``, ``precision``, ``recall``, ``f1``, on test samples.
    probabilities : mapping
        Its probabilities.json.
    explanation : mapping
        explanation.json.
    gaps : pandas.DataFrame
        Columns ``tumour_type``, ``rise``, ``delta``, ``relative_gap``, ``steps`` and the sum of the
        attributions through each branch, in its name; a row per test sample explained, indexed by sample.
    types : pandas.DataFrame
        types.tsv: how many top genes of every type's ranking others share.
    faithfulness, randomisation : pandas.DataFrame
        As of `average_curves` and `randomise_down`.
    siblings, errors : pandas.DataFrame
        As of `tell_apart` and `explain_errors`, with the types' names; no rows where nothing was confused.
    recovery : pandas.DataFrame
        Columns ``tumour_type``, ``ranking``, ``n_top``, ``n_markers``, ``n_found``, ``expected``,
        ``p_value``; no row where no marker is among the genes.
    recovery_matrix : pandas.DataFrame
        Columns ``type``, ``markers_of``, ``n_markers``, ``n_found``; likewise.
    truth : pandas.DataFrame or None
        As of `judge_truth`; None where no simulator knows the truth.
    top_genes : pandas.DataFrame
        Columns ``tumour_type``, ``symbol``, ``gene``, ``speaks_by_being``, ``score`` and what else the table
        shows.
    arrays : mapping of str to numpy.ndarray
        ``attribution`` and ``expression`` of shape (n_types, n_genes), means over the training samples
        ranked, and ``n_samples`` (n_types,); types as in `explanation`.
    cross_check : pandas.DataFrame
        Columns ``sample_position`` (row of `split`), ``correlation``, ``n_top``, ``n_shared``.
    pathways, gene_sets : pandas.DataFrame or None
        As of `enrich` and `locate_sets`; None where no gene sets were given.
    commit, versions, model_digest : str, mapping of str to str, str
        The code that put the page together, the packages' versions, and what dvc.lock has for the winner's
        model.
    files : mapping of str to sequence of str
        Section of the page → files that its tables and figures come from.
    """

    backbones: Sequence[str]
    attribution: AttributionParams
    evaluation: EvaluationParams
    quality: _Facts
    split: pd.DataFrame
    layout: Layout
    genes: pd.DataFrame
    about: _Facts
    preview: bytes
    differences: bytes
    searches: Mapping[str, _Facts]
    trainings: Mapping[str, _Facts]
    baselines: _Facts
    comparison: _Facts
    spread: _Facts
    refit: _Facts
    picture: _Facts
    ablation: pd.DataFrame
    scores: pd.DataFrame
    splits: pd.DataFrame
    confusion: pd.DataFrame
    per_type: pd.DataFrame
    probabilities: _Facts
    explanation: _Facts
    gaps: pd.DataFrame
    types: pd.DataFrame
    faithfulness: pd.DataFrame
    randomisation: pd.DataFrame
    siblings: pd.DataFrame
    errors: pd.DataFrame
    recovery: pd.DataFrame
    recovery_matrix: pd.DataFrame
    truth: pd.DataFrame | None
    top_genes: pd.DataFrame
    arrays: Mapping[str, np.ndarray]
    cross_check: pd.DataFrame
    pathways: pd.DataFrame | None
    gene_sets: pd.DataFrame | None
    commit: str
    versions: Mapping[str, str]
    model_digest: str
    files: Mapping[str, Sequence[str]]

    @property
    def winner(self) -> str:
        """The network that was chosen on validation samples."""
        return str(self.comparison["winner"])

    @property
    def marks(self) -> Marks:
        """What figures must say; backbones of random weights in their order."""
        random = [backbone for backbone in self.backbones if backbone in self.comparison["random_weights"]]
        return Marks(self.comparison["synthetic"], random)

    def show_winners(self, figure: Figure, alt: str, caption: str = "") -> Picture:
        """Turn a figure of the winner's results into a picture of the page."""
        return self.marks.show(figure, alt, caption, backbones=[self.winner])
