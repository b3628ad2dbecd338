"""Integrated Gradients per gene, through the graph that paints, with the completeness gap of every sample."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from expressionist.network import sign, trace_prediction


@dataclass(frozen=True)
class Attribution:
    """How much every gene contributes to the evidence for a type, against a reference."""

    # Shares of the rise over the reference by branch of the network, each (n_samples, n_genes), in logits;
    # positive ones speak for the type.
    branches: dict[str, np.ndarray]
    # Evidence in the sample minus that in its reference, (n_samples,): what the shares must add up to.
    rise: np.ndarray
    # Points of the path at which gradients were taken, (n_samples,).
    n_steps: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """What all branches say together, of shape (n_samples, n_genes)."""
        return np.asarray(sum(self.branches.values()))

    @property
    def delta(self) -> np.ndarray:
        """What is missing to completeness, of shape (n_samples,)."""
        return self.rise - self.values.sum(axis=1, dtype=np.float64)

    @property
    def gap(self) -> np.ndarray:
        """|delta| as a share of |rise|, of shape (n_samples,)."""
        return np.abs(self.delta) / np.maximum(np.abs(self.rise), 1e-12)


class IntegratedGradients:
    """Integrated Gradients (Sundararajan et al. 2017), streamed over (sample, step) pairs.

    The midpoint rule never evaluates the end points, where networks of rectifiers have their kinks, and needs
    no weights. Peak memory depends on the pairs computed at once, `batch_size`, not on the number of steps.

    Parameters
    ----------
    model : keras.Model
        Takes scaled expression (n_samples, n_genes) once for every branch, in a dict, to logits: see
        `logits_by_branch`. Each branch gets the share that goes through it.
    batch_size : int
        Pairs computed at once.
    """

    def __init__(self, model: keras.Model, *, batch_size: int = 32) -> None:
        self.model, self.batch_size = model, batch_size
        # One graph for every batch: eager tapes would also compute, and throw away, the kernels' gradients.
        one = next(iter(sign(model).values()))
        signature = [one, tf.TensorSpec([None, model.output_shape[1]], one.dtype)]
        self._gradients = tf.function(self._differentiate, input_signature=signature, autograph=False)
        self._predict = trace_prediction(model)

    def _differentiate(self, points: tf.Tensor, directions: tf.Tensor) -> tf.Tensor:
        given = {name: tf.identity(points) for name in self.model.input}
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(given)
            logits = tf.reduce_sum(self.model(given, training=False) * directions, axis=1)
        gradients = tape.gradient(logits, given)
        return tf.stack([gradients[name] for name in given])

    def explain(
        self,
        samples: np.ndarray,
        references: np.ndarray,
        targets: np.ndarray,
        n_steps: int,
        *,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Attribution:
        """Attribute the evidence for a type in scaled expression (n_samples, n_genes) to the genes.

        `targets` are types, (n_samples,): the logit of each minus the mean of all logits, since probabilities
        do not change where all logits rise alike. Or pairs of types, (n_samples, 2): the logit of the first
        minus that of the second. `references`, one or one each, stand for "no signal"; `n_steps` points lie
        on the way from there.
        """
        samples = np.asarray(samples, np.float32)
        references = np.broadcast_to(np.asarray(references, np.float32), samples.shape)
        directions = self._direct(targets)
        summed = self._sum_gradients(samples, references, directions, _midpoints(n_steps), on_progress)
        for each in summed.values():
            each *= (samples - references) / n_steps
        rise = self._logits(samples, directions) - self._logits(references, directions)
        return Attribution(summed, rise, np.full(len(samples), n_steps))

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
            shares = _midpoints(n_steps)[np.arange(n_steps) % 3 != 1]
            given = samples[rows], references[rows], self._direct(targets[rows])
            for name, summed in self._sum_gradients(*given, shares, on_progress).items():
                values = found.branches[name]
                values[rows] = values[rows] / 3 + summed / n_steps * (given[0] - given[1])
            found.n_steps[rows] = n_steps
        return found

    def _direct(self, targets: np.ndarray) -> np.ndarray:
        """Give the weights of the logits in what is explained, of shape (n_samples, n_types)."""
        n_types = self.model.output_shape[1]
        one_hot = np.eye(n_types, dtype=np.float32)[targets]
        return one_hot - np.float32(1 / n_types) if one_hot.ndim == 2 else one_hot[:, 0] - one_hot[:, 1]

    def _sum_gradients(
        self,
        samples: np.ndarray,
        references: np.ndarray,
        directions: np.ndarray,
        shares: np.ndarray,
        on_progress: Callable[[int], object],
    ) -> dict[str, np.ndarray]:
        """Add up the gradients at some shares of every sample's path, by branch (n_samples, n_genes)."""
        summed = {name: np.zeros(samples.shape, np.float32) for name in self.model.input}
        pairs = np.arange(len(samples) * len(shares))
        for start in range(0, len(pairs), self.batch_size):
            batch = pairs[start : start + self.batch_size]
            rows, places = np.divmod(batch, len(shares))
            share = shares[places].astype(np.float32)[:, None]
            points = references[rows] + share * (samples[rows] - references[rows])
            gradients = self._gradients(tf.constant(points), tf.constant(directions[rows])).numpy()
            for each, gradient in zip(summed.values(), gradients, strict=True):
                np.add.at(each, rows, gradient)
            on_progress(len(batch))
        return summed

    def _logits(self, samples: np.ndarray, directions: np.ndarray) -> np.ndarray:
        given = np.asarray(samples)
        blocks = [given[start : start + self.batch_size] for start in range(0, len(given), self.batch_size)]
        logits = [self._predict(dict.fromkeys(self.model.input, block)).numpy() for block in blocks]
        return (np.concatenate(logits).astype(np.float64) * directions).sum(axis=1)


def _midpoints(n_steps: int) -> np.ndarray:
    return (np.arange(n_steps) + 0.5) / n_steps
