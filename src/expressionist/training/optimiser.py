"""The optimiser of a tail: AdamW with a rate and a decay for every kind of layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from expressionist.network import CLASSIFIER, RANK_LAYERS
from expressionist.params import TrainingParams


@dataclass(frozen=True)
class Group:
    """Variables that learn alike.

    Parameters
    ----------
    variables : list of keras.Variable
        Of one model.
    ratio : float
        Their rate, as a share of the optimiser's.
    decay : float
        Their decoupled weight decay, as a share of their rate.
    """

    variables: list[Any]
    ratio: float
    decay: float


class GroupedAdamW(keras.optimizers.Adam):
    """AdamW (Loshchilov and Hutter 2019) with a rate and a decay for every group of variables.

    Parameters
    ----------
    groups : sequence of Group
        Each variable that trains is in one of them.
    **kwargs : Any
        As for `keras.optimizers.Adam`.
    """

    def __init__(self, groups: Sequence[Group], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rules = {each.path: (group.ratio, group.decay) for group in groups for each in group.variables}
        self.rule_at: list[tuple[float, float]] = []

    def build(self, variables: list[Any]) -> None:
        """Create the moments, and note every rule: updates get TensorFlow's variables, without paths."""
        super().build(variables)
        self.rule_at = [self.rules[each.path] for each in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable, at its rate, by TensorFlow's fused kernel.

        Its one pass over the variable and both moments takes a third of the time of Keras's chain of
        operations, and with millions of weights behind one small batch that time is a good part of a step.
        """
        place = self._get_variable_index(variable)
        ratio, decay = self.rule_at[place]
        learning_rate = learning_rate * ratio
        if decay:
            variable.assign_sub(variable * (learning_rate * decay))
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


def compile_tail(model: keras.Model, params: TrainingParams, n_samples: int) -> None:
    """Give a tail its loss and optimiser: cosine decay over all epochs, a rate for each kind of layer."""
    n_steps = params.epochs * -(-n_samples // params.batch_size)
    layer_of = {
        variable.path: layer.name
        for layer in model._flatten_layers()
        for variable in layer.trainable_variables
    }

    def group(rate: float, decay: float, belongs: Callable[[str], bool]) -> Group:
        chosen = [each for each in model.trainable_variables if belongs(layer_of[each.path])]
        return Group(chosen, rate / params.learning_rate, decay)

    rate, decay = params.learning_rate, params.weight_decay
    groups = [
        group(rate, decay, lambda name: name == CLASSIFIER),
        group(params.rank_learning_rate, decay, lambda name: name in RANK_LAYERS),
        # Decay would pull pretrained kernels away from what they were pretrained to.
        group(params.tail_learning_rate, 0.0, lambda name: name not in (CLASSIFIER, *RANK_LAYERS)),
    ]
    schedule = keras.optimizers.schedules.CosineDecay(rate, n_steps)
    optimizer = GroupedAdamW(groups, learning_rate=schedule)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
