"""Attributions of the samples that are explained, beside the controls without which they are no evidence."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
import shap
import tensorflow as tf

from expressionist.errors import Refusal
from expressionist.explain.integrated_gradients import Attribution, IntegratedGradients
from expressionist.network import randomise
from expressionist.params import AttributionParams

_N_CROSS_CHECKED = 6
_N_DRAWS = 64
_N_BACKGROUND = 200
_N_COMPARED = 100


def choose_samples(predictions: pd.DataFrame, rows: pd.DataFrame, params: AttributionParams) -> np.ndarray:
    """Draw rightly classified test samples, at most so many of a type: positions in the split table."""
    right = predictions.index[predictions["predicted"] == predictions["tumour_type"]]
    if right.empty:
        raise Refusal(
            "Some test sample must be classified correctly to be explained, but none of "
            f"{len(predictions)} is. Train for longer, or on more samples."
        )
    rng = np.random.default_rng(params.seed)
    order = pd.Series(rng.permutation(len(right)), index=right).sort_values().index
    drawn = rows.loc[order].groupby("tumour_type", sort=True).head(params.n_samples_per_type)
    return np.sort(rows.index.get_indexer(drawn.index))


def attribute(
    network: keras.Model,
    logits: keras.Model,
    samples: np.ndarray,
    targets: np.ndarray,
    references: Mapping[str, np.ndarray],
    params: AttributionParams,
    start_progress: Callable[[str, int | None], Callable[[int], object]],
) -> dict[str, Attribution]:
    """Explain samples from the mean until complete, then from zero and through random weights.

    What is explained are the `logits_of_scaled` of the whole network, which is as before in the end; the
    references are ``mean`` and ``zero``. `start_progress` is told what begins and how many points it takes,
    if that is known, and returns what is told of those done.
    """
    # Traced once for all three: random weights are assigned to the same variables.
    method, trained = IntegratedGradients(logits), network.get_weights()
    found = method.converge(
        samples,
        references["mean"],
        targets,
        n_steps=params.steps,
        max_steps=params.max_steps,
        median_gap=params.median_delta,
        p95_gap=params.p95_delta,
        on_progress=start_progress("mean reference", None),
    )
    # The controls rank genes only: on a resnet50 16 to 17 of the first 20 are those of six times as many
    # steps, and r = 0.97 (random weights) and 0.99 (zero) over all.
    n_steps = max(1, params.steps // 2)

    def control(reference: str, description: str) -> Attribution:
        on_progress = start_progress(description, len(samples) * n_steps)
        return method.explain(samples, references[reference], targets, n_steps, on_progress=on_progress)

    zero = control("zero", "zero reference")
    randomise(network, params.seed)
    random = control("mean", "random weights")
    network.set_weights(trained)
    return {"mean": found, "zero": zero, "random": random}


def tabulate_gaps(results: Mapping[str, Attribution], samples: pd.DataFrame) -> pd.DataFrame:
    """Tabulate completeness by kind of attribution and sample, whose rows of the split table are given."""
    parts = []
    for name, each in results.items():
        facts = {"rise": each.rise, "delta": each.delta, "relative_gap": each.gap, "steps": each.n_steps}
        parts.append(samples[["tumour_type"]].assign(reference=name, **facts))
    return pd.concat(parts)


def summarise_gaps(results: Mapping[str, Attribution], params: AttributionParams) -> dict[str, Any]:
    """Give median and 95th percentile of every kind's gap, and say whether the explanation is complete."""
    gaps = {}
    for name, each in results.items():
        median, p95 = float(np.median(each.gap)), float(np.percentile(each.gap, 95))
        gaps[name] = {"median": median, "p95": p95, "n_steps": int(each.n_steps.max())}
    complete = gaps["mean"]["median"] <= params.median_delta and gaps["mean"]["p95"] <= params.p95_delta
    return {"gap": gaps, "complete": complete}


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
    """One of the logits, whichever: shap traces every output by itself, and this one once."""

    def build(self, _: tuple[int | None, ...]) -> None:
        self.place = self.add_weight(shape=(1,), dtype="int32", initializer="zeros", trainable=False)

    def call(self, logits: tf.Tensor) -> tf.Tensor:
        return keras.ops.take(logits, self.place, axis=1)
