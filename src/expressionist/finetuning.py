"""Fine-tune one backbone at one depth: cut it, take frozen activations from the cache, train the rest."""

import hashlib
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist import backbones, convolution, cut, frozen, layers, metrics, network, prefix, training
from expressionist.backbones import Weights, build_backbone, find_backbone, find_weights
from expressionist.cut import Cut, Division, choose_strides, divide, last_block_depth
from expressionist.frozen import FrozenActivations
from expressionist.image_sets import ImageSet, read_image_sets
from expressionist.layers import Centre, Views
from expressionist.network import (
    attach_head,
    centre_head,
    choose_magnification,
    image_front,
    pool_once,
)
from expressionist.params import NetworkParams, TrainingParams, WeightsParams
from expressionist.prefix import digest
from expressionist.store import read_layout
from expressionist.training import Epoch, Fit, Rows, fit_tail

# What activations and trainings depend on, beside this module.
_CODE = (backbones, convolution, cut, frozen, layers, network, metrics, prefix, training)


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
    fit : Fit
        History of the training.
    n_unfrozen_parameters : int
        Number of parameters of the backbone that trained; the head's are not counted.
    """

    front: keras.Model
    division: Division
    model: keras.Model
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
    painted : numpy.ndarray of shape (height, width)
        Whether a pixel holds a gene.
    network : NetworkParams
        Image size, channels and head.
    weights_seed : int
        Seed of random weights.
    cache : pathlib.Path
        Folder of the prefix cache.
    cache_gigabytes : float
        Room that it may take.
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
        painted: np.ndarray,
        network: NetworkParams,
        weights_seed: int,
        cache: Path,
        cache_gigabytes: float = math.inf,
    ) -> None:
        row = find_backbone(backbone)
        shape = training.images.shape[1:3]
        self.backbone, self.weights, self.weights_path = backbone, weights, weights_path
        self.training, self.validation, self.n_types = training, validation, n_types
        self.network, self.weights_seed = network, weights_seed
        self.cache, self.cache_bytes = cache, cache_gigabytes * 1e9
        self.magnify = choose_magnification(shape, network.magnify, network.smallest_side, row)
        # What channels depend on, beside the image that they show: part of all that is kept on disk.
        self.channels, views = [network.channels], None
        if network.channels == "views":
            self.channels += [training.digest, hashlib.sha256(painted.astype(bool).tobytes()).hexdigest()]
            views = Views(name="views")
            views.build((None, *shape, 1))
            views.fit(training.images, painted)
        self.front = image_front(shape, self.magnify, row.mode, views)
        # What no trial changes.
        self._pooled: dict[tuple[str, int], np.ndarray] = {}
        self._centres: dict[tuple[int, ...], list[list[np.ndarray]]] = {}
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
        return FrozenActivations(
            self.front, self._built, self.cache, self.cache_bytes, self.network.precision
        )

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
        report : callable
            Called with every epoch's row; returns True to break off.
        advance : callable
            Told how many images have passed the prefix.

        Returns
        -------
        FineTuned
            The trained parts.
        """
        division = self._divide(depth)
        training, validation = (
            self._rows(division.cut, images, advance) for images in (self.training, self.validation)
        )
        model = attach_head(
            division.tail,
            self.n_types,
            head=self.network.head,
            dropout=dropout,
            seed=params.seed,
            genes=self.training.images.shape[1:] if self.network.genes else None,
            gene_dropout=self.network.gene_dropout,
        )
        self._centre(model, division.cut, training)
        facts = {
            **self._facts(division.cut),
            "dropout": dropout,
            "head": [self.network.head, self.network.genes, self.network.gene_dropout],
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
        return FineTuned(self.front, division, model, fit, int(n_parameters))

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
        if cut.frozen not in self._centres:
            centre_head(model, training.blocks())
            self._centres[cut.frozen] = [layer.get_weights() for layer in layers]
        for layer, weights in zip(layers, self._centres[cut.frozen], strict=True):
            layer.set_weights(weights)

    def _pool(self, pooled: list[int], rows: Rows, images: ImageSet, cut: Cut) -> Rows:
        """Average maps over places, or take them averaged from an earlier trial."""
        # Keras's own layer, which rounds as the whole network does.
        pool = keras.layers.GlobalAveragePooling2D()
        parts, n_before = list(rows.activations), len(rows.activations) - len(cut.frozen)
        for place in pooled:
            name = (images.digest, cut.frozen[place - n_before])
            if name not in self._pooled:
                blocks = Rows([parts[place]], rows.types).blocks()
                self._pooled[name] = np.concatenate([pool(part) for (part,) in blocks])
            parts[place] = self._pooled[name]
        return Rows(parts, rows.types)

    def _rows(self, cut: Cut, images: ImageSet, advance: Callable[[int], object]) -> Rows:
        """Put together what tail and head take: the images themselves come first, for a linear path."""
        genes = [images.images] if self.network.genes else []
        activations = self._frozen.take(cut, images.images, images.digest, self._facts(cut), advance)
        return Rows([*genes, *activations], images.types)

    def _facts(self, cut: Cut) -> dict[str, Any]:
        """Name what the frozen activations depend on, but for the rows."""
        return {
            "images": self.training.digest,
            "backbone": self.backbone,
            "weights": self.weights.digest,
            "magnify": self.magnify,
            "channels": self.channels,
            "strides": self.strides,
            "precision": self.network.precision,
            # Names that Keras gives by a counter differ between sessions; the position of the cut does not.
            "cut": cut.position,
            "code": digest_code(),
        }


@cache
def digest_code() -> str:
    """Digest the source of what activations and trainings depend on.

    What is kept on disk (activations, checkpoints, trials) carries it, so that nothing outlives a change of
    the code that made it.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    code = hashlib.md5(usedforsecurity=False)
    for module in (*_CODE, sys.modules[__name__]):
        code.update(Path(str(module.__file__)).read_bytes())
    return code.hexdigest()


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
    tuner = FineTuner(
        backbone,
        found,
        path,
        sets["train"],
        sets["validation"],
        n_types=len(tumour_types),
        painted=read_layout(layout)[0].crowding > 0,
        network=network,
        weights_seed=weights.seed,
        cache=cache,
        cache_gigabytes=cache_gigabytes,
    )
    return tuner, tumour_types
