"""The optimiser of a tail: AdamW with a rate and a decay for every kind of layer."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from expressionist.network import CLASSIFIER, RANK_LAYERS
from expressionist.params import TrainingParams

# As Keras and PyTorch have them.
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7


class GroupedAdamW(keras.optimizers.Optimizer):
    """AdamW (Loshchilov and Hutter 2019) with a rate and a decay for every group of variables.

    By TensorFlow's fused kernel, which takes a third of the time of Keras's chain of operations: a good part
    of a step with millions of weights.
    """

    def __init__(self, rules: Mapping[str, tuple[float, float]], learning_rate: Any) -> None:
        super().__init__(learning_rate)
        # By path of a variable: its rate as a share of the optimiser's, and its decay as a share of its rate.
        self.rules = rules
        self.slots: dict[Any, tuple[tuple[float, float], Any, Any]] = {}

    def build(self, variables: list[Any]) -> None:
        """Create both moments of every variable, and note its rule."""
        if self.built:
            return
        super().build(variables)
        for each in variables:
            moments = (self.add_variable_from_reference(each, name) for name in ("momentum", "velocity"))
            # Updates get TensorFlow's variables, without paths.
            self.slots[each.value.ref()] = (self.rules[each.path], *moments)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable, at its rate."""
        (ratio, decay), momentum, velocity = self.slots[variable.ref()]
        learning_rate = learning_rate * ratio
        if decay:
            variable.assign_sub(variable * (learning_rate * decay))
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.value.handle,
            v=velocity.value.handle,
            beta1_power=tf.pow(_BETA_1, step),
            beta2_power=tf.pow(_BETA_2, step),
            lr=learning_rate,
            beta1=_BETA_1,
            beta2=_BETA_2,
            epsilon=_EPSILON,
            grad=gradient,
        )


def compile_tail(model: keras.Model, params: TrainingParams, n_samples: int) -> None:
    """Give a tail its loss and optimiser: cosine decay over all epochs, a rate for each kind of layer."""
    n_steps = params.epochs * -(-n_samples // params.batch_size)
    rate, decay = params.learning_rate, params.weight_decay

    def find_rule(layer: str) -> tuple[float, float]:
        if layer == CLASSIFIER:
            return 1.0, decay
        if layer in RANK_LAYERS:
            return params.rank_learning_rate / rate, decay
        # Decay would pull pretrained kernels away from what they were pretrained to.
        return params.tail_learning_rate / rate, 0.0

    # The path of a variable ends with its layer's name and its own.
    rules = {each.path: find_rule(each.path.split("/")[-2]) for each in model.trainable_variables}
    schedule = keras.optimizers.schedules.CosineDecay(rate, n_steps)
    optimizer = GroupedAdamW(rules, learning_rate=schedule)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
