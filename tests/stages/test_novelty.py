"""Which samples the novelty score of the stage `novelty` is fitted on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort import Cohort
from expressionist.data.cohort_file import write_cohort
from expressionist.params.sections import EvaluationParams
from expressionist.stages.novelty import _judge_novelty

EVALUATION = EvaluationParams(n_resamples=1, level=0.95, answered_accuracy=0.9, false_alarms=0.05, seed=1)
N_GENES = 30


def make_cohort(n_samples, *, shift, seed, prefix):
    rng = np.random.default_rng(seed)
    expression = (2 ** rng.normal(6 + shift, 1, (n_samples, N_GENES))).astype(np.float32)
    names = [f"{prefix}{k}" for k in range(n_samples)]
    samples = pd.DataFrame({"patient": [f"p{k}" for k in range(n_samples)], "tumour_type": "T"}, index=names)
    genes = pd.DataFrame(
        {"symbol": [f"G{k}" for k in range(N_GENES)]}, index=[f"g{k}" for k in range(N_GENES)]
    )
    return Cohort("toy", expression, samples, genes, "RPM")


@pytest.fixture
def tumours():
    return make_cohort(200, shift=0, seed=0, prefix="t")


@pytest.fixture
def rows(tumours):
    sides = np.repeat(["train", "validation", "test"], [100, 50, 50])
    return tumours.samples.assign(split=sides)


def judge(tumours, rows, normals, folder):
    if normals is not None:
        write_cohort(folder / "normals.h5ad", normals)
    novelty, facts = _judge_novelty(
        tumours, rows, np.zeros(len(rows), int), folder / "normals.h5ad", EVALUATION
    )
    return novelty.to_arrays(), facts


def same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("first", "last", "stays"), [(0, 100, False), (100, 150, True), (150, 200, True)])
def test_normal_tissue_of_training_patients_alone_is_fitted(tumours, rows, tmp_path, first, last, stays):
    normals = make_cohort(200, shift=2, seed=1, prefix="n")
    before, facts = judge(tumours, rows, normals, tmp_path)
    assert facts["n_normals_shown"] == 100
    assert facts["flagged"]["normal"][1] == 100
    expression = normals.expression.copy()
    expression[first:last] *= 7
    after, _ = judge(tumours, rows, replace(normals, expression=expression), tmp_path)
    assert same(before, after) is stays


def test_a_few_normal_samples_are_not_learnt_from_but_counted(tumours, rows, tmp_path):
    few = make_cohort(200, shift=2, seed=1, prefix="n").take(np.r_[0:9, 150:160])
    arrays, facts = judge(tumours, rows, few, tmp_path)
    assert facts["n_normals_shown"] == 0
    assert facts["flagged"]["normal"][1] == 10
    assert arrays["by_normal"].shape[1] == 0


def test_without_normal_tissue_none_is_counted(tumours, rows, tmp_path):
    _, facts = judge(tumours, rows, None, tmp_path)
    assert "normal" not in facts["flagged"]
    assert facts["flagged_normals"] == {}
    assert facts["flagged"]["linear"] == [50, 50]


def test_a_gene_that_normal_tissue_lacks_has_the_training_mean(tumours, rows, tmp_path):
    normals = make_cohort(200, shift=2, seed=1, prefix="n")
    whole, _ = judge(tumours, rows, normals, tmp_path)
    means = np.log2(tumours.expression[:100] + 1).mean(axis=0)
    filled = normals.expression.copy()
    filled[:, 0] = 2 ** means[0] - 1
    expected, _ = judge(tumours, rows, replace(normals, expression=filled), tmp_path)
    found, _ = judge(tumours, rows, normals.take(genes=np.arange(1, N_GENES)), tmp_path)
    np.testing.assert_allclose(found["by_normal"], expected["by_normal"], rtol=1e-2, atol=1e-3)
    assert not np.allclose(found["by_normal"], whole["by_normal"], rtol=1e-2, atol=1e-3)
