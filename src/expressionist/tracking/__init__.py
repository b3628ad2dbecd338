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
    from expressionist.tracking.publishing import (
        flatten_scores,
        publish_baseline,
        publish_search,
        publish_training,
        publish_trial,
        read_provenance,
    )
    from expressionist.tracking.registry import (
        PREDICTIONS,
        find_version,
        flatten_explanation,
        hang_page,
        list_history,
        list_versions,
        move_back,
        promote,
        register_version,
    )
    from expressionist.tracking.runs import Dataset, add_metrics
    from expressionist.tracking.serving import (
        ANSWERS_FILE,
        FOOTPRINT_FILE,
        LINEAR_FILE,
        NOVELTY_FILE,
        Loaded,
        Served,
        find_profile,
        load_model,
        predict,
        prepare_table,
        seal,
        write_served,
    )
    from expressionist.tracking.store import Store, find_store, open_experiment, open_store
    from expressionist.tracking.validations import publish_validation
else:
    __getattr__ = lend(__name__, __file__)
