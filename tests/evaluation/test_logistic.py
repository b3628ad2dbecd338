import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from expressionist.evaluation import logistic


@pytest.mark.parametrize("n_values", [8, 200])  # rotated, where values are many
@pytest.mark.parametrize("known", [(0, 1, 2), (0, 2)])
def test_its_logits_are_those_of_scikit_learn(monkeypatch, n_values, known):
    monkeypatch.setattr(logistic, "_TOLERANCE", 1e-9)
    rng = np.random.default_rng(1)
    types = np.resize(known, 60)
    x = rng.normal(size=(60, n_values)) + np.eye(3, n_values)[types]
    x[:, 5] = 3.0  # of no use, as a pixel without a gene
    weights, intercepts = logistic.fit_logistic(x, types, n_types=3, C=0.1)
    plain = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000, tol=1e-9)
    ).fit(x, types)
    expected = plain.decision_function(x)
    if len(known) == 2:
        assert intercepts[1] == -np.inf
        expected = np.column_stack([-expected, expected])
    found = (x @ weights + intercepts)[:, list(known)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
