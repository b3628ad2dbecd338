"""The report: what a run's stages wrote → one self-contained HTML page, and the figures that stages draw."""

from typing import TYPE_CHECKING

from expressionist.surface import lend

if TYPE_CHECKING:
    from expressionist.report.drift_page import build_drift_page, tell_drift
    from expressionist.report.figures.drawing import stamp, write_figure
    from expressionist.report.figures.images import draw_differences, draw_preview
    from expressionist.report.figures.scores import draw_confusion, draw_forest
    from expressionist.report.finished_run import FinishedRun
    from expressionist.report.page import state_registration
    from expressionist.report.quality_page import build_quality_page
    from expressionist.report.run_page import build_report
    from expressionist.report.sample_page import ExplainedSample, build_sample_page
    from expressionist.report.validation_page import FinishedValidation, build_validation_page
else:
    __getattr__ = lend(__name__, __file__)
