"""The chapter on attributions says what could not be tested."""

from tests.report.made_up import make_explanation, make_gaps, make_recovery, make_run

from expressionist.report.chapters import attributions
from expressionist.report.chapters.recovery import TESTED


def test_without_markers_there_is_a_sentence_instead_of_a_figure() -> None:
    nothing = make_recovery(**{TESTED: 1}).iloc[:0]
    explanation = make_explanation(markers_matched_by="nothing", complete=True)
    part = attributions.describe(make_run(explanation=explanation, gaps=make_gaps(), recovery=nothing))
    assert len(part.pictures) == 1
    assert any("cannot be tested here" in sentence for sentence in part.sentences)
    assert any("complete as asked" in sentence for sentence in part.sentences)
