"""Explanations: which genes speak for a tumour type, and how well that agrees with what is known."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.explain.integrated_gradients import Attribution, IntegratedGradients, shap_values
    from expressionist.explain.markers import (
        fold_change,
        match_markers,
        matched_by,
        recovery,
        recovery_matrix,
    )
else:
    __getattr__ = lend(__name__, __file__)
