"""What else a picture could show: pictures and classifiers of maps that are not built in, beside the shipped.

Run ``python benchmarks/pictures.py [scale] [contrast] ... [--cohort tcga-mirna-32] [--depth 0] [--seeds 1 2
3]``; without names, all. The network is mobilenet with the ImageNet weights of ../shared/weights, by the
picture alone (no genes, no ranks beside it), as that is what these levers change; everything else as in
params.yaml. Patients are divided as the pipeline divides them; what a lever learns, it learns from training
patients; test patients are left alone. Prints a table in Markdown: validation patients, mean and standard
deviation over the seeds, and the seconds of all epochs.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from levers import SHIPPED, Sides, change, paint, read_sides, tell, train_on
from pretraining import UNITS
from sklearn.feature_selection import f_classif

from expressionist.commands.params_file import read_params
from expressionist.network import CLASSIFIER
from expressionist.painting.images import ImageSet
from expressionist.painting.layout import Layout, square_shape
from expressionist.painting.layouts import place_genes
from expressionist.params.sections import Params
from expressionist.training import finetuner
from expressionist.training.finetuner import TrainingData
from expressionist.training.loop import Fit

Values = Callable[[np.ndarray], np.ndarray]
PICTURE_ALONE = {"network.genes": False, "network.rank_units": 0, "network.gain": False}
# Of what a channel may show, the third is far from both: t-SNE's clusters.
CHANNELS = ("coexpression", "random", "tsne")


@dataclass(frozen=True)
class Lever:
    """One thing made otherwise: values of the genes, their places, the classifier, or params."""

    # Given scaled training samples and their types, how to change scaled samples.
    values: Callable[[np.ndarray, np.ndarray], Values] | None = None
    # Given the same, which columns to paint (some perhaps more than once), and what to lay them out by.
    columns: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None
    by_type: bool = False
    methods: tuple[str, ...] = ()
    rank: int = 0
    params: dict[str, Any] = field(default_factory=dict)


def stretch(share: float, *, clip: bool) -> Callable[[np.ndarray, np.ndarray], Values]:
    """Take quantiles to 0 and 1 instead of the lowest and the highest value."""

    def learn(scaled: np.ndarray, types: np.ndarray) -> Values:
        low, high = np.quantile(scaled, [share, 1 - share], axis=0).astype(np.float32)
        span = np.where(high > low, high - low, np.float32(1))
        return lambda values: np.clip((values - low) / span, *((0, 1) if clip else (None, None)))

    return learn


def standardise(scaled: np.ndarray, types: np.ndarray) -> Values:
    """Take two standard deviations below and above the mean to 0 and 1."""
    mean, spread = scaled.mean(axis=0), scaled.std(axis=0)
    return lambda values: 0.5 + (values - mean) / (4 * np.where(spread > 0, spread, 1))


def bend(power: float) -> Callable[[np.ndarray, np.ndarray], Values]:
    """Raise what lies above the lowest value to a power."""
    return lambda scaled, types: lambda values: np.maximum(values, 0) ** np.float32(power)


def amplify(scaled: np.ndarray, types: np.ndarray) -> Values:
    """Multiply differences from the mean by what a gene tells of the types: root of its F over the mean's."""
    told = np.sqrt(np.nan_to_num(f_classif(scaled, types)[0]))
    gain = np.clip(told / told.mean(), 0.25, 4).astype(np.float32)
    mean = scaled.mean(axis=0)
    return lambda values: mean + (values - mean) * gain


def repeat_informative(scaled: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Give four pixels, which coexpression places side by side, to the quarter that tells types best."""
    told = np.nan_to_num(f_classif(scaled, types)[0])
    best = np.argsort(-told)[: len(told) // 4]
    return np.concatenate([np.arange(len(told)), np.repeat(best, 3)])


def keep_informative(scaled: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Take the half of the genes that tells types best."""
    told = np.nan_to_num(f_classif(scaled, types)[0])
    return np.sort(np.argsort(-told)[: len(told) // 2])


LEVERS: dict[str, dict[str, Lever]] = {
    "scale": {
        "lowest to highest": Lever(),
        "1% to 99%": Lever(values=stretch(0.01, clip=False)),
        "1% to 99%, cut off": Lever(values=stretch(0.01, clip=True)),
        "mean ± 2 standard deviations": Lever(values=standardise),
    },
    "contrast": {"square root": Lever(values=bend(0.5)), "square": Lever(values=bend(2.0))},
    "gain": {
        "by F of the types": Lever(values=amplify),
        "by logistic regression": Lever(params={"network.gain": True}),
    },
    "magnification": {
        "best quarter on 2 x 2 places": Lever(columns=repeat_informative),
        "best half alone": Lever(columns=keep_informative),
    },
    "layout": {"by the types' means": Lever(by_type=True)},
    "channels": {" / ".join(CHANNELS): Lever(methods=CHANNELS)},
    "maps": {"2, 4, 8, 32": Lever(params={"network.strides": (2, 4, 8, 32)})},
    "rank of the classifier": {str(rank): Lever(rank=rank) for rank in (8, 16, 32)},
}


def repaint(data: TrainingData, sides: Sides, params: Params, lever: Lever, seed: int) -> TrainingData:
    """Paint as a lever says what `paint` has painted as shipped."""
    genes = sides.genes.loc[data.layout.genes]
    scaled = {
        side: data.scale.apply(log2[:, sides.genes.index.get_indexer(genes.index)])
        for side, log2 in sides.log2.items()
    }
    training, types = scaled["train"], sides.types["train"]
    columns = np.arange(len(genes)) if lever.columns is None else lever.columns(training, types)
    # Copies need names of their own.
    placed = genes.iloc[columns].set_axis(
        [f"{genes.index[each]} {place}" for place, each in enumerate(columns)]
    )
    seen = np.stack([training[types == each].mean(axis=0) for each in np.unique(types)])
    seen = (seen if lever.by_type else training)[:, columns]
    shape = square_shape(len(columns))
    layouts = []
    for number, method in enumerate(lever.methods or (params.layout.method,)):
        pixel = place_genes(method, seen, placed, shape, np.random.default_rng([seed, number]))
        layouts.append(Layout(placed.index.to_numpy(str), pixel, shape, method))
    values = lever.values(training, types) if lever.values else lambda given: given
    images = [
        ImageSet(
            np.concatenate([each.paint(values(scaled[side])[:, columns]) for each in layouts], axis=-1),
            sides.types[side],
            f"{side} {seed} {lever}",
            sides.patients[side],
        )
        for side in ("train", "validation")
    ]
    return TrainingData(*images, data.tumour_types, layouts[0], data.scale, data.about)


class _OfLowRank(keras.layers.Dense):
    """A classifier whose weights are a product of two narrow matrices."""

    rank = 0

    def build(self, shape: tuple[int | None, ...]) -> None:
        super().build(shape)
        self.first = self.add_weight(shape=(shape[-1], self.rank), initializer="glorot_uniform", name="first")
        self.second = self.add_weight(shape=(self.rank, self.units), initializer="zeros", name="second")
        self._kernel.trainable = False

    def call(self, inputs: Any, **_: Any) -> Any:
        return keras.ops.matmul(keras.ops.matmul(inputs, self.first), self.second) + self.bias


def show_channels(shape: tuple[int, int], magnify: int, mode: str) -> keras.Model:
    """Take three channels to the backbone's input, as `image_front` takes one, whatever `mode`: tf."""
    images = keras.Input((*shape, 3), name="image")
    return keras.Model(images, keras.layers.UpSampling2D(magnify)(images) * 2.0 - 1.0, name="front")


@contextmanager
def replaced(lever: Lever) -> Iterator[None]:
    """Make the network as a lever says, from outside."""
    dense = keras.layers.Dense

    def choose(*given: Any, **keys: Any) -> keras.layers.Layer:
        return (_OfLowRank if keys.get("name") == CLASSIFIER else dense)(*given, **keys)

    with ExitStack() as stack:
        if lever.rank:
            stack.enter_context(mock.patch.object(_OfLowRank, "rank", lever.rank))
            stack.enter_context(mock.patch.object(keras.layers, "Dense", choose))
        if lever.methods:
            stack.enter_context(mock.patch.object(finetuner, "image_front", show_channels))
        yield


def judge(sides: Sides, params: Params, lever: Lever, depth: int, seed: int, cache: Path) -> Fit:
    """Train by a lever's pictures on training samples."""
    data = paint(sides, params, seed)[0]
    if lever != Lever(rank=lever.rank, params=lever.params):
        data = repaint(data, sides, params, lever, seed)
    with replaced(lever):
        return train_on(data, params, depth, seed, cache)[1].fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("levers", nargs="*", help=f"of {', '.join(LEVERS)}")
    parser.add_argument("--cohort", choices=UNITS, default="tcga-mirna-32")
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked = parser.parse_args()
    shipped = change(read_params(SHIPPED), PICTURE_ALONE)
    sides = read_sides(shipped, asked.cohort, UNITS[asked.cohort])
    print(
        "| lever | set to | accuracy | macro-F1 | log-loss | seconds |\n|---|---|---|---|---|---|", flush=True
    )
    for name in asked.levers or LEVERS:
        for setting, lever in LEVERS[name].items():
            params = change(shipped, lever.params)
            with tempfile.TemporaryDirectory() as cache:
                fits = [judge(sides, params, lever, asked.depth, seed, Path(cache)) for seed in asked.seeds]
            print(f"| {name} | {setting} | {tell(fits)} |", flush=True)


if __name__ == "__main__":
    main()
