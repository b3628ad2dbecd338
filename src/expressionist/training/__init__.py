"""Training: the frozen prefix is computed once, the tail is trained, and its depth is searched for."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.training.activation_cache import digest
    from expressionist.training.depth_search import DepthSearch, apply_trial, plan_search
    from expressionist.training.finetuner import FineTuned, FineTuner, open_tuner
    from expressionist.training.loop import Epoch
    from expressionist.training.search import (
        Outcome,
        Train,
        compare_trials,
        find_best_trial,
        join_search,
        run_search,
    )
    from expressionist.training.workspace import Workspace
else:
    __getattr__ = lend(__name__, __file__)
