"""What is explained, and the controls without which an explanation is no evidence."""

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import shap
import tensorflow as tf
from scipy.stats import rankdata

from expressionist.errors import Refusal
from expressionist.explain.integrated_gradients import Attribution
from expressionist.network import CLASSIFIER, LINEAR, RANK_LAYERS, randomise, weighted_layers
from expressionist.params import AttributionParams

_N_CROSS_CHECKED = 6
_N_DRAWS = 64
_N_BACKGROUND = 200
_N_COMPARED = 100
# Shares of the backbone's layers, from the last on, that the cascade has drawn anew, one after the other.
_CASCADE = (0.5, 1.0)


def choose_samples(predictions: pd.DataFrame, rows: pd.DataFrame, params: AttributionParams) -> np.ndarray:
    """Draw rightly classified test samples, at most so many of a type: positions in the split table."""
    right = predictions.index[predictions["predicted"] == predictions["tumour_type"]]
    if right.empty:
        raise Refusal(
            "Some test sample must be classified correctly to be explained, but none of "
            f"{len(predictions)} is. Train for longer, or on more samples."
        )
    return _draw(rows.loc[right], rows, params)


def choose_training(rows: pd.DataFrame, params: AttributionParams) -> np.ndarray:
    """Draw training samples to rank genes by, at most so many of a type: positions in the split table."""
    return _draw(rows[rows["split"] == "train"], rows, params)


def _draw(known: pd.DataFrame, rows: pd.DataFrame, params: AttributionParams) -> np.ndarray:
    rng = np.random.default_rng(params.seed)
    order = pd.Series(rng.permutation(len(known)), index=known.index).sort_values().index
    drawn = rows.loc[order].groupby("tumour_type", sort=True).head(params.n_samples_per_type)
    return np.sort(rows.index.get_indexer(drawn.index))


def randomise_down(
    network: keras.Model,
    explain: Callable[[], Attribution],
    before: Attribution,
    *,
    n_top: int,
    seed: int,
) -> pd.DataFrame:
    """Draw the weights anew from the head down (Adebayo et al. 2018), and explain again each time.

    Attributions that stay what they were do not depend on what was learned. The network is untrained in the
    end.

    Parameters
    ----------
    network : keras.Model
        Whole, as assembled; changed in place.
    explain : callable
        Explains the same samples through it.
    before : Attribution
        What it gave while the network was trained.
    n_top : int
        Genes compared.
    seed : int
        Of the weights.

    Returns
    -------
    pandas.DataFrame
        A row per ``randomised`` part (the head, then more and more of the backbone) and ``sample`` (its row),
        with the rank ``correlation`` of its attributions with those before, and ``n_shared`` of the first
        `n_top` genes.
    """
    layers = weighted_layers(network)
    n_head = sum(layer.name in (CLASSIFIER, LINEAR, *RANK_LAYERS) for layer in layers)
    n_backbone = len(layers) - n_head
    ends = {"head": n_head}
    ends |= {f"head, {share:.0%} of the backbone": n_head + round(share * n_backbone) for share in _CASCADE}
    tables = []
    start = 0
    for name, end in ends.items():
        # In the end what is no kernel, too: scales and shifts.
        randomise(network, seed, layers[start:end] if end < len(layers) else None)
        tables.append(_compare(before.values, explain().values, n_top).assign(randomised=name))
        start = end
    return pd.concat(tables, ignore_index=True)


def _compare(before: np.ndarray, after: np.ndarray, n_top: int) -> pd.DataFrame:
    ranks = [rankdata(each, axis=1) for each in (before, after)]
    tops = [np.argsort(-each, axis=1, kind="stable")[:, :n_top] for each in (before, after)]
    return pd.DataFrame(
        {
            "sample": np.arange(len(before)),
            "correlation": [np.corrcoef(*pair)[0, 1] for pair in zip(*ranks, strict=True)],
            "n_shared": [len(np.intersect1d(*pair)) for pair in zip(*tops, strict=True)],
        }
    )


def tabulate_gaps(found: Attribution, samples: pd.DataFrame) -> pd.DataFrame:
    """Tabulate completeness and each branch's share of the rise, by sample, whose rows are given."""
    facts = {"rise": found.rise, "delta": found.delta, "relative_gap": found.gap, "steps": found.n_steps}
    sums = {name: values.sum(axis=1, dtype=np.float64) for name, values in found.branches.items()}
    return samples[["tumour_type"]].assign(**facts, **sums)


def summarise_gaps(found: Attribution, params: AttributionParams) -> dict[str, Any]:
    """Give median and 95th percentile of the gap, and say whether the explanation is complete."""
    median, p95 = float(np.median(found.gap)), float(np.percentile(found.gap, 95))
    gap = {"median": median, "p95": p95, "n_steps": int(found.n_steps.max())}
    return {"gap": gap, "complete": median <= params.median_delta and p95 <= params.p95_delta}


def cross_check(
    logits: keras.Model,
    scaled: np.ndarray,
    training: np.ndarray,
    explained: np.ndarray,
    types: np.ndarray,
    values: np.ndarray,
    seed: int,
) -> pd.DataFrame:
    """Hold the attributions of one sample of some types against shap's expected gradients.

    `training` and `explained` are positions of samples in `scaled` and `types`; `values`, of shape
    (n_explained, n_genes), are what is checked.
    """
    rng = np.random.default_rng(seed)
    places = _draw_types(types[explained], rng)
    background = scaled[rng.choice(training, min(_N_BACKGROUND, len(training)), replace=False)]
    rows = explained[places]
    theirs = shap_values(logits, scaled[rows], background, types[rows], n_draws=_N_DRAWS, seed=seed)
    n_top = min(_N_COMPARED, scaled.shape[1])
    records = []
    for mine, other, row in zip(values[places], theirs, rows, strict=True):
        shared = np.intersect1d(np.argsort(-mine)[:n_top], np.argsort(-other)[:n_top])
        records.append((int(row), float(np.corrcoef(mine, other)[0, 1]), n_top, len(shared)))
    return pd.DataFrame(records, columns=["sample_position", "correlation", "n_top", "n_shared"])


def _draw_types(types: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw some of the types at random, and return the position of the first sample of each."""
    _, first = np.unique(types, return_index=True)
    return np.sort(rng.choice(first, min(_N_CROSS_CHECKED, len(first)), replace=False))


def shap_values(
    model: keras.Model,
    samples: np.ndarray,
    background: np.ndarray,
    targets: np.ndarray,
    *,
    n_draws: int,
    seed: int,
) -> np.ndarray:
    """Attribute the same logits with shap's expected gradients (Erion et al. 2021), from a background."""
    target = _Target(name="target")
    single = keras.Model(model.inputs, target(model.output))
    explainer = shap.GradientExplainer(single, background.astype(np.float32), batch_size=32)
    expected = []
    with warnings.catch_warnings():
        # shap gives a list of one array where the model has one input; Keras takes it, and says so.
        warnings.filterwarnings("ignore", message="The structure of `inputs`")
        for row, place in enumerate(targets):
            target.place.assign([place])
            expected.append(explainer.shap_values(samples[row : row + 1], nsamples=n_draws, rseed=seed))
    return np.concatenate(expected)[..., 0].astype(np.float32)


class _Target(keras.layers.Layer):
    """One of the logits minus their mean: shap traces every output by itself, and this one once."""

    def build(self, _: tuple[int | None, ...]) -> None:
        self.place = self.add_weight(shape=(1,), dtype="int32", initializer="zeros", trainable=False)

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        return keras.ops.take(logits, self.place, axis=1) - keras.ops.mean(logits, axis=1, keepdims=True)
