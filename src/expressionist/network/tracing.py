"""Graphs of models that serve any number of samples: a second size of batch is not traced anew."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Predict = Callable[[Any], Any]
_KEPT = "traced_prediction"


def sign(model: keras.Model) -> Any:
    """Describe a model's input (an array, a list or a dict of them), the number of samples left open."""
    return keras.tree.map_structure(lambda each: tf.TensorSpec(each.shape, each.dtype), model.input)


def trace_prediction(model: keras.Model) -> Predict:
    """Make the function that takes what a model takes, and returns what it returns, as tensors.

    Kept with the model, as Keras keeps that of `predict_on_batch`, but traced once for all sizes of batch:
    tracing a deep backbone takes as long as predicting hundreds of samples.
    """
    if not hasattr(model, _KEPT):
        traced = tf.function(
            lambda given: model(given, training=False), input_signature=[sign(model)], autograph=False
        )
        setattr(model, _KEPT, traced)
    return getattr(model, _KEPT)
