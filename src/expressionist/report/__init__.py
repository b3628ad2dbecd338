"""The report: tables and figures of one run → one self-contained HTML page."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.report.attributions import describe_attributions, describe_cross_check, state_limits
    from expressionist.report.cohort import describe_cohort
    from expressionist.report.comparison import declare_verdict, describe_comparison
    from expressionist.report.confusions import describe_errors
    from expressionist.report.content import Part, ReportContent, TypePart
    from expressionist.report.figures import draw_samples
    from expressionist.report.figures.drawing import stamp, write_figure
    from expressionist.report.figures.images import draw_differences, draw_preview
    from expressionist.report.figures.scores import draw_confusion, draw_forest
    from expressionist.report.images import describe_images
    from expressionist.report.marks import Marks
    from expressionist.report.page import build_report
    from expressionist.report.probabilities import describe_probabilities
    from expressionist.report.quality import describe_quality
    from expressionist.report.run import describe_run
    from expressionist.report.search import describe_search
    from expressionist.report.training import describe_training
    from expressionist.report.tumour_types import describe_types
else:
    __getattr__ = lend(__name__, __file__)
