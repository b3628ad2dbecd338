from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

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
    varied = rng.normal(size=(n_samples, 5)) @ shared
    log2 = programmes[types] + varied + rng.normal(size=(n_samples, N_GENES)) / 2
    log2[:, :10] += shift
    return np.maximum(log2, 0).astype(np.float32), types


def fit(*, normals=None, false_alarms=0.01, n_validation=400):
    log2, types = draw(600)
    novelty = Novelty.fit(log2, types, normals, rng=np.random.default_rng(0))
    return novelty.calibrate(novelty.measure(draw(n_validation, 1)[0]), false_alarms=false_alarms)


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


def test_a_type_that_was_left_out_is_flagged():
    (log2, types), (hidden, others) = draw(600), draw(600, 1)
    known = types < N_TYPES - 1
    novelty = Novelty.fit(log2[known], types[known], None, rng=np.random.default_rng(0))
    novelty = novelty.calibrate(novelty.measure(hidden[others < N_TYPES - 1]), false_alarms=0.01)
    assert (novelty.score(hidden[others == N_TYPES - 1]) > 1).mean() > 0.95


def test_a_shift_of_all_genes_alike_is_outside_and_not_foreign():
    novelty, (log2, _) = fit(), draw(50, 6)
    # No expression is below 0, where a shift would make equals of what was none.
    outside, foreign = novelty.measure(log2 + 10).T - novelty.measure(log2).T
    assert (outside > np.log(10)).all()
    np.testing.assert_allclose(foreign, 0, atol=1e-5)


@pytest.mark.parametrize("draw_values", ["normal", "integers", "tiny"])
def test_ranks_are_those_of_scipy(draw_values):
    rng = np.random.default_rng(5)
    values = rng.normal(size=(4, 3000)) if draw_values == "normal" else rng.integers(-9, 9, (4, 300))
    values = (values * 1e-42 if draw_values == "tiny" else values).astype(np.float32)
    # The two zeros are equal, and nothing is beyond the infinite.
    values[0, :6] = 0.0, -0.0, np.inf, -np.inf, 3e38, -3e38
    expected = (rankdata(values, axis=1) / values.shape[1]).astype(np.float32)
    np.testing.assert_array_equal(novelty._rank(values), expected)


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


@pytest.mark.parametrize(("n_samples", "n_genes"), [(6, 40), (30, 3), (4, 1), (300, 120)])
def test_small_cohorts_and_constant_genes_can_be_scored(n_samples, n_genes):
    rng = np.random.default_rng(0)
    log2 = rng.gamma(2, size=(n_samples, n_genes)).astype(np.float32)
    log2[:, 3:4] = 5.0
    novelty = Novelty.fit(log2, np.arange(n_samples) % 2, None, rng=rng)
    novelty = novelty.calibrate(novelty.measure(log2), false_alarms=0.01)
    assert np.isfinite(novelty.score(log2)).all()


@pytest.mark.parametrize("n_samples", [30, 31])
def test_ridge_regression_is_that_of_its_normal_equations_with_more_or_fewer_samples_than_features(n_samples):
    rng = np.random.default_rng(2)
    features, groups = rng.normal(size=(n_samples, 31)).astype(np.float32), np.arange(n_samples) % 3
    wanted = np.eye(3)[groups]
    found = novelty._regress(features, wanted, groups)
    weights = np.bincount(groups)[groups] ** -0.5
    weights *= n_samples / weights.sum()
    exact = features.astype(np.float64)
    normal = exact.T @ (weights[:, None] * exact) + novelty._PENALTY * n_samples / 31 * np.eye(31)
    expected = np.linalg.solve(normal, exact.T @ (weights[:, None] * wanted))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("n_genes", [30, 50])
def test_discriminants_whiten_within_groups_with_fewer_or_more_genes_than_samples(n_genes):
    rng, groups = np.random.default_rng(4), np.arange(40) % 3
    samples = rng.normal(size=(40, n_genes)) + 2 * rng.normal(size=(3, n_genes))[groups]
    means = np.stack([samples[groups == k].mean(axis=0) for k in range(3)])
    within, means = samples - means[groups], means - means.mean(axis=0)
    covariance = within.T @ within / 40
    shrunk = novelty._SHRINKAGE * np.trace(covariance) / min(40, n_genes)
    precision = np.linalg.inv(covariance + shrunk * np.eye(n_genes))
    axes = novelty._whiten(within.astype(np.float32), means.astype(np.float32))
    assert axes.shape == (n_genes, 2)
    # Between the groups' means, distances on the axes are those in all genes.
    np.testing.assert_allclose(
        means @ axes @ axes.T @ means.T, means @ precision @ means.T, rtol=1e-3, atol=1e-2
    )


# Which samples the score is fitted on, and which it judges.


def make_cohort(shift, seed):
    """One sample each of 200 patients."""
    expression = 2 ** np.random.default_rng(seed).normal(6 + shift, 1, (200, N_COHORT_GENES))
    patients = [f"p{k}" for k in range(200)]
    samples = pd.DataFrame(
        {"patient": patients, "tumour_type": "T"}, index=[f"{seed}-{k}" for k in range(200)]
    )
    genes = pd.DataFrame(index=[f"g{k}" for k in range(N_COHORT_GENES)])
    return Cohort("toy", expression.astype(np.float32), samples, genes.assign(symbol=genes.index), "RPM")


TUMOURS, NORMALS = make_cohort(0, seed=0), make_cohort(2, seed=1)


def judge(normals):
    rows = TUMOURS.samples.assign(split=np.repeat(["train", "validation", "test"], [100, 50, 50]))
    novelty, facts = judge_novelty(TUMOURS, rows, normals, EVALUATION)
    return novelty.to_arrays(), facts


@pytest.mark.parametrize(("first", "last", "stays"), [(0, 100, False), (100, 150, True), (150, 200, True)])
def test_normal_tissue_of_training_patients_alone_is_fitted(first, last, stays):
    before, facts = judge(NORMALS)
    assert facts["n_normals_shown"] == 100
    assert facts["flagged"]["normal"][1] == 100
    expression = NORMALS.expression.copy()
    expression[first:last, ::2] *= 7
    after, _ = judge(replace(NORMALS, expression=expression))
    assert all(np.array_equal(before[name], after[name]) for name in before) is stays


def test_the_limit_of_a_small_cohort_is_set_on_unseen_training_samples_too():
    """On 15 validation samples alone, a fifth to a third of the false alarms would be chance."""
    _, facts = judge(None)
    assert facts["n_limiting"] == 100 + 50
    assert facts["flagged"]["validation"][0] + facts["flagged"]["test"][0] <= 0.05 * 100
    many = TUMOURS.samples.assign(split=np.repeat(["train", "validation", "test"], [50, 100, 50]))
    assert judge_novelty(TUMOURS, many, None, EVALUATION)[1]["n_limiting"] == 100
    # A type that one patient has is unlike all others, and sets no limit.
    alone = TUMOURS.samples.assign(split=np.repeat(["train", "validation", "test"], [100, 50, 50]))
    alone["tumour_type"] = np.where(np.arange(200) == 7, "alone", "T")
    assert judge_novelty(TUMOURS, alone, None, EVALUATION)[1]["n_limiting"] == 99 + 50


def test_normal_tissue_of_a_patient_does_not_judge_that_patients_tumour(monkeypatch):
    """Of few validation samples: each fold's score is shown other patients' normal tissue alone."""
    seen, fit = [], Novelty.fit.__func__

    def note(cls, log2, types, normals, *, rng):
        seen.append((len(log2), len(normals)))
        return fit(cls, log2, types, normals, rng=rng)

    monkeypatch.setattr(Novelty, "fit", classmethod(note))
    judge(NORMALS)
    # Patients 0 to 99 have a training tumour and normal tissue each.
    assert seen == [(100, 100), *[(80, 80)] * 5]


def test_samples_that_are_flagged_are_named():
    rows = TUMOURS.samples.assign(split=np.repeat(["train", "validation", "test"], [100, 50, 50]))
    strange = TUMOURS.expression.copy()
    strange[[120, 170], ::2] *= 1000
    _, facts = judge_novelty(replace(TUMOURS, expression=strange), rows, None, EVALUATION)
    assert "0-170" in facts["unlike"]
    assert len(facts["unlike"]) == facts["flagged"]["validation"][0] + facts["flagged"]["test"][0]


def test_a_few_normal_samples_are_not_learnt_from_but_counted():
    arrays, facts = judge(NORMALS.take(np.r_[0:9, 150:160]))
    assert facts["n_normals_shown"] == 0
    assert facts["flagged"]["normal"][1] == 10
    assert arrays["by_normal"].shape[1] == 0


def test_without_normal_tissue_none_is_counted():
    _, facts = judge(None)
    assert "normal" not in facts["flagged"]
    assert facts["flagged_normals"] == {}
    assert facts["flagged"]["linear"] == [50, 50]


def test_a_gene_that_normal_tissue_lacks_has_the_training_mean():
    means = np.log2(TUMOURS.expression[:100] + 1).mean(axis=0)
    filled = NORMALS.expression.copy()
    filled[:, 0] = 2 ** means[0] - 1
    whole, expected, found = (
        judge(normals)[0]["by_normal"]
        for normals in (
            NORMALS,
            replace(NORMALS, expression=filled),
            NORMALS.take(genes=np.arange(1, N_COHORT_GENES)),
        )
    )
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-3)
    assert not np.allclose(found, whole, rtol=1e-2, atol=1e-3)
