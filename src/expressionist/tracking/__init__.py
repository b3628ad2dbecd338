"""Tracking: MLflow shows what was done, keeps models, promotes and serves them."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.tracking.gate import Waivers
    from expressionist.tracking.publishing import (
        flatten_scores,
        publish_baseline,
        publish_search,
        publish_training,
        publish_trial,
        read_provenance,
    )
    from expressionist.tracking.registry import list_versions, predict_with, promote, register_version
    from expressionist.tracking.runs import Dataset, add_metrics
    from expressionist.tracking.serving import NOVELTY_FILE, Served, write_served
    from expressionist.tracking.store import Experiment, open_experiment, open_store
else:
    __getattr__ = lend(__name__, __file__)
