from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import Cohort
from expressionist.evaluation import novelty
from expressionist.evaluation.novelty import Novelty, judge_novelty
from expressionist.params.sections import EvaluationParams

N_GENES, N_TYPES = 120, 4
N_COHORT_GENES = 30
EVALUATION = EvaluationParams(n_resamples=1, level=0.95, answered_accuracy=0.9, false_alarms=0.05, seed=1)


def draw(n_samples, seed=0, *, shift=0.0):
    """Types with programmes of their own and variation that they share; `shift` moves ten genes."""
    rng = np.random.default_rng(seed)
    programmes = np.random.default_rng(99).gamma(2.0, 2.0, (N_TYPES, N_GENES))
    shared = np.random.default_rng(98).normal(size=(5, N_GENES))
    types = rng.integers(0, N_TYPES, n_samples)
    log2 = (
        programmes[types]
        + rng.normal(size=(n_samples, 5)) @ shared
        + rng.normal(size=(n_samples, N_GENES)) / 2
    )
    log2[:, :10] += shift
    return np.maximum(log2, 0).astype(np.float32), types


def fit(*, normals=None, false_alarms=0.01, n_validation=400):
    log2, types = draw(600)
    novelty = Novelty.fit(log2, types, normals, rng=np.random.default_rng(0))
    return novelty.calibrate(draw(n_validation, 1)[0], false_alarms=false_alarms)


@pytest.mark.parametrize("false_alarms", [0.01, 0.05, 0.2])
def test_no_more_validation_samples_are_flagged_than_allowed(false_alarms):
    novelty = fit(false_alarms=false_alarms)
    share = (novelty.score(draw(400, 1)[0]) > 1).mean()
    assert false_alarms / 2 < share <= false_alarms


def test_few_validation_samples_flag_none_of_themselves():
    novelty = fit(n_validation=20)
    assert 0.9998 < novelty.score(draw(20, 1)[0]).max() <= 1


def test_broken_input_is_flagged():
    novelty, (log2, _) = fit(), draw(200, 2)
    assert (novelty.score(log2) > 1).mean() < 0.05
    shuffled = np.random.default_rng(0).permuted(log2, axis=1)
    for broken in (shuffled, np.exp2(log2) - 1, log2 / 10, np.zeros_like(log2)):
        assert (novelty.score(broken) > 1).all()


def test_what_was_shown_as_normal_is_flagged_and_is_not_without():
    normals, hidden = draw(100, 3, shift=2.0)[0], draw(100, 4, shift=2.0)[0]
    assert (fit(normals=normals).score(hidden) > 1).mean() > 0.95
    assert (fit().score(hidden) > 1).mean() < 0.5


def test_a_sample_scores_the_same_alone_and_among_others():
    novelty, (log2, _) = fit(), draw(9, 5)
    alone = np.concatenate([novelty.score(log2[row : row + 1]) for row in range(9)])
    np.testing.assert_allclose(novelty.score(log2), alone, rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_arrays_which_are_all_there_is():
    one, other = fit(), fit()
    assert set(one.to_arrays()) == {field.name for field in fields(Novelty)}
    for name, array in one.to_arrays().items():
        np.testing.assert_array_equal(array, other.to_arrays()[name])
    log2, _ = draw(9, 5)
    np.testing.assert_array_equal(Novelty(**one.to_arrays()).score(log2), one.score(log2))


@pytest.mark.parametrize(("n_samples", "n_genes"), [(6, 40), (30, 3), (4, 1)])
def test_small_cohorts_can_be_scored(n_samples, n_genes):
    rng = np.random.default_rng(0)
    log2 = rng.gamma(2, size=(n_samples, n_genes)).astype(np.float32)
    novelty = Novelty.fit(log2, np.arange(n_samples) % 2, None, rng=rng).calibrate(log2, false_alarms=0.01)
    assert np.isfinite(novelty.score(log2)).all()


def test_a_gene_that_is_constant_does_not_break_the_score():
    log2, types = draw(300)
    log2[:, 3] = 5.0
    novelty = Novelty.fit(log2, types, None, rng=np.random.default_rng(0)).calibrate(log2, false_alarms=0.05)
    assert np.isfinite(novelty.score(log2)).all()


@pytest.mark.parametrize("n_samples", [30, 31])
def test_ridge_regression_is_that_of_its_normal_equations_with_more_or_fewer_samples_than_features(n_samples):
    rng = np.random.default_rng(2)
    features, groups = rng.normal(size=(n_samples, 31)).astype(np.float32), np.arange(n_samples) % 3
    wanted = np.eye(3)[groups]
    found = novelty._regress(features, wanted, groups, power=0.5)
    weights = np.bincount(groups)[groups] ** -0.5
    weights *= n_samples / weights.sum()
    exact = features.astype(np.float64)
    normal = exact.T @ (weights[:, None] * exact) + novelty._PENALTY * n_samples / 31 * np.eye(31)
    np.testing.assert_allclose(
        found, np.linalg.solve(normal, exact.T @ (weights[:, None] * wanted)), atol=1e-4
    )


# Which samples the score is fitted on, and which it judges.


def make_cohort(n_samples, *, shift, seed, prefix):
    rng = np.random.default_rng(seed)
    expression = (2 ** rng.normal(6 + shift, 1, (n_samples, N_COHORT_GENES))).astype(np.float32)
    names = [f"{prefix}{k}" for k in range(n_samples)]
    samples = pd.DataFrame({"patient": [f"p{k}" for k in range(n_samples)], "tumour_type": "T"}, index=names)
    genes = pd.DataFrame(
        {"symbol": [f"G{k}" for k in range(N_COHORT_GENES)]}, index=[f"g{k}" for k in range(N_COHORT_GENES)]
    )
    return Cohort("toy", expression, samples, genes, "RPM")


@pytest.fixture
def tumours():
    return make_cohort(200, shift=0, seed=0, prefix="t")


@pytest.fixture
def rows(tumours):
    sides = np.repeat(["train", "validation", "test"], [100, 50, 50])
    return tumours.samples.assign(split=sides)


def judge(tumours, rows, normals):
    novelty, facts = judge_novelty(tumours, rows, normals, EVALUATION)
    return novelty.to_arrays(), facts


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("first", "last", "stays"), [(0, 100, False), (100, 150, True), (150, 200, True)])
def test_normal_tissue_of_training_patients_alone_is_fitted(tumours, rows, first, last, stays):
    normals = make_cohort(200, shift=2, seed=1, prefix="n")
    before, facts = judge(tumours, rows, normals)
    assert facts["n_normals_shown"] == 100
    assert facts["flagged"]["normal"][1] == 100
    expression = normals.expression.copy()
    expression[first:last] *= 7
    after, _ = judge(tumours, rows, replace(normals, expression=expression))
    assert same(before, after) is stays


def test_a_few_normal_samples_are_not_learnt_from_but_counted(tumours, rows):
    few = make_cohort(200, shift=2, seed=1, prefix="n").take(np.r_[0:9, 150:160])
    arrays, facts = judge(tumours, rows, few)
    assert facts["n_normals_shown"] == 0
    assert facts["flagged"]["normal"][1] == 10
    assert arrays["by_normal"].shape[1] == 0


def test_without_normal_tissue_none_is_counted(tumours, rows):
    _, facts = judge(tumours, rows, None)
    assert "normal" not in facts["flagged"]
    assert facts["flagged_normals"] == {}
    assert facts["flagged"]["linear"] == [50, 50]


def test_a_gene_that_normal_tissue_lacks_has_the_training_mean(tumours, rows):
    normals = make_cohort(200, shift=2, seed=1, prefix="n")
    whole, _ = judge(tumours, rows, normals)
    means = np.log2(tumours.expression[:100] + 1).mean(axis=0)
    filled = normals.expression.copy()
    filled[:, 0] = 2 ** means[0] - 1
    expected, _ = judge(tumours, rows, replace(normals, expression=filled))
    found, _ = judge(tumours, rows, normals.take(genes=np.arange(1, N_COHORT_GENES)))
    np.testing.assert_allclose(found["by_normal"], expected["by_normal"], rtol=1e-2, atol=1e-3)
    assert not np.allclose(found["by_normal"], whole["by_normal"], rtol=1e-2, atol=1e-3)
