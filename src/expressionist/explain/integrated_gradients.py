"""Integrated Gradients per gene, through the graph that paints, with the completeness gap of every sample."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import shap
import tensorflow as tf

from expressionist.network import quick_convolutions, sign, trace_prediction


@dataclass(frozen=True)
class Attribution:
    """How much every gene contributes to a logit, against a baseline.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_samples, n_genes)
        Shares of the logit's rise above the baseline's; positive speaks for the target type.
    rise : numpy.ndarray of shape (n_samples,)
        Logit of the sample minus logit of its baseline: what the shares must add up to.
    n_steps : numpy.ndarray of shape (n_samples,)
        Points of the path at which gradients were taken.
    """

    values: np.ndarray
    rise: np.ndarray
    n_steps: np.ndarray

    @property
    def delta(self) -> np.ndarray:
        """What is missing to completeness, of shape (n_samples,)."""
        return self.rise - self.values.sum(axis=1, dtype=np.float64)

    @property
    def gap(self) -> np.ndarray:
        """|delta| as a share of |rise|, of shape (n_samples,)."""
        return np.abs(self.delta) / np.maximum(np.abs(self.rise), 1e-12)


class IntegratedGradients:
    """Integrated Gradients (Sundararajan et al. 2017), midpoint rule, streamed over (sample, step) pairs.

    The midpoint rule never evaluates the end points, where networks of rectifiers have their kinks, and needs
    no weights. Peak memory depends on the batch size, not on the number of steps.

    Parameters
    ----------
    model : keras.Model
        Scaled expression of shape (n_samples, n_genes) → logits of shape (n_samples, n_types).
    batch_size : int
        Pairs computed at once.
    """

    def __init__(self, model: keras.Model, *, batch_size: int = 32) -> None:
        self.model, self.batch_size = model, batch_size
        # One graph for every batch: eager tapes would also compute, and throw away, the kernels' gradients.
        signature = [*sign(model), tf.TensorSpec([None], tf.int64)]
        self._gradients = tf.function(self._differentiate, input_signature=signature, autograph=False)
        self._predict = trace_prediction(model)

    def _differentiate(self, points: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape, quick_convolutions(self.model):
            tape.watch(points)
            logits = tf.gather(self.model(points, training=False), targets, batch_dims=1)
        return tape.gradient(logits, points)

    def explain(
        self,
        samples: np.ndarray,
        baselines: np.ndarray,
        targets: np.ndarray,
        n_steps: int,
        *,
        advance: Callable[[int], object] = lambda _: None,
    ) -> Attribution:
        """Attribute the target logit of every sample to its genes.

        Parameters
        ----------
        samples : numpy.ndarray of shape (n_samples, n_genes)
            Scaled expression.
        baselines : numpy.ndarray of shape (n_genes,) or (n_samples, n_genes)
            Scaled expression that stands for "no signal".
        targets : numpy.ndarray of shape (n_samples,)
            Position of the tumour type whose logit is explained.
        n_steps : int
            Points on the straight path from the baseline to the sample.
        advance : callable
            Told how many pairs are done, batch by batch.

        Returns
        -------
        Attribution
            One row per sample.
        """
        samples = np.asarray(samples, np.float32)
        baselines = np.broadcast_to(np.asarray(baselines, np.float32), samples.shape)
        summed = self._sum_gradients(samples, baselines, targets, _midpoints(n_steps), advance)
        rise = self._logits(samples, targets) - self._logits(baselines, targets)
        return Attribution(summed / n_steps * (samples - baselines), rise, np.full(len(samples), n_steps))

    def converge(
        self,
        samples: np.ndarray,
        baselines: np.ndarray,
        targets: np.ndarray,
        *,
        n_steps: int,
        max_steps: int,
        median_gap: float,
        p95_gap: float,
        advance: Callable[[int], object] = lambda _: None,
    ) -> Attribution:
        """Treble the steps of the samples that are not complete enough, until the whole is.

        The midpoint of a step is that of its middle third too, so that no gradient is taken twice.

        Parameters
        ----------
        samples, baselines, targets, advance
            As for `explain`.
        n_steps, max_steps : int
            Steps to begin with, and never to exceed.
        median_gap, p95_gap : float
            Median and 95th percentile of the gap that end the trebling.

        Returns
        -------
        Attribution
            One row per sample, each with the number of steps it took.
        """
        samples = np.asarray(samples, np.float32)
        baselines = np.broadcast_to(np.asarray(baselines, np.float32), samples.shape)
        found = self.explain(samples, baselines, targets, n_steps, advance=advance)
        while 3 * n_steps <= max_steps:
            gap = found.gap
            if np.median(gap) <= median_gap and np.percentile(gap, 95) <= p95_gap:
                break
            n_steps *= 3
            rows = np.flatnonzero(gap > (median_gap if np.median(gap) > median_gap else p95_gap))
            given = samples[rows], baselines[rows], targets[rows]
            summed = self._sum_gradients(*given, _midpoints(n_steps)[np.arange(n_steps) % 3 != 1], advance)
            found.values[rows] = found.values[rows] / 3 + summed / n_steps * (given[0] - given[1])
            found.n_steps[rows] = n_steps
        return found

    def _sum_gradients(
        self,
        samples: np.ndarray,
        baselines: np.ndarray,
        targets: np.ndarray,
        shares: np.ndarray,
        advance: Callable[[int], object],
    ) -> np.ndarray:
        """Add up the gradients at some shares of every sample's path, of shape (n_samples, n_genes)."""
        summed = np.zeros(samples.shape, np.float32)
        pairs = np.arange(len(samples) * len(shares))
        for start in range(0, len(pairs), self.batch_size):
            batch = pairs[start : start + self.batch_size]
            rows, places = np.divmod(batch, len(shares))
            share = shares[places].astype(np.float32)[:, None]
            points = baselines[rows] + share * (samples[rows] - baselines[rows])
            gradients = self._gradients(tf.constant(points), tf.constant(targets[rows])).numpy()
            np.add.at(summed, rows, gradients)
            advance(len(batch))
        return summed

    def _logits(self, samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
        blocks = range(0, len(samples), self.batch_size)
        logits = [self._predict([samples[start : start + self.batch_size]])[0].numpy() for start in blocks]
        chosen: np.ndarray = np.concatenate(logits).astype(np.float64)[np.arange(len(samples)), targets]
        return chosen


def _midpoints(n_steps: int) -> np.ndarray:
    return (np.arange(n_steps) + 0.5) / n_steps


def shap_values(
    model: keras.Model,
    samples: np.ndarray,
    background: np.ndarray,
    targets: np.ndarray,
    *,
    n_draws: int,
    seed: int,
) -> np.ndarray:
    """Attribute the same logits with shap's expected gradients (Erion et al. 2021), as a cross-check.

    Parameters
    ----------
    model : keras.Model
        Scaled expression → logits.
    samples : numpy.ndarray of shape (n_samples, n_genes)
        Scaled expression.
    background : numpy.ndarray of shape (n_background, n_genes)
        Scaled expression of training samples, from which baselines are drawn.
    targets : numpy.ndarray of shape (n_samples,)
        Position of the tumour type whose logit is explained.
    n_draws : int
        Random points per sample.
    seed : int
        Of the draws.

    Returns
    -------
    numpy.ndarray of shape (n_samples, n_genes)
        Expected gradients.
    """
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
