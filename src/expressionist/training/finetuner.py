"""Fine-tune one backbone at one depth: cut it, take frozen activations from the cache, train the rest."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.data import Scale
from expressionist.files import digest_code
from expressionist.network import (
    Centre,
    Division,
    Ranks,
    Weights,
    assemble,
    attach_head,
    build_backbone,
    centre_head,
    choose_magnification,
    choose_strides,
    divide,
    find_backbone,
    find_weights,
    fit_ranks,
    image_front,
    last_block_depth,
)
from expressionist.painting import ImageSet, Layout, read_image_sets, read_layout
from expressionist.params import NetworkParams, TrainingParams, WeightsParams
from expressionist.training.activation_cache import ActivationCache, digest
from expressionist.training.activations import FrozenActivations
from expressionist.training.loop import Epoch, Fit, Rows, fit_tail
from expressionist.training.workspace import Workspace

# What the head is like, besides its dropout.
_HEAD = ("head", "genes", "gene_dropout", "rank_units")


@dataclass(frozen=True)
class TrainingData:
    """Painted training and validation samples, their types' names, and how they were painted."""

    training: ImageSet
    validation: ImageSet
    tumour_types: list[str]
    layout: Layout
    scale: Scale
    # What else the layout's file says: unit, cohort, synthetic.
    about: Mapping[str, Any]


@dataclass(frozen=True)
class FineTuned:
    """A training's outcome: everything by which `FineTuner.assemble` makes the network again.

    Parameters
    ----------
    depth, dropout, seed, ranks
        As given to `FineTuner.fit`.
    fit : Fit
        History of the training.
    weights : list of numpy.ndarray
        Of tail and head, after the last epoch.
    cut : str
        Layer at whose output the prefix ends.
    unfrozen : tuple of str
        Layers of the backbone that trained, from the head down.
    n_unfrozen_parameters : int
        Number of their parameters; the head's are not counted.
    """

    depth: int
    dropout: float
    seed: int
    ranks: bool
    fit: Fit
    weights: list[np.ndarray]
    cut: str
    unfrozen: tuple[str, ...]
    n_unfrozen_parameters: int


class FineTuner:
    """Trains one backbone on one set of images, at any depth.

    Parameters
    ----------
    backbone : str
        Row of the table of backbones.
    weights : Weights
        What the backbone is initialised with; names it in the cache.
    weights_path : pathlib.Path or None
        File to load; None for random weights.
    data : TrainingData
        What is trained on.
    network : NetworkParams
        Image size and head.
    cache : ActivationCache
        Keeps frozen activations.
    weights_seed : int
        Seed of random weights.
    """

    def __init__(
        self,
        backbone: str,
        weights: Weights,
        weights_path: Path | None,
        data: TrainingData,
        network: NetworkParams,
        cache: ActivationCache,
        *,
        weights_seed: int = 0,
    ) -> None:
        row = find_backbone(backbone)
        self.backbone, self.weights, self.weights_path = backbone, weights, weights_path
        self.data, self.network, self.weights_seed = data, network, weights_seed
        shape = data.training.images.shape[1:3]
        self.magnify = choose_magnification(shape, network.magnify, network.side, row)
        self.front = image_front(shape, self.magnify, row.mode)
        self.ranks = fit_ranks(data.layout, data.scale) if network.rank_units else None
        self._cache = cache
        # What no trial changes.
        self._centres: dict[tuple[tuple[str, ...], int], list[list[np.ndarray]]] = {}
        # What trials have changed: the weights that such layers had at first.
        self._initial: dict[str, list[np.ndarray]] = {}

    def build(self) -> keras.Model:
        """Build the backbone with its initial weights."""
        side = self.front.output.shape[1:3]
        return build_backbone(self.backbone, side, self.weights_path, seed=self.weights_seed)

    @cached_property
    def _built(self) -> keras.Model:
        """The backbone of all trials: building one takes as long as many an epoch."""
        return self.build()

    @cached_property
    def _frozen(self) -> FrozenActivations:
        return FrozenActivations(self.front, self._built, self._cache)

    def last_block_depth(self) -> int:
        """Return the greatest depth that stays inside the last block."""
        return last_block_depth(self.backbone, self._built)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Strides of the maps that the head looks at, from the finest to the coarsest."""
        given = self.network.strides
        return choose_strides(self._built, self.magnify) if given is None else tuple(sorted(set(given)))

    def fit(
        self,
        depth: int,
        dropout: float,
        params: TrainingParams,
        *,
        checkpoints: Path,
        ranks: bool = True,
        on_epoch: Callable[[Epoch], bool] = lambda _: False,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> FineTuned:
        """Train at one depth.

        Parameters
        ----------
        depth : int
            Fine-tune depth.
        dropout : float
            Of the head.
        params : TrainingParams
            Epochs, rates, batch size, class weights, seed.
        checkpoints : pathlib.Path
            Folder in which a broken-off training of exactly these facts finds where it was.
        ranks : bool
            Whether to train the classifier of ranks too, if the network has one.
        on_epoch : callable
            Given every epoch's row of the history; returns True to break off.
        on_progress : callable
            Told how many images have passed the prefix.
        """
        ranker = self.ranks if ranks else None
        division, model = self._build_tail(depth, dropout, params.seed, ranker)
        training, validation = (
            self._take(division, images, ranker, on_progress)
            for images in (self.data.training, self.data.validation)
        )
        self._centre(model, division, training)
        facts = {
            **self._facts,
            "strides": self.strides,
            "dropout": dropout,
            "head": [getattr(self.network, name) for name in _HEAD],
            "ranks": ranker.digest() if ranker else None,
            "rows": [self.data.training.labelled_digest, self.data.validation.labelled_digest],
            "tumour_types": self.data.tumour_types,
        }
        checkpoint = checkpoints / digest({**facts, "depth": depth, "training": asdict(params)})
        fit = fit_tail(model, training, validation, params, checkpoint=checkpoint, on_epoch=on_epoch)
        if checkpoint.is_dir():
            shutil.rmtree(checkpoint)
        trained = division.tail.trainable_variables if division.tail else []
        return FineTuned(
            depth,
            dropout,
            params.seed,
            ranker is not None,
            fit,
            model.get_weights(),
            cut=division.kept[-1],
            unfrozen=division.unfrozen,
            n_unfrozen_parameters=int(sum(np.prod(variable.shape) for variable in trained)),
        )

    def assemble(self, tuned: FineTuned) -> keras.Model:
        """Stitch the whole network together, from expression to probabilities, with a training's weights.

        Its layers are this tuner's, whose next training starts them anew: save it, or predict, before.
        """
        data, ranks = self.data, self.ranks if tuned.ranks else None
        division, model = self._build_tail(tuned.depth, tuned.dropout, tuned.seed, ranks)
        model.set_weights(tuned.weights)
        return assemble(
            data.layout, data.scale, data.about["unit"], self.front, division.prefix, model, ranks
        )

    def _build_tail(
        self, depth: int, dropout: float, seed: int, ranks: Ranks | None
    ) -> tuple[Division, keras.Model]:
        """Divide the backbone as it was at first, note the weights of what will train, and attach a head."""
        for name, weights in self._initial.items():
            self._built.get_layer(name).set_weights(weights)
        average = self.network.head == "global_average"
        division = divide(self._built, depth, self.strides, average=average)
        for name in division.unfrozen:
            self._initial.setdefault(name, self._built.get_layer(name).get_weights())
        shape = self.data.training.images.shape[1:]
        model = attach_head(
            division,
            len(self.data.tumour_types),
            dropout=dropout,
            seed=seed,
            genes=shape if self.network.genes else None,
            gene_dropout=self.network.gene_dropout,
            ranks=shape if ranks is not None else None,
            n_hidden=self.network.rank_units,
        )
        return division, model

    def _centre(self, model: keras.Model, division: Division, training: Rows) -> None:
        """Fit the head's centring, or take it from an earlier trial with the same frozen activations."""
        layers = [layer for layer in model.layers if isinstance(layer, Centre)]
        if (known := (tuple(division.prefix.output), len(layers))) not in self._centres:
            centre_head(model, training.blocks())
            self._centres[known] = [layer.get_weights() for layer in layers]
        for layer, weights in zip(layers, self._centres[known], strict=True):
            layer.set_weights(weights)

    def _take(
        self, division: Division, images: ImageSet, ranks: Ranks | None, on_progress: Callable[[int], object]
    ) -> Rows:
        """Put together what tail and head take."""
        inputs = self._frozen.take(division, images.images, images.digest, self._facts, on_progress)
        if self.network.genes:
            inputs["genes"] = images.images
        if ranks is not None:
            inputs["ranks"] = self._frozen.rank(ranks, images.images, images.digest)
        return Rows(inputs, images.types)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        """Name what the frozen activations depend on, but for the rows and the layers."""
        return {
            "images": self.data.training.digest,
            "backbone": self.backbone,
            "weights": self.weights.digest,
            "magnify": self.magnify,
            "precision": self.network.precision,
            "code": digest_code("training.finetuner"),
        }


def open_tuner(
    backbone: str, weights: WeightsParams, network: NetworkParams, workspace: Workspace
) -> FineTuner:
    """Open everything that fine-tuning a backbone starts from. The test images are not opened.

    Raises
    ------
    WeightsError
        If weights are required and cannot be had.
    """
    found, path = find_weights(
        backbone, weights.source, Path(weights.folder), required=weights.required, seed=weights.seed
    )
    sets, tumour_types = read_image_sets(workspace.images, workspace.split)
    layout, scale, _, about = read_layout(workspace.layout)
    data = TrainingData(sets["train"], sets["validation"], tumour_types, layout, scale, about)
    cache = ActivationCache(
        workspace.cache / "prefix", network.precision, workspace.cache_gigabytes * 1e9, workspace.scheduler
    )
    return FineTuner(backbone, found, path, data, network, cache, weights_seed=weights.seed)
