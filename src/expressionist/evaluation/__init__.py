"""Evaluation: what predictions are worth, beside models without pictures."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.evaluation.baselines import Fold, fit_opponent
    from expressionist.evaluation.calibration import (
        bin_reliability,
        choose_threshold,
        fit_temperature,
        trace_coverage,
    )
    from expressionist.evaluation.metrics import bootstrap, confusion, mcnemar, per_type, score
    from expressionist.evaluation.novelty import Novelty
    from expressionist.evaluation.predictions import read_predictions, tabulate_predictions, write_predictions
    from expressionist.evaluation.spreads import METRICS, SPREAD, choose_rivals, summarise
else:
    __getattr__ = lend(__name__, __file__)
