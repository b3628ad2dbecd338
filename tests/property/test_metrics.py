import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressionist.metrics import bootstrap, confusion, mcnemar, score

awkward = settings(deadline=None)


@st.composite
def predictions(draw):
    n_samples, n_types = draw(st.integers(1, 40)), draw(st.integers(1, 7))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    probabilities = rng.dirichlet(np.full(n_types, draw(st.sampled_from([0.1, 1.0, 10.0]))), size=n_samples)
    return probabilities, rng.integers(n_types, size=n_samples)


@awkward
@given(predictions())
def test_scores_lie_in_their_ranges(made):
    scores = score(*made)
    assert scores.pop("log_loss") >= 0
    assert all(-1e-12 <= value <= 1 + 1e-12 for value in scores.values())


@awkward
@given(predictions(), st.randoms(use_true_random=False))
def test_neither_the_order_of_samples_nor_of_types_matters(made, random):
    probabilities, truth = made
    rows, columns = list(range(len(truth))), list(range(probabilities.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = score(probabilities[rows][:, columns], np.argsort(columns)[truth[rows]])
    assert shuffled == pytest.approx(score(probabilities, truth))


@awkward
@given(predictions())
def test_every_sample_twice_scores_the_same(made):
    probabilities, truth = made
    assert score(np.tile(probabilities, (2, 1)), np.tile(truth, 2)) == pytest.approx(
        score(probabilities, truth)
    )


@awkward
@given(predictions())
def test_confusion_counts_every_sample_once(made):
    counts = confusion(*made)
    assert counts.sum() == len(made[1])
    assert np.trace(counts) / counts.sum() == pytest.approx(score(*made)["accuracy"])


@awkward
@given(predictions(), st.integers(1, 20), st.integers(0, 99))
def test_intervals_are_ordered_and_nested(made, n_resamples, seed):
    narrow, wide = (
        bootstrap(*made, n_resamples=n_resamples, level=level, rng=np.random.default_rng(seed))
        for level in (0.5, 0.9)
    )
    for name, (low, high) in narrow.items():
        assert wide[name][0] - 1e-12 <= low <= high <= wide[name][1] + 1e-12


@awkward
@given(predictions(), st.integers(0, 99))
def test_a_patient_per_sample_is_no_grouping(made, seed):
    truth = made[1]
    every = {"n_resamples": 5, "level": 0.9}
    alone = bootstrap(*made, **every, rng=np.random.default_rng(seed), patients=np.arange(len(truth)))
    assert alone == bootstrap(*made, **every, rng=np.random.default_rng(seed))


@awkward
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=50))
def test_mcnemar_is_symmetric(pairs):
    a, b = np.array(pairs).T
    one, other = mcnemar(a, b), mcnemar(b, a)
    assert (one.only_a, one.only_b) == (other.only_b, other.only_a)
    assert one.p_value == pytest.approx(other.p_value)
    assert 0 < one.p_value <= 1
