"""Explanations: which genes speak for a tumour type, and how well that agrees with what is known."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.explain.agreement import compare_rankings
    from expressionist.explain.explanation import Explained, explain_network
    from expressionist.explain.markers import match_markers, matched_by
    from expressionist.explain.rankings import TESTED
    from expressionist.explain.samples import SampleExplainer, list_top_genes
    from expressionist.explain.truth import average_over_types
else:
    __getattr__ = lend(__name__, __file__)
