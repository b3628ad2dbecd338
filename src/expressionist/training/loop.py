"""Train a tail on cached activations, with checkpoints that survive a kill."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from expressionist.errors import ParamsError
from expressionist.evaluation import score
from expressionist.files import reserve
from expressionist.network import LINEAR, Predict, sign, trace_prediction
from expressionist.params import TrainingParams
from expressionist.training.optimiser import compile_tail

Epoch = dict[str, float]
# What a file of arrays holds beside them, in bytes, and more.
_HEADERS = 2**16


class Readable(Protocol):
    """What gives some of its rows, by ascending positions or a slice, as an array does."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Return these rows."""


@dataclass(frozen=True)
class Rows:
    """Samples as a tail sees them: its inputs by name, usually memory-mapped, and their tumour types."""

    inputs: Mapping[str, Readable]
    # As positions, of shape (n_samples,).
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
    """What a training came to; the model itself holds the weights of the last epoch."""

    # Of every epoch its number from 1, the loss on training rows (the mean of the classifiers' that train),
    # validation_<metric> and seconds.
    history: list[Epoch]
    # Whether the caller broke it off.
    stopped: bool


def _draw_batches(
    rows: Rows, weights: np.ndarray, params: TrainingParams, epoch: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]]:
    """Yield all rows in an order of the epoch's own, known from seed and epoch alone."""
    order = np.random.default_rng([params.seed, epoch]).permutation(len(rows.types))
    for start in range(0, len(order), params.batch_size):
        # Sorted positions read a memory map front to back; order within a batch changes nothing.
        chosen = np.sort(order[start : start + params.batch_size])
        yield rows.take(chosen), rows.types[chosen], weights[chosen]


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
) -> Fit:
    """Train a centred tail for all its epochs and keep the last one: the rate has fallen to nothing by then.

    Validation rows are only scored. A training that was broken off goes on from `checkpoint`, which the
    caller removes, and ends the same; `on_epoch` is given every row of the history, and returns True to end.
    """
    n_types = model.outputs[0].shape[-1]
    compile_tail(model, params, len(training.types))
    weights = weigh_samples(training.types, n_types, params.class_weight)
    history, stopped = _resume(model, checkpoint) if checkpoint else [], False
    step, predict = _trace_step(model), trace_prediction(model)
    while not stopped and len(history) < params.epochs:
        started = time.perf_counter()
        batches = _draw_batches(training, weights, params, len(history))
        loss = sum(len(batch[1]) * float(step(*batch)) for batch in batches) / len(training.types)
        if not np.isfinite(loss):
            raise ParamsError(
                f"The loss must stay finite, but got {loss} in epoch {len(history) + 1}. "
                "Lower training.learning_rate."
            )
        scores = score(predict_types(predict, validation), validation.types)
        epoch = {"epoch": len(history) + 1, "loss": loss, "seconds": time.perf_counter() - started}
        history.append({**epoch, **{f"validation_{name}": value for name, value in scores.items()}})
        stopped = on_epoch(history[-1])
        # That it was broken off is the caller's to keep: a checkpoint that said so could outlive a kill,
        # and end a training of the same facts whose caller wants all of it.
        if checkpoint and not stopped:
            _record(model, checkpoint, history)
    return Fit(history, stopped)


def _trace_step(model: keras.Model) -> Callable[..., Any]:
    """Make the function that trains a compiled model on one batch and returns its classifiers' mean loss.

    Keras's `train_on_batch` without its bookkeeping, which takes longer than all epochs of a small head.
    """
    optimizer, variables = model.optimizer, model.trainable_variables
    # With its variables made before, and the batch's size open, one trace is enough.
    optimizer.build(variables)

    def step(inputs: dict[str, Any], types: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            # Each classifier for itself: where only their mean had to be right, one would lean on the other.
            logits = model(inputs, training=True)
            losses = [
                model.loss(types, each, sample_weight=weights)
                for name, each in logits.items()
                # That is fitted already; alone, its loss is all that there is to tell.
                if name != LINEAR or len(logits) == 1
            ]
            loss = sum(losses)
        optimizer.apply(tape.gradient(loss, variables), variables)
        return loss / len(losses)

    signature = [sign(model), tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.float32)]
    return tf.function(step, input_signature=signature, autograph=False)


def predict_types(predict: Predict, rows: Rows) -> np.ndarray:
    """Return the probabilities that the classifiers' mean logits give, of shape (n_samples, n_types)."""
    logits = list(predict_by_classifier(predict, rows).values())
    return softmax(np.mean(logits, axis=0, dtype=np.float64), axis=1)


def predict_by_classifier(predict: Predict, rows: Rows) -> dict[str, np.ndarray]:
    """Return every classifier's logits, of shape (n_samples, n_types)."""
    blocks = [{name: part.numpy() for name, part in predict(block).items()} for block in rows.blocks()]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


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
    """List all that an epoch changes: what trains, the optimiser, and what dropout draws from."""
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
    return state["history"]
