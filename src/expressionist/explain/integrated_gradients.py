"""Integrated Gradients per gene, through the graph that paints, with the completeness gap of every sample."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from expressionist.network import sign, trace_prediction


@dataclass(frozen=True)
class Attribution:
    """How much every gene contributes to a logit, against a reference."""

    # Shares of the logit's rise over the reference's, (n_samples, n_genes); positive ones speak for the type.
    values: np.ndarray
    # Logit of the sample minus logit of its reference, (n_samples,): what the shares must add up to.
    rise: np.ndarray
    # Points of the path at which gradients were taken, (n_samples,).
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
    """Integrated Gradients (Sundararajan et al. 2017) of logits, streamed over (sample, step) pairs.

    The midpoint rule never evaluates the end points, where networks of rectifiers have their kinks, and needs
    no weights. Peak memory depends on the pairs computed at once, `batch_size`, not on the number of steps.
    """

    def __init__(self, model: keras.Model, *, batch_size: int = 32) -> None:
        self.model, self.batch_size = model, batch_size
        # One graph for every batch: eager tapes would also compute, and throw away, the kernels' gradients.
        signature = [sign(model), tf.TensorSpec([None], tf.int64)]
        self._gradients = tf.function(self._differentiate, input_signature=signature, autograph=False)
        self._predict = trace_prediction(model)

    def _differentiate(self, points: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(points)
            logits = tf.gather(self.model(points, training=False), targets, batch_dims=1)
        return tape.gradient(logits, points)

    def explain(
        self,
        samples: np.ndarray,
        references: np.ndarray,
        targets: np.ndarray,
        n_steps: int,
        *,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Attribution:
        """Attribute the target logit of every sample, scaled expression (n_samples, n_genes), to its genes.

        `references`, one or one each, stand for "no signal"; `n_steps` points lie on the way from there.
        """
        samples = np.asarray(samples, np.float32)
        references = np.broadcast_to(np.asarray(references, np.float32), samples.shape)
        summed = self._sum_gradients(samples, references, targets, _midpoints(n_steps), on_progress)
        rise = self._logits(samples, targets) - self._logits(references, targets)
        return Attribution(summed / n_steps * (samples - references), rise, np.full(len(samples), n_steps))

    def converge(
        self,
        samples: np.ndarray,
        references: np.ndarray,
        targets: np.ndarray,
        *,
        n_steps: int,
        max_steps: int,
        median_gap: float,
        p95_gap: float,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Attribution:
        """Treble the steps of samples that are not complete enough, until median and 95th percentile are.

        The midpoint of a step is that of its middle third too, so that no gradient is taken twice.
        """
        samples = np.asarray(samples, np.float32)
        references = np.broadcast_to(np.asarray(references, np.float32), samples.shape)
        found = self.explain(samples, references, targets, n_steps, on_progress=on_progress)
        while 3 * n_steps <= max_steps:
            gap = found.gap
            if np.median(gap) <= median_gap and np.percentile(gap, 95) <= p95_gap:
                break
            n_steps *= 3
            rows = np.flatnonzero(gap > (median_gap if np.median(gap) > median_gap else p95_gap))
            given = samples[rows], references[rows], targets[rows]
            summed = self._sum_gradients(
                *given, _midpoints(n_steps)[np.arange(n_steps) % 3 != 1], on_progress
            )
            found.values[rows] = found.values[rows] / 3 + summed / n_steps * (given[0] - given[1])
            found.n_steps[rows] = n_steps
        return found

    def _sum_gradients(
        self,
        samples: np.ndarray,
        references: np.ndarray,
        targets: np.ndarray,
        shares: np.ndarray,
        on_progress: Callable[[int], object],
    ) -> np.ndarray:
        """Add up the gradients at some shares of every sample's path, of shape (n_samples, n_genes)."""
        summed = np.zeros(samples.shape, np.float32)
        pairs = np.arange(len(samples) * len(shares))
        for start in range(0, len(pairs), self.batch_size):
            batch = pairs[start : start + self.batch_size]
            rows, places = np.divmod(batch, len(shares))
            share = shares[places].astype(np.float32)[:, None]
            points = references[rows] + share * (samples[rows] - references[rows])
            gradients = self._gradients(tf.constant(points), tf.constant(targets[rows])).numpy()
            np.add.at(summed, rows, gradients)
            on_progress(len(batch))
        return summed

    def _logits(self, samples: np.ndarray, targets: np.ndarray) -> np.ndarray:
        blocks = range(0, len(samples), self.batch_size)
        logits = [self._predict(samples[start : start + self.batch_size]).numpy() for start in blocks]
        return np.concatenate(logits).astype(np.float64)[np.arange(len(samples)), targets]


def _midpoints(n_steps: int) -> np.ndarray:
    return (np.arange(n_steps) + 0.5) / n_steps
