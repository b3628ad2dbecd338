from collections.abc import Mapping

import numpy as np
import pytest

from expressionist.evaluation.baselines import BASELINES, LabelledRows, fit_baseline
from expressionist.evaluation.linear import pack_linear, unpack_linear
from expressionist.files.store import read_arrays, write_arrays

LINEAR = ("logistic_regression", "linear_svm")


def draw(seed: int, types: np.ndarray, n_genes: int) -> LabelledRows:
    """Types that differ in the means of all genes, which have spreads of their own; one gene is constant."""
    centres = np.random.default_rng(9).normal(size=(6, n_genes))
    noise = np.random.default_rng(seed).normal(size=(len(types), n_genes))
    expression = 6 + centres[types] + noise * np.linspace(0.2, 3, n_genes)
    expression[:, 3] = 5
    return LabelledRows(expression.astype(np.float32), types)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("n_genes", [20, 400])  # with more genes than samples there is a rotation
@pytest.mark.parametrize("kinds", [[0, 1, 2], [0, 2], [1, 3, 4]], ids=str)
def test_the_arrays_predict_what_scikit_learn_does(name: str, n_genes: int, kinds: list[int]) -> None:
    types = np.resize(kinds, 90)
    training, validation, test = (draw(seed, types, n_genes) for seed in range(3))
    fitted = fit_baseline(name, training, validation, n_types=6, seed=0)
    model = fitted.flatten()
    assert model is not None
    # Away from the training samples, too, so that an error of scale is not hidden by sure predictions.
    for log2 in (test.expression, test.expression[:, ::-1].copy() * 0.5):
        np.testing.assert_allclose(model.predict_proba(log2), fitted.predict_proba(log2), atol=2e-5)


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in LINEAR])
def test_the_others_do_not_travel(name: str) -> None:
    types = np.resize([0, 1, 2], 45)
    assert fit_baseline(name, draw(0, types, 20), draw(1, types, 20), n_types=3, seed=0).flatten() is None


def test_models_are_read_as_they_were_written(tmp_path) -> None:
    types = np.resize([0, 1, 2], 45)
    fitted = {
        name: fit_baseline(name, *(draw(k, types, 20) for k in (0, 1)), n_types=4, seed=0) for name in LINEAR
    }
    models: Mapping = {name: each.flatten() for name, each in fitted.items()}
    write_arrays(tmp_path / "linear.npz", **pack_linear(models))
    found = unpack_linear(read_arrays(tmp_path / "linear.npz"))
    assert list(found) == list(LINEAR)
    log2 = draw(2, types, 20).expression
    for name, model in models.items():
        np.testing.assert_array_equal(found[name].predict_proba(log2), model.predict_proba(log2))
