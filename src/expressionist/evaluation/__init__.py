"""Evaluation: what predictions are worth, beside models without pictures."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.evaluation.ablation import (
        PICTURE,
        REFERENCE,
        WHOLE,
        add_reference,
        judge_picture,
        score_variants,
        share_by_branch,
    )
    from expressionist.evaluation.baselines import LabelledRows, fit_baseline, refit_baseline
    from expressionist.evaluation.calibration import (
        fit_shares,
        fit_temperature,
        flatten_facts,
        format_threshold,
        judge_probabilities,
    )
    from expressionist.evaluation.comparison import CHOSEN_BY, SPREAD, compare_models, name_model
    from expressionist.evaluation.drift import OwnSamples, judge_drift
    from expressionist.evaluation.external import ExternalCohort, flatten_external, judge_external
    from expressionist.evaluation.footprint import Footprint, name_patients, place_samples
    from expressionist.evaluation.linear import LinearModel, pack_linear, unpack_linear
    from expressionist.evaluation.logistic import fit_logistic
    from expressionist.evaluation.metrics import METRICS, confusion, per_type, score, score_subsets
    from expressionist.evaluation.missing_genes import lose_genes
    from expressionist.evaluation.novelty import Novelty, doubt_novelty, judge_novelty
    from expressionist.evaluation.organ_systems import ABSTAIN, answer_by_organ, find_organ_systems
    from expressionist.evaluation.paired import compare_answers
    from expressionist.evaluation.predictions import read_predictions, tabulate_predictions, write_predictions
    from expressionist.evaluation.shift import LEAST_RANGE, align_ranks, tabulate_shift
else:
    __getattr__ = lend(__name__, __file__)
