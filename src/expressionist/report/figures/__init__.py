"""Arrays and tables in, matplotlib Figures out: one style, safe for colour-blind readers, no global state.

Every function returns a `matplotlib.figure.Figure` of its own. Nothing here knows pyplot, files or screens.
"""

from expressionist.report.figures.attributions import (
    draw_attribution,
    draw_deltas,
    draw_recovery_controls,
    draw_recovery_map,
    draw_top_genes,
)
from expressionist.report.figures.drawing import DPI, PADDING, stamp
from expressionist.report.figures.images import (
    draw_chromosomes,
    draw_clusters,
    draw_crowding,
    draw_differences,
    draw_markers,
    draw_preview,
)
from expressionist.report.figures.learning import draw_depths, draw_search, draw_training
from expressionist.report.figures.probabilities import draw_coverage, draw_flagged, draw_reliability
from expressionist.report.figures.quality import draw_components, draw_kept, draw_library_sizes, draw_missing
from expressionist.report.figures.scores import (
    draw_confusion,
    draw_forest,
    draw_recalls,
    draw_samples,
)

__all__ = [
    "DPI",
    "PADDING",
    "draw_attribution",
    "draw_chromosomes",
    "draw_clusters",
    "draw_components",
    "draw_confusion",
    "draw_coverage",
    "draw_crowding",
    "draw_deltas",
    "draw_depths",
    "draw_differences",
    "draw_flagged",
    "draw_forest",
    "draw_kept",
    "draw_library_sizes",
    "draw_markers",
    "draw_missing",
    "draw_preview",
    "draw_recalls",
    "draw_recovery_controls",
    "draw_recovery_map",
    "draw_reliability",
    "draw_samples",
    "draw_search",
    "draw_top_genes",
    "draw_training",
    "stamp",
]
