"""Tracking: MLflow shows what was done, keeps models, promotes and serves them."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.tracking.card import CARD_FILE, write_card
    from expressionist.tracking.catalogue import Version
    from expressionist.tracking.explaining import (
        explain_predictions,
        lengthen,
        make_explainer,
        read_ranking,
        tabulate_genes,
    )
    from expressionist.tracking.exporting import export_version
    from expressionist.tracking.gate import Waivers
    from expressionist.tracking.live import Live, LiveRun, open_live
    from expressionist.tracking.model_folder import (
        ANSWERS_FILE,
        DIGESTS_FILE,
        FOOTPRINT_FILE,
        LINEAR_FILE,
        NOVELTY_FILE,
        seal,
    )
    from expressionist.tracking.prediction_log import log_once, name_logged, read_log
    from expressionist.tracking.promotion import list_history, move_back, promote
    from expressionist.tracking.provenance import name_user, read_environment, read_provenance
    from expressionist.tracking.publishing import (
        begin_search,
        begin_training,
        begin_trial,
        flatten_scores,
        publish_baseline,
        publish_search,
        publish_training,
        publish_trial,
    )
    from expressionist.tracking.registry import (
        PREDICTIONS,
        find_model,
        find_version,
        flatten_explanation,
        hang_page,
        list_versions,
        register_version,
    )
    from expressionist.tracking.runs import Dataset, add_metrics, kill_orphans
    from expressionist.tracking.serving import (
        Loaded,
        Served,
        find_profile,
        load_model,
        predict,
        prepare_table,
        read_served,
        state_scope,
        write_served,
    )
    from expressionist.tracking.store import Store, find_store, open_experiment, open_store
    from expressionist.tracking.validations import publish_validation
    from expressionist.tracking.verification import PRESENT, verify
else:
    __getattr__ = lend(__name__, __file__)
