"""Fine-tune one backbone at one depth: cut it, take frozen activations from the cache, train the rest."""

import hashlib
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.data import Scale
from expressionist.files import digest_code
from expressionist.network import (
    Centre,
    Cut,
    Division,
    Ranks,
    Views,
    Weights,
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
    pool_once,
)
from expressionist.painting import ImageSet, Layout, read_image_sets, read_layout
from expressionist.params import NetworkParams, TrainingParams, WeightsParams
from expressionist.training.activation_cache import compute_prefix, digest
from expressionist.training.activations import FrozenActivations
from expressionist.training.loop import Epoch, Fit, Rows, fit_tail

# What the head is like, beside its dropout.
_HEAD = ("head", "genes", "gene_dropout", "rank_units")


@dataclass(frozen=True)
class FineTuned:
    """A backbone after fine-tuning. Its layers are the tuner's, whose next training starts them anew.

    Parameters
    ----------
    front : keras.Model
        Painted images → the backbone's input.
    division : Division
        Where the backbone was cut, and what trained.
    model : keras.Model
        Frozen activations → logits, with the weights of the last epoch.
    ranks : Ranks or None
        What gives the model its ranks, if it takes any.
    fit : Fit
        History of the training.
    n_unfrozen_parameters : int
        Number of parameters of the backbone that trained; the head's are not counted.
    """

    front: keras.Model
    division: Division
    model: keras.Model
    ranks: Ranks | None
    fit: Fit
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
    training, validation : ImageSet
        Training rows are fitted, validation rows only scored.
    n_types : int
        Number of tumour types.
    layout : Layout
        How the images were painted.
    scale : Scale
        What took expression to what was painted.
    network : NetworkParams
        Image size, channels and head.
    weights_seed : int
        Seed of random weights.
    cache : pathlib.Path
        Folder of the prefix cache.
    cache_gigabytes : float
        Room that it may take.
    scheduler : str, optional
        Of the Dask cluster that fills it.
    """

    def __init__(
        self,
        backbone: str,
        weights: Weights,
        weights_path: Path | None,
        training: ImageSet,
        validation: ImageSet,
        *,
        n_types: int,
        layout: Layout,
        scale: Scale,
        network: NetworkParams,
        weights_seed: int,
        cache: Path,
        cache_gigabytes: float = math.inf,
        scheduler: str | None = None,
    ) -> None:
        row = find_backbone(backbone)
        shape = training.images.shape[1:3]
        self.backbone, self.weights, self.weights_path = backbone, weights, weights_path
        self.training, self.validation, self.n_types = training, validation, n_types
        self.network, self.weights_seed = network, weights_seed
        self._keep = partial(
            compute_prefix,
            folder=cache,
            dtype=network.precision,
            most_bytes=cache_gigabytes * 1e9,
            scheduler=scheduler,
        )
        self.magnify = choose_magnification(shape, network.magnify, network.side, row)
        # What channels depend on, beside the image that they show: part of all that is kept on disk.
        self.channels, views, painted = [network.channels], None, layout.crowding > 0
        if network.channels == "views":
            self.channels += [training.digest, hashlib.sha256(painted.tobytes()).hexdigest()]
            views = Views(name="views")
            views.build((None, *shape, 1))
            views.fit(training.images, painted)
        self.ranks = fit_ranks(layout, scale) if network.rank_units else None
        self.front = image_front(shape, self.magnify, row.mode, views)
        # What no trial changes.
        self._centres: dict[tuple[tuple[int, ...], int], list[list[np.ndarray]]] = {}
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
        return FrozenActivations(self.front, self._built, self._keep)

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
        report: Callable[[Epoch], bool] = lambda _: False,
        advance: Callable[[int], object] = lambda _: None,
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
        report : callable
            Called with every epoch's row; returns True to break off.
        advance : callable
            Told how many images have passed the prefix.

        Returns
        -------
        FineTuned
            The trained parts.
        """
        division, ranker = self._divide(depth), self.ranks if ranks else None
        training, validation = (
            self._rows(division.cut, ranker, images, advance) for images in (self.training, self.validation)
        )
        shape = self.training.images.shape[1:]
        model = attach_head(
            division.tail,
            self.n_types,
            head=self.network.head,
            dropout=dropout,
            seed=params.seed,
            genes=shape if self.network.genes else None,
            gene_dropout=self.network.gene_dropout,
            ranks=shape if ranker else None,
            n_hidden=self.network.rank_units,
        )
        self._centre(model, division.cut, training)
        facts = {
            **self._facts,
            "strides": self.strides,
            "dropout": dropout,
            "head": [getattr(self.network, name) for name in _HEAD],
            "ranks": ranker.digest() if ranker else None,
            "rows": [self.training.labelled_digest, self.validation.labelled_digest, self.n_types],
        }
        checkpoint = checkpoints / digest({**facts, "depth": depth, "training": asdict(params)})
        pooled, learner = pool_once(model)
        training, validation = (
            self._pool(pooled, rows, images, division.cut)
            for rows, images in ((training, self.training), (validation, self.validation))
        )
        # Whoever asks for full precision gets the whole network's losses, to which many steps of Adam carry
        # the last bit of a convolution.
        quick = self.network.precision != "float32"
        fit = fit_tail(
            learner, training, validation, params, checkpoint=checkpoint, report=report, quick=quick
        )
        if checkpoint.is_dir():
            shutil.rmtree(checkpoint)
        n_parameters = sum(np.prod(variable.shape) for variable in division.tail.trainable_variables)
        return FineTuned(self.front, division, model, ranker, fit, int(n_parameters))

    def _divide(self, depth: int) -> Division:
        """Divide the backbone as it was at first, and note the weights of what will train."""
        for name, weights in self._initial.items():
            self._built.get_layer(name).set_weights(weights)
        division = divide(self._built, depth, self.strides)
        for name in division.unfrozen:
            self._initial.setdefault(name, self._built.get_layer(name).get_weights())
        return division

    def _centre(self, model: keras.Model, cut: Cut, training: Rows) -> None:
        """Fit the head's centring, or take it from an earlier trial with the same frozen activations."""
        layers = [layer for layer in model.layers if isinstance(layer, Centre)]
        if (known := (cut.frozen, len(layers))) not in self._centres:
            centre_head(model, training.blocks())
            self._centres[known] = [layer.get_weights() for layer in layers]
        for layer, weights in zip(layers, self._centres[known], strict=True):
            layer.set_weights(weights)

    def _pool(self, pooled: list[int], rows: Rows, images: ImageSet, cut: Cut) -> Rows:
        """Put averages in the place of maps that the head averages anyway."""
        parts, n_before = list(rows.activations), len(rows.activations) - len(cut.frozen)
        for place in pooled:
            parts[place] = self._frozen.average(cut.frozen[place - n_before], parts[place], images.digest)
        return Rows(parts, rows.types)

    def _rows(
        self, cut: Cut, ranks: Ranks | None, images: ImageSet, advance: Callable[[int], object]
    ) -> Rows:
        """Put together what tail and head take: first the images themselves, for a linear path, and ranks."""
        beside = [images.images] if self.network.genes else []
        if ranks is not None:
            beside.append(self._frozen.rank(ranks, images.images, images.digest))
        activations = self._frozen.take(cut, images.images, images.digest, self._facts, advance)
        return Rows([*beside, *activations], images.types)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        """Name what the frozen activations depend on, but for the rows and the layers."""
        return {
            "images": self.training.digest,
            "backbone": self.backbone,
            "weights": self.weights.digest,
            "magnify": self.magnify,
            "channels": self.channels,
            "precision": self.network.precision,
            "code": digest_code("training.finetuner"),
        }


def open_tuner(
    backbone: str,
    weights: WeightsParams,
    network: NetworkParams,
    *,
    split: Path,
    layout: Path,
    images: Path,
    cache: Path,
    cache_gigabytes: float,
    scheduler: str | None = None,
) -> tuple[FineTuner, list[str]]:
    """Open everything that fine-tuning a backbone starts from.

    Parameters
    ----------
    backbone : str
        Row of the table of backbones.
    weights, network : WeightsParams, NetworkParams
        Sections of params.yaml.
    split, layout, images : pathlib.Path
        Outputs of the stages of that name. The test images are not opened.
    cache : pathlib.Path
        Folder of the prefix cache.
    cache_gigabytes : float
        Room that it may take.
    scheduler : str, optional
        Of the Dask cluster that fills it.

    Returns
    -------
    tuner : FineTuner
        Holds the training and validation samples.
    tumour_types : list of str
        What the positions in their types stand for: all types of the cohort, in alphabetical order.

    Raises
    ------
    WeightsError
        If weights are required and cannot be had.
    """
    found, path = find_weights(
        backbone, weights.source, Path(weights.folder), required=weights.required, seed=weights.seed
    )
    sets, tumour_types = read_image_sets(images, split)
    laid, scale, *_ = read_layout(layout)
    tuner = FineTuner(
        backbone,
        found,
        path,
        sets["train"],
        sets["validation"],
        n_types=len(tumour_types),
        layout=laid,
        scale=scale,
        network=network,
        weights_seed=weights.seed,
        cache=cache,
        cache_gigabytes=cache_gigabytes,
        scheduler=scheduler,
    )
    return tuner, tumour_types
