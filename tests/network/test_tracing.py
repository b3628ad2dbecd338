import keras
import numpy as np
import pytest

from expressionist.network.tracing import trace_prediction


class Noting(keras.layers.Layer):
    """Passes on what it gets, and notes the batch's size as it was when Python last ran it."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def call(self, values):
        self.sizes.append(values.shape[0])
        return values


@pytest.fixture
def inputs():
    return keras.Input((3,))


def test_any_number_of_samples_takes_one_trace(inputs):
    noting = Noting()
    model = keras.Model(inputs, noting(inputs))
    noting.sizes.clear()
    for n_samples in (4, 1, 7):
        # What is asked for again is what there is.
        predict = trace_prediction(model)
        rows = np.arange(3.0 * n_samples, dtype=np.float32).reshape(n_samples, 3)
        found = predict(rows)
        np.testing.assert_array_equal(found, rows)
    assert noting.sizes == [None]


def test_several_outputs_come_in_their_order_as_they_are_when_not_training(inputs):
    dropped = keras.layers.Dropout(0.9)(inputs)
    predict = trace_prediction(keras.Model(inputs, [dropped * 2, dropped]))
    twice, once = predict(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(twice, np.full((2, 3), 2))
    np.testing.assert_array_equal(once, np.ones((2, 3)))
