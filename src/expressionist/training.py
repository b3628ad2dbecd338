"""Train a tail on cached activations, with checkpoints that survive a kill."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from expressionist.cut import listed
from expressionist.disk import reserve
from expressionist.errors import ParamsError
from expressionist.metrics import score
from expressionist.params import TrainingParams

Epoch = dict[str, float]
# What a file of weights holds beside them, in bytes, and more.
_HEADERS = 2**20
# Metrics of which less is better; all others are shares.
FALLING = ("log_loss", "ece")


@dataclass(frozen=True)
class Rows:
    """Samples as a tail sees them.

    Parameters
    ----------
    activations : list of numpy.ndarray of shape (n_samples, ...)
        Frozen activations, usually memory-mapped.
    types : numpy.ndarray of shape (n_samples,)
        Tumour type of every sample, as a position.
    """

    activations: list[np.ndarray]
    types: np.ndarray

    def blocks(self, size: int = 256) -> Iterator[list[np.ndarray]]:
        """Yield the activations block by block, in order."""
        for start in range(0, len(self.types), size):
            yield [np.asarray(part[start : start + size], np.float32) for part in self.activations]


@dataclass(frozen=True)
class Fit:
    """What a training came to; the model itself holds the weights of the last epoch.

    Parameters
    ----------
    history : list of dict
        Per epoch: ``epoch`` (from 1), ``loss`` on training rows, ``validation_<metric>``, ``seconds``.
    stopped : bool
        Whether the caller broke the training off.
    """

    history: list[Epoch]
    stopped: bool

    @property
    def last(self) -> Epoch:
        """The last epoch's row of the history."""
        return self.history[-1]


class TwoRateAdamW(keras.optimizers.Adam):
    """AdamW (Loshchilov and Hutter 2019) with a lower rate, and no decay, for pretrained kernels.

    Parameters
    ----------
    slow : list of keras.Variable
        Variables that learn at the lower rate. Decaying them would pull them away from what they were
        pretrained to.
    ratio : float
        Their rate, as a share of the others'.
    decay : float
        Decoupled weight decay of the others, as a share of their learning rate.
    **kwargs : Any
        As for `keras.optimizers.Adam`.
    """

    def __init__(self, slow: list[Any], ratio: float, decay: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio, self.decay = ratio, decay
        self.slow_paths = {variable.path for variable in slow}
        self.slow_positions: set[int] = set()

    def build(self, variables: list[Any]) -> None:
        """Create the moments, and note which are slow: updates get TensorFlow's variables, without paths."""
        super().build(variables)
        self.slow_positions = {place for place, each in enumerate(variables) if each.path in self.slow_paths}

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable, at its rate, by TensorFlow's fused kernel.

        Its one pass over the variable and both moments takes a third of the time of Keras's chain of
        operations, and with millions of weights behind one small batch that time is a good part of a step.
        """
        place = self._get_variable_index(variable)
        if place in self.slow_positions:
            learning_rate = learning_rate * self.ratio
        else:
            variable.assign_sub(variable * (learning_rate * self.decay))
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class _Batches:
    """Training rows in an order of their own for every epoch, known from seed and epoch alone."""

    def __init__(self, rows: Rows, weights: np.ndarray, batch_size: int, seed: int) -> None:
        self.rows, self.weights, self.batch_size, self.seed = rows, weights, batch_size, seed

    def of_epoch(self, epoch: int) -> Iterator[tuple[list[np.ndarray], np.ndarray, np.ndarray]]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.rows.types))
        for start in range(0, len(order), self.batch_size):
            # Sorted positions read a memory map front to back; order within a batch changes nothing.
            rows = np.sort(order[start : start + self.batch_size])
            activations = [part[rows].astype(np.float32, copy=False) for part in self.rows.activations]
            yield activations, self.rows.types[rows], self.weights[rows]


def settle(choice: Mapping[str, Any], params: TrainingParams, dropout: float) -> tuple[TrainingParams, float]:
    """Put what a trial chose in the place of what params.yaml says.

    Parameters
    ----------
    choice : mapping
        May hold ``learning_rate`` and ``dropout``.
    params : TrainingParams
        Section of params.yaml.
    dropout : float
        Of `network` in params.yaml.

    Returns
    -------
    params : TrainingParams
        With the chosen rate.
    dropout : float
        The chosen one.
    """
    rate = choice.get("learning_rate", params.learning_rate)
    return replace(params, learning_rate=rate), choice.get("dropout", dropout)


def weigh_samples(types: np.ndarray, n_types: int, rule: str) -> np.ndarray:
    """Weigh samples against class imbalance.

    Parameters
    ----------
    types : numpy.ndarray of shape (n_samples,)
        Tumour types as positions.
    n_types : int
        Number of tumour types.
    rule : str
        ``none``; ``balanced``, every type weighs the same in sum; or ``sqrt``, half way (on a log scale) to
        it.

    Returns
    -------
    numpy.ndarray of shape (n_samples,)
        Weights with mean 1.

    Examples
    --------
    >>> weigh_samples(np.array([0, 0, 0, 1]), 2, "balanced").astype(float).round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    power = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[rule]
    weights = (1.0 / np.maximum(np.bincount(types, minlength=n_types), 1)[types]) ** power
    return (weights / weights.mean()).astype(np.float32)


def compile_tail(model: keras.Model, params: TrainingParams, n_samples: int) -> None:
    """Give a tail its loss and optimiser: cosine decay over all epochs, a lower rate below the head."""
    n_steps = params.epochs * -(-n_samples // params.batch_size)
    (classifier,) = (layer for layer in model._flatten_layers() if layer.name == "classifier")
    head = {variable.path for variable in classifier.variables}
    optimizer = TwoRateAdamW(
        slow=[variable for variable in model.trainable_variables if variable.path not in head],
        ratio=params.tail_learning_rate / params.learning_rate,
        learning_rate=keras.optimizers.schedules.CosineDecay(params.learning_rate, n_steps),
        decay=params.weight_decay,
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)


def fit_tail(
    model: keras.Model,
    training: Rows,
    validation: Rows,
    params: TrainingParams,
    *,
    checkpoint: Path | None = None,
    report: Callable[[Epoch], bool] = lambda _: False,
) -> Fit:
    """Train a tail for all its epochs and keep the last one: the rate has fallen to nothing by then.

    Parameters
    ----------
    model : keras.Model
        Frozen activations → logits, as `network.attach_head` gives it, centred; compiled here.
    training, validation : Rows
        Training rows are fitted, validation rows only scored: they change nothing.
    params : TrainingParams
        Epochs, rates, batch size, class weights, seed.
    checkpoint : pathlib.Path, optional
        Folder from which a broken-off training goes on; removed by the caller.
    report : callable
        Called with every epoch's row; returns True to break off.

    Raises
    ------
    ParamsError
        If the loss does not stay finite.

    Returns
    -------
    Fit
        History of the epochs. The same seed gives the same fit, whether or not it was interrupted.
    """
    n_types = model.output_shape[-1]
    compile_tail(model, params, len(training.types))
    weights = weigh_samples(training.types, n_types, params.class_weight)
    batches = _Batches(training, weights, params.batch_size, params.seed)
    history, stopped = _resume(model, checkpoint) if checkpoint else ([], False)
    while not stopped and len(history) < params.epochs:
        started = time.perf_counter()
        loss = _train_epoch(model, batches.of_epoch(len(history))) / len(training.types)
        if not np.isfinite(loss):
            raise ParamsError(
                f"The loss must stay finite, but got {loss} in epoch {len(history) + 1}. "
                "Lower training.learning_rate."
            )
        scores = score(predict_types(model, validation), validation.types)
        epoch = {"epoch": len(history) + 1, "loss": loss, "seconds": time.perf_counter() - started}
        history.append({**epoch, **{f"validation_{name}": value for name, value in scores.items()}})
        stopped = report(history[-1])
        if checkpoint:
            _record(model, checkpoint, history, stopped=stopped)
    return Fit(history, stopped)


def _train_epoch(
    model: keras.Model, batches: Iterable[tuple[list[np.ndarray], np.ndarray, np.ndarray]]
) -> float:
    """Train on every batch once and return the sum of losses.

    Batch by batch: the set-up of Keras's `fit` costs as much as an epoch of a head on frozen activations.
    """
    return sum(
        len(types) * float(model.train_on_batch(activations, types, sample_weight=weights))
        for activations, types, weights in batches
    )


def predict_types(model: keras.Model, rows: Rows) -> np.ndarray:
    """Return the probabilities of a tail, of shape (n_samples, n_types)."""
    (logits,) = (part.astype(np.float64) for part in predict_rows(model, rows))
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def predict_rows(model: keras.Model, rows: Rows) -> list[np.ndarray]:
    """Return a model's outputs for all rows, in memory: a list of arrays of shape (n_samples, ...)."""
    blocks = [listed(model.predict_on_batch(block)) for block in rows.blocks()]
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


def _record(model: keras.Model, checkpoint: Path, history: list[Epoch], *, stopped: bool) -> None:
    """Write weights under the epoch's name, then the state that names them: a kill between costs an epoch."""
    checkpoint.mkdir(parents=True, exist_ok=True)
    weights = checkpoint / f"epoch-{len(history)}.weights.h5"
    n_bytes = sum(4 * np.prod(each.shape) for each in (*model.variables, *model.optimizer.variables))
    # HDF5 that meets a full disk can take the process with it when it ends.
    weights.touch()
    reserve(weights, int(n_bytes) + _HEADERS)
    model.save_weights(weights)
    dropout = [each.numpy().tolist() for each in _random_states(model)]
    state = {"weights": weights.name, "history": history, "stopped": stopped, "dropout": dropout}
    fresh = checkpoint / "state.json.new"
    fresh.write_text(json.dumps(state), encoding="utf-8")
    fresh.replace(checkpoint / "state.json")
    for path in checkpoint.glob("epoch-*.weights.h5"):
        if path != weights:
            path.unlink()


def _random_states(model: keras.Model) -> list[Any]:
    """List what dropout draws from; Keras saves it neither with the weights nor with the optimiser."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def _resume(model: keras.Model, checkpoint: Path) -> tuple[list[Epoch], bool]:
    """Load the last epoch's weights, optimiser and dropout; return its history and whether it was ended."""
    path = checkpoint / "state.json"
    if not path.is_file():
        return [], False
    state = json.loads(path.read_text(encoding="utf-8"))
    model.optimizer.build(model.trainable_variables)
    model.load_weights(checkpoint / state["weights"])
    for variable, value in zip(_random_states(model), state["dropout"], strict=True):
        variable.assign(value)
    return state["history"], state["stopped"]
