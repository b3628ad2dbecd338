"""Graphs of models that serve any number of samples: a second size of batch is not traced anew."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

Predict = Callable[[Sequence[Any]], list[Any]]
_KEPT = "traced_prediction"


def sign(model: keras.Model) -> list[tf.TensorSpec]:
    """Describe a model's inputs, the number of samples left open."""
    return [tf.TensorSpec(each.shape, each.dtype) for each in model.inputs]


def trace_prediction(model: keras.Model) -> Predict:
    """Make the function that takes a model's inputs, a list, and returns its outputs, a list of tensors.

    Kept with the model, as Keras keeps that of `predict_on_batch`, but traced once for all sizes of batch:
    tracing a deep backbone takes as long as predicting hundreds of samples.
    """

    def predict(parts: Sequence[Any]) -> list[Any]:
        return listed(model(parts if len(parts) > 1 else parts[0], training=False))

    if not hasattr(model, _KEPT):
        setattr(model, _KEPT, tf.function(predict, input_signature=[sign(model)], autograph=False))
    kept: Predict = getattr(model, _KEPT)
    return kept


def listed(tensors: Any) -> list[Any]:
    """Return the tensors of a model's input or output as a list, also where Keras gives a single one bare."""
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
