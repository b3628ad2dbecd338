"""A linear baseline model as plain arrays: what travels with a registered network, without scikit-learn."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

import numpy as np
from scipy.special import softmax


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A linear classifier of expression (n_samples, n_genes) in log2(x+1).

    Its logits are (expression - centre) @ weights + intercepts, its probabilities softmax(logits /
    temperature). A type without training samples has the intercept -inf, and so the probability 0.

    Examples
    --------
    >>> model = LinearModel(np.array([1.0]), np.array([[1.0, -1.0]]), np.zeros(2), np.array(1.0))
    >>> model.predict_proba(np.array([[1.0], [9.0]])).round(3).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """

    # (n_genes,), (n_genes, n_types), (n_types,) and (); the spread of a gene is in its weights.
    centre: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray
    temperature: np.ndarray

    def predict_proba(self, log2: np.ndarray) -> np.ndarray:
        """Predict all types (n_samples, n_types), float64."""
        logits = (log2 - self.centre).astype(np.float64) @ self.weights + self.intercepts
        return np.asarray(softmax(logits / self.temperature, axis=1))


def pack_linear(models: Mapping[str, LinearModel]) -> dict[str, np.ndarray]:
    """Give all arrays of some models one flat set of names, as an `.npz` keeps them."""
    return {
        f"{name}.{part}": array for name, model in models.items() for part, array in asdict(model).items()
    }


def unpack_linear(arrays: Mapping[str, np.ndarray]) -> dict[str, LinearModel]:
    """Take back what `pack_linear` gave."""
    names = dict.fromkeys(name.partition(".")[0] for name in arrays)
    parts = [each.name for each in fields(LinearModel)]
    return {name: LinearModel(*(arrays[f"{name}.{part}"] for part in parts)) for name in names}
