"""What an accelerator brings, and what half precision and XLA would add: for a machine that has one.

Run ``python benchmarks/gpu.py [--backbones xception densenet169 resnet50 vgg19] [--side 102]
[--minutes 10]`` on whatever TensorFlow sees. For every backbone at random weights, arithmetic (``float32``,
``mixed_bfloat16``, ``mixed_float16``: Keras's policies, under which weights stay float32) and compiler (none,
XLA): images a second of a whole forward pass, as the frozen prefix makes it, at the best size of batch that
fits; images a second of a step that trains the whole last block, in batches of 32; and how far the last maps
are from those in float32 without XLA, as a share of their spread. Rows end when the minutes are over. The
pipeline computes in float32 without XLA: a row that is worth another setting would have to be found here.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from expressionist.network.backbones import build_backbone
from expressionist.network.cut import divide, last_block_depth

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
SIZES, N_TRAINED, N_TYPES = (32, 128, 512), 32, 33
# Seconds of measuring, after a first call that traces and compiles.
LEAST = 2.0


def measure(step: Callable[[], Any], n_images: int) -> float:
    """Return images a second."""
    step()
    begun, n_steps = time.perf_counter(), 0
    while n_steps == 0 or time.perf_counter() - begun < LEAST:
        step()
        n_steps += 1
    return n_steps * n_images / (time.perf_counter() - begun)


def measure_forward(backbone: keras.Model, images: np.ndarray, *, xla: bool) -> tuple[float, int]:
    """Return the most images a second of a forward pass, and the size of its batches."""
    predict, found = tf.function(lambda given: backbone(given, training=False), jit_compile=xla), []
    for size in SIZES:
        batch = tf.constant(images[:size])
        try:
            found.append((measure(lambda batch=batch: predict(batch).numpy(), len(batch)), len(batch)))
        except tf.errors.ResourceExhaustedError:
            break
    return max(found)


def measure_training(backbone: keras.Model, name: str, images: np.ndarray, *, xla: bool) -> float:
    """Return images a second of a step on frozen activations, of all that a last block has."""
    division = divide(backbone, last_block_depth(name, backbone), (32,), average=True)
    frozen = division.prefix(images[:N_TRAINED], training=False)
    pooled = keras.layers.GlobalAveragePooling2D()(division.tail.output[division.maps[-1]])
    logits = keras.layers.Dense(N_TYPES, dtype="float32")(pooled)
    model = keras.Model(division.tail.input, logits)
    optimizer, variables = keras.optimizers.AdamW(1e-4), model.trainable_variables
    if keras.config.dtype_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    types = tf.constant(np.arange(N_TRAINED) % N_TYPES)
    judge = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function(jit_compile=xla)
    def step(given: list[tf.Tensor]) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = judge(types, model(given, training=False))
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, variables), variables)
        return loss

    given = [frozen[each] for each in division.read]
    return measure(lambda: step(given).numpy(), N_TRAINED)


def compare(name: str, images: np.ndarray, end: float) -> Iterator[list[str]]:
    """Yield a row for every arithmetic and compiler."""
    exact = None
    for policy, xla in product(POLICIES, (False, True)):
        if time.perf_counter() > end:
            return
        keras.config.set_dtype_policy(policy)
        try:
            backbone = build_backbone(name, images.shape[1:3], None, seed=1)
            maps = np.asarray(tf.cast(backbone(images[:N_TRAINED], training=False), tf.float32))
            exact = maps if exact is None else exact
            forward, size = measure_forward(backbone, images, xla=xla)
            training = measure_training(backbone, name, images, xla=xla)
        finally:
            keras.config.set_dtype_policy("float32")
        gap = np.abs(maps - exact).max() / exact.std()
        yield [
            name,
            policy,
            "XLA" if xla else "none",
            f"{forward:,.0f}",
            f"{size}",
            f"{training:,.0f}",
            f"{gap:.1e}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["xception", "densenet169", "resnet50", "vgg19"])
    parser.add_argument("--side", type=int, default=102, help="of the images, in pixels")
    parser.add_argument("--minutes", type=float, default=10.0)
    asked = parser.parse_args()
    end = time.perf_counter() + 60 * asked.minutes
    found = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details
    devices = ", ".join(details(each).get("device_name", each.name) for each in found)
    print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, on {devices or 'processors only'}\n")
    names = [
        "backbone",
        "arithmetic",
        "compiler",
        "forward, images/s",
        "batch",
        "training, images/s",
        "maps differ by",
    ]
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")
    images = np.random.default_rng(1).random((max(SIZES), asked.side, asked.side, 3), np.float32)
    for name in asked.backbones:
        for row in compare(name, images, end):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
