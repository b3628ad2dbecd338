"""Arrays and tables in, matplotlib Figures out: one style, safe for colour-blind readers, no global state.

Every function returns a `matplotlib.figure.Figure` of its own. Nothing here knows pyplot, files or screens.
"""

from expressionist.figures.attributions import (
    draw_attribution,
    draw_deltas,
    draw_recovery_controls,
    draw_recovery_map,
    draw_top_genes,
)
from expressionist.figures.drawing import DPI, PADDING, stamp
from expressionist.figures.images import (
    draw_chromosomes,
    draw_clusters,
    draw_crowding,
    draw_differences,
    draw_markers,
    draw_preview,
)
from expressionist.figures.learning import draw_depths, draw_search, draw_training
from expressionist.figures.probabilities import draw_coverage, draw_flagged, draw_reliability
from expressionist.figures.quality import draw_components, draw_kept, draw_library_sizes, draw_missing
from expressionist.figures.scores import (
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
