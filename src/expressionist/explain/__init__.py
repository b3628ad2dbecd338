"""Explanations: which genes speak for a tumour type, and how well that agrees with what is known."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.explain.controls import (
        attribute,
        choose_samples,
        cross_check,
        summarise_gaps,
        tabulate_gaps,
    )
    from expressionist.explain.markers import match_markers, matched_by
    from expressionist.explain.rankings import mean_by_type, rank_genes, tabulate_rankings
else:
    __getattr__ = lend(__name__, __file__)
