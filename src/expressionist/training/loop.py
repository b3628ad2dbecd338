"""Train a tail on cached activations, with checkpoints that survive a kill."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from expressionist.errors import ParamsError
from expressionist.evaluation import score
from expressionist.files import reserve
from expressionist.network import Predict, quick_convolutions, sign, trace_prediction
from expressionist.params import TrainingParams
from expressionist.training.optimiser import compile_tail

Epoch = dict[str, float]
# What a file of arrays holds beside them, in bytes, and more.
_HEADERS = 2**16


@dataclass(frozen=True)
class Rows:
    """Samples as a tail sees them: its inputs of shape (n_samples, ...), usually memory-mapped, by name.

    `types`, of shape (n_samples,), has the tumour type of every sample, as a position.
    """

    inputs: Mapping[str, np.ndarray]
    types: np.ndarray

    def take(self, rows: np.ndarray | slice) -> dict[str, np.ndarray]:
        """Return the inputs of some rows, in memory."""
        return {name: np.asarray(part[rows], np.float32) for name, part in self.inputs.items()}

    def blocks(self, size: int = 256) -> Iterator[dict[str, np.ndarray]]:
        """Yield the inputs block by block, in order."""
        for start in range(0, len(self.types), size):
            yield self.take(slice(start, start + size))


@dataclass(frozen=True)
class Fit:
    """What a training came to; the model itself holds the weights of the last epoch.

    `history` has for every epoch its number from 1, the ``loss`` on training rows (the mean of the
    classifiers'), ``validation_<metric>`` and ``seconds``. `stopped`: whether the caller broke it off.
    """

    history: list[Epoch]
    stopped: bool


class _Batches:
    """Training rows in an order of their own for every epoch, known from seed and epoch alone."""

    def __init__(self, rows: Rows, weights: np.ndarray, batch_size: int, seed: int) -> None:
        self.rows, self.weights, self.batch_size, self.seed = rows, weights, batch_size, seed

    def of_epoch(self, epoch: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows.types))
        for start in range(0, len(order), self.batch_size):
            # Sorted positions read a memory map front to back; order within a batch changes nothing.
            rows = np.sort(order[start : start + self.batch_size])
            yield self.rows.take(rows), self.rows.types[rows], self.weights[rows]


def weigh_samples(types: np.ndarray, n_types: int, rule: str) -> np.ndarray:
    """Weigh samples, of shape (n_samples,), against class imbalance; the mean weight is 1.

    By ``balanced`` every type weighs the same in sum, by ``sqrt`` half as much of that on a log scale.

    Examples
    --------
    >>> weigh_samples(np.array([0, 0, 0, 1]), 2, "balanced").astype(float).round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    power = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[rule]
    weights = (1.0 / np.maximum(np.bincount(types, minlength=n_types), 1)[types]) ** power
    return (weights / weights.mean()).astype(np.float32)


def fit_tail(
    model: keras.Model,
    training: Rows,
    validation: Rows,
    params: TrainingParams,
    *,
    checkpoint: Path | None = None,
    on_epoch: Callable[[Epoch], bool] = lambda _: False,
    quick: bool = False,
) -> Fit:
    """Train a tail for all its epochs and keep the last one: the rate has fallen to nothing by then.

    The same seed gives the same fit, whether or not it was interrupted.

    Parameters
    ----------
    model : keras.Model
        As `attach_head` gives it, centred; compiled here.
    training, validation : Rows
        Training rows are fitted, validation rows only scored: they change nothing.
    params : TrainingParams
        Epochs, rates, batch size, class weights, seed.
    checkpoint : pathlib.Path, optional
        Folder from which a broken-off training goes on; removed by the caller.
    on_epoch : callable
        Given every epoch's row of the history; returns True to break off.
    quick : bool
        Whether convolutions may round otherwise than TensorFlow's where that takes less time.

    Raises
    ------
    ParamsError
        If the loss does not stay finite.
    """
    n_types = model.outputs[0].shape[-1]
    compile_tail(model, params, len(training.types))
    weights = weigh_samples(training.types, n_types, params.class_weight)
    batches = _Batches(training, weights, params.batch_size, params.seed)
    history, stopped = _resume(model, checkpoint) if checkpoint else [], False
    step, predict = _trace_step(model), trace_prediction(model)
    with quick_convolutions(model) if quick else nullcontext():
        while not stopped and len(history) < params.epochs:
            started = time.perf_counter()
            loss = _train_epoch(step, batches.of_epoch(len(history))) / len(training.types)
            _check_finite(loss, len(history) + 1)
            scores = score(predict_types(predict, validation), validation.types)
            epoch = {"epoch": len(history) + 1, "loss": loss, "seconds": time.perf_counter() - started}
            history.append({**epoch, **{f"validation_{name}": value for name, value in scores.items()}})
            stopped = on_epoch(history[-1])
            # That it was broken off is the caller's to keep: a checkpoint that said so could outlive a kill,
            # and end a training of the same facts whose caller wants all of it.
            if checkpoint and not stopped:
                _record(model, checkpoint, history)
    return Fit(history, stopped)


def _check_finite(loss: float, epoch: int) -> None:
    if not np.isfinite(loss):
        raise ParamsError(
            f"The loss must stay finite, but got {loss} in epoch {epoch}. Lower training.learning_rate."
        )


def _trace_step(model: keras.Model) -> Callable[..., Any]:
    """Make the function that trains a compiled model on one batch and returns its classifiers' mean loss.

    What Keras's `train_on_batch` does, without its bookkeeping: that takes longer than all epochs of a small
    head. The optimiser's variables are made before, and the batch's size is open, so one trace is enough.
    """
    optimizer, variables = model.optimizer, model.trainable_variables
    optimizer.build(variables)

    def step(inputs: dict[str, Any], types: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            # Each classifier for itself: where only their mean had to be right, one would lean on the other.
            logits = model(inputs, training=True).values()
            loss = sum(model.loss(types, each, sample_weight=weights) for each in logits)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss / len(logits)

    signature = [sign(model), tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.float32)]
    return tf.function(step, input_signature=signature, autograph=False)


def _train_epoch(
    step: Callable[..., Any], batches: Iterable[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]
) -> float:
    """Train on every batch once and return the sum of losses."""
    return sum(len(types) * float(step(inputs, types, weights)) for inputs, types, weights in batches)


def predict_types(predict: Predict, rows: Rows) -> np.ndarray:
    """Return the probabilities that the classifiers' mean logits give, of shape (n_samples, n_types)."""
    blocks = [[part.numpy() for part in predict(block).values()] for block in rows.blocks()]
    logits = np.mean([np.concatenate(parts) for parts in zip(*blocks, strict=True)], axis=0, dtype=np.float64)
    return softmax(logits, axis=1)


def _record(model: keras.Model, checkpoint: Path, history: list[Epoch]) -> None:
    """Write weights under the epoch's name, then the state that names them: a kill between costs an epoch."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    weights = checkpoint / f"epoch-{len(history)}.npz"
    moving = [each.numpy() for each in _moving(model)]
    # Room first: a disk that runs full is then one message, and no half of a file is left.
    weights.touch()
    reserve(weights, sum(each.nbytes + _HEADERS for each in moving))
    with weights.open("r+b") as stream:
        np.savez(stream, *moving)
        stream.truncate()
    state = {"weights": weights.name, "history": history}
    fresh = checkpoint / "state.json.new"
    fresh.write_text(json.dumps(state), encoding="utf-8")
    fresh.replace(checkpoint / "state.json")
    for path in checkpoint.glob("epoch-*.npz"):
        if path != weights:
            path.unlink()


def _moving(model: keras.Model) -> list[Any]:
    """List all that an epoch changes: what trains, the optimiser, and what dropout draws from.

    The frozen rest is what the training began with, and is not written again after every epoch.
    """
    drawn = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    return [*model.trainable_variables, *model.optimizer.variables, *drawn]


def _resume(model: keras.Model, checkpoint: Path) -> list[Epoch]:
    """Load the last epoch's weights, optimiser and dropout; return its history."""
    path = checkpoint / "state.json"
    if not path.is_file():
        return []
    state = json.loads(path.read_text(encoding="utf-8"))
    model.optimizer.build(model.trainable_variables)
    with np.load(checkpoint / state["weights"]) as kept:
        for variable, name in zip(_moving(model), kept.files, strict=True):
            variable.assign(kept[name])
    history: list[Epoch] = state["history"]
    return history
