"""Two models on the same samples: the lead as defined, its interval, and what cannot be compared."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from expressionist.errors import Refusal
from expressionist.evaluation.paired import compare_answers

TYPES = np.array(["ACC", "BLCA", "BRCA", "NA"])


def make_answers(n_samples: int, share_right: float, seed: int) -> pd.DataFrame:
    """Make answers of one truth; the seed is that of what was answered."""
    truth = np.random.default_rng(0).choice(TYPES, n_samples)
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.random(n_samples) < share_right, truth, rng.choice(TYPES, n_samples))
    names = [f"s{number}" for number in range(n_samples)]
    facts = {"patient": [f"p{number // 2}" for number in range(n_samples)]}
    return pd.DataFrame({**facts, "tumour_type": truth, "predicted": predicted}, index=names)


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[float, float, float]:
    return compare_answers(ours, theirs, level=0.95, n_resamples=500, rng=np.random.default_rng(1))


def score(answers: pd.DataFrame) -> float:
    return f1_score(answers["tumour_type"], answers["predicted"], average="macro")


def test_the_lead_is_that_of_the_scores_in_any_order() -> None:
    ours, theirs = make_answers(200, 0.9, 1), make_answers(200, 0.5, 2)
    lead, low, high = compare(ours, theirs)
    assert lead == pytest.approx(score(ours) - score(theirs))
    assert 0 < low < lead < high
    assert compare(ours, theirs.sample(frac=1, random_state=3)) == (lead, low, high)


def test_a_model_has_no_lead_over_itself_and_doubt_is_less_than_unpaired() -> None:
    ours = make_answers(300, 0.7, 1)
    assert compare(ours, ours) == (0, 0, 0)
    # One answer is another: whatever is drawn, nothing else can tell them apart.
    other = ours.copy()
    other.iloc[0, 2] = next(name for name in TYPES if name != ours["predicted"].iloc[0])
    lead, low, high = compare(ours, other)
    assert high - low < 0.03
    assert low <= lead <= high


def test_a_drawn_resample_is_scored_as_that_resample() -> None:
    ours, theirs = make_answers(40, 0.8, 1), make_answers(40, 0.6, 2)
    drawn = np.random.default_rng(5).multinomial(20, np.full(20, 1 / 20), size=1)[0]
    times = np.repeat(drawn, 2)
    taken = [answers.loc[answers.index.repeat(times)] for answers in (ours, theirs)]
    kept = sorted(set(taken[0]["tumour_type"]))
    one, other = (
        f1_score(each["tumour_type"], each["predicted"], labels=kept, average="macro") for each in taken
    )
    _, low, high = compare_answers(ours, theirs, level=0.95, n_resamples=1, rng=np.random.default_rng(5))
    assert low == high == pytest.approx(one - other)


@pytest.mark.parametrize(
    "change", [lambda table: table.iloc[1:], lambda table: table.assign(tumour_type="ACC")]
)
def test_other_samples_or_types_are_refused(change) -> None:
    answers = make_answers(20, 0.5, 1)
    with pytest.raises(Refusal, match="must be compared on the same samples, but got 20"):
        compare(answers, change(answers))
