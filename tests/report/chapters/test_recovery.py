"""Whether attributions find markers is judged by the numbers, beside the controls."""

import pytest
from tests.report.made_up import make_recovery

from expressionist.report.chapters.recovery import TESTED, judge_recovery


@pytest.mark.parametrize(
    ("control", "outcome"),
    [(1, "finds more than"), (5, "cannot be told apart from"), (9, "finds fewer than")],
)
def test_controls_are_judged_by_the_numbers(control: int, outcome: str) -> None:
    sentences = judge_recovery(make_recovery(**{TESTED: 5, "fold_change": control}))
    assert "finds 40 of 80 markers; 1.6 are expected by chance. In 8 types" in sentences[0]
    assert f"It {outcome} plain fold change ({8 * control} of 80)" in sentences[1]
