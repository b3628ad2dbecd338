import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from expressionist.network.convolution import convolve_small, quick_convolutions


def draw(*shape, seed):
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def differentiate(convolve, maps, kernel):
    """The convolution, and its gradients with regard to maps and kernel."""
    with tf.GradientTape() as tape:
        tape.watch([maps, kernel])
        found = convolve(maps, kernel)
        total = tf.reduce_sum(found * draw(*found.shape, seed=9))
    return [found, *tape.gradient(total, [maps, kernel])]


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 4), (6, 6), (7, 7), (8, 8), (2, 7), (5, 3)])
def test_products_give_what_a_convolution_and_its_gradients_give(shape):
    maps, kernel = draw(3, *shape, 5, seed=1), draw(3, 3, 5, 4, seed=2)
    expected = differentiate(lambda *given: ops.conv(*given, padding="same"), maps, kernel)
    for ours, theirs in zip(differentiate(convolve_small, maps, kernel), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())


def make_model():
    """Convolutions of all kinds; the small maps come last."""
    layers = keras.layers
    maps = keras.Input((12, 12, 8))
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="large_map")(maps)
    x = layers.Conv2D(128, 3, strides=2, padding="same", activation="relu", name="strided")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="small_map")(x)
    x = layers.Conv2D(16, 3, padding="same", name="few_filters")(x)
    x = layers.Conv2D(8, 1, use_bias=False, name="pointwise")(x)
    x = layers.Conv2D(8, 3, padding="same", groups=2, name="grouped")(x)
    x = layers.Conv2D(8, 3, padding="same", dilation_rate=2, name="dilated")(x)
    return keras.Model(maps, layers.Conv2D(8, 3, padding="valid", name="cropping")(x))


def test_a_model_computes_the_same_and_is_itself_again_afterwards(monkeypatch):
    model, maps = make_model(), draw(2, 12, 12, 8, seed=3)
    expected, asked = model(maps), []
    monkeypatch.setattr(
        "expressionist.network.convolution.convolve_small",
        lambda maps, kernel: asked.append(kernel.shape) or convolve_small(maps, kernel),
    )
    with quick_convolutions(model):
        found = tf.function(model)(maps)
    assert asked == [(3, 3, 128, 128)], "only one of its layers has a small map and many channels"
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert not any("convolution_op" in vars(layer) for layer in model.layers)
    np.testing.assert_array_equal(model(maps), expected)
    assert len(asked) == 1


def test_an_error_in_the_block_leaves_no_trace():
    model = make_model()
    changed = []

    def fail():
        with quick_convolutions(model):
            changed.extend(layer.name for layer in model.layers if "convolution_op" in vars(layer))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert changed == ["large_map", "small_map", "few_filters", "pointwise"]
    assert not any("convolution_op" in vars(layer) for layer in model.layers)


def test_nothing_changes_where_a_gpu_has_kernels_of_its_own(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    model = make_model()
    with quick_convolutions(model):
        assert not any("convolution_op" in vars(layer) for layer in model.layers)
