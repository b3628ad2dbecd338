"""Whether attributions find markers is judged by the numbers, beside the controls."""

import pytest
from tests.report.made_up import make_recovery

from expressionist.report.chapters.recovery import TESTED, judge_recovery


@pytest.mark.parametrize(
    ("control", "outcome", "told"),
    [
        (1, "finds more than", "8 types, fewer in 0 (sign test p = 0.0078)."),
        (5, "cannot be told apart from", "0 types, fewer in 0 (sign test p = 1)."),
        (9, "finds fewer than", "0 types, fewer in 8 (sign test p = 0.0078)."),
    ],
)
def test_controls_are_judged_by_the_numbers(control: int, outcome: str, told: str) -> None:
    sentences = judge_recovery(make_recovery(**{TESTED: 5, "fold_change": control}))
    assert "finds 40 of 80 markers; 1.6 are expected by chance. In 8 types" in sentences[0]
    assert sentences[1] == f"It {outcome} plain fold change ({8 * control} of 80): more in {told}"
