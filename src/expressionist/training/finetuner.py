"""Fine-tune one backbone at one depth: cut it, take frozen activations from the cache, train the rest."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from expressionist.data import Scale, deal_folds
from expressionist.evaluation import fit_logistic, fit_shares
from expressionist.files import digest_code
from expressionist.network import (
    BRANCHES,
    Centre,
    Division,
    Weights,
    assemble,
    attach_head,
    average_heads,
    build_backbone,
    centre_head,
    choose_magnification,
    choose_strides,
    divide,
    find_backbone,
    find_weights,
    fit_gain,
    fit_ranks,
    image_front,
    last_block_depth,
    set_linear,
    trace_prediction,
)
from expressionist.painting import ImageSet, Layout, read_image_sets, read_layout
from expressionist.params import NetworkParams, TrainingParams, WeightsParams
from expressionist.training.activation_cache import ActivationCache, digest
from expressionist.training.activations import FrozenActivations
from expressionist.training.loop import Epoch, Fit, Readable, Rows, fit_tail, predict_by_classifier
from expressionist.training.workspace import Workspace

# What the head is like, besides its dropout.
_HEAD = ("head", "genes", "gene_dropout", "rank_units")
# How freely the linear classifier of the genes fits, as scikit-learn counts it; docs/experiments.md.
_FREEDOM = 0.1
# Below all other types stands, in its logits, one that is not among the samples learned from.
_UNKNOWN = 10.0


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
    depth, dropout, seed, branches
        As given to `FineTuner.fit`.
    fit : Fit
        History of the training.
    weights : list of numpy.ndarray
        Of tail and head, after the last epoch.
    shares : mapping of str to float
        By what share each of the head's classifiers counts.
    cut : str
        Layer at whose output the prefix ends; nothing where the image was left out.
    unfrozen : tuple of str
        Layers of the backbone that trained, from the head down.
    n_unfrozen_parameters : int
        Number of their parameters; the head's are not counted.
    checkpoint : pathlib.Path
        Where it was kept while it went on.
    """

    depth: int
    dropout: float
    seed: int
    branches: tuple[str, ...]
    fit: Fit
    weights: list[np.ndarray]
    shares: Mapping[str, float]
    cut: str
    unfrozen: tuple[str, ...]
    n_unfrozen_parameters: int
    checkpoint: Path

    def forget(self) -> None:
        """Remove the checkpoint of a training that was kept."""
        shutil.rmtree(self.checkpoint, ignore_errors=True)


@dataclass(frozen=True)
class Fold:
    """Samples to learn from and samples to judge by: ascending positions among training, then validation."""

    learned: np.ndarray
    judging: np.ndarray


@dataclass(frozen=True)
class _Chosen:
    """Some rows of two arrays that stand one after the other; neither is copied."""

    first: Readable
    second: Readable
    n_first: int
    # Ascending.
    places: np.ndarray

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        places, n_first = self.places[rows], self.n_first
        parts = (self.first[places[places < n_first]], self.second[places[places >= n_first] - n_first])
        return np.concatenate(parts)


def _divide(known: list[Rows], fold: Fold) -> list[Rows]:
    """Take a fold's samples out of training and validation samples."""
    training, validation = known
    types = np.concatenate([training.types, validation.types])
    return [
        Rows(
            {
                name: _Chosen(part, validation.inputs[name], len(training.types), places)
                for name, part in training.inputs.items()
            },
            types[places],
        )
        for places in (fold.learned, fold.judging)
    ]


def _fit_shares(model: keras.Model, judging: Rows) -> dict[str, float]:
    """Fit by what share each classifier counts, on samples that it did not learn from."""
    logits = predict_by_classifier(trace_prediction(model), judging)
    return dict(zip(logits, fit_shares(list(logits.values()), judging.types).tolist(), strict=True))


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
        self.ranks = fit_ranks(data.layout, data.scale) if network.rank_units else None
        asked = {"maps": True, "genes": network.genes, "ranks": network.rank_units > 0}
        self.branches = tuple(name for name in BRANCHES if asked[name])
        self._cache = cache
        # What no trial changes.
        self._centres: dict[tuple[tuple[str, ...], tuple[str, ...]], list[list[np.ndarray]]] = {}
        self._linear: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        # What trials have changed: the weights that such layers had at first.
        self._initial: dict[str, list[np.ndarray]] = {}

    @cached_property
    def front(self) -> keras.Model:
        """From painted images to the backbone's input; the gain is that of the training samples."""
        images, gain = self.data.training.images, None
        if self.network.gain:
            known = Rows({"genes": images}, self.data.training.types)
            gain = fit_gain(images, self._fit_linear(known, None)[0])
        mode = find_backbone(self.backbone).mode
        return image_front(images.shape[1:3], self.magnify, mode, gain)

    def without_gain(self) -> "FineTuner":
        """Return a tuner of the same backbone, data and cache, which sees pixels as they are painted."""
        if not self.network.gain:
            return self
        network = replace(self.network, gain=False)
        given = (self.backbone, self.weights, self.weights_path, self.data, network, self._cache)
        return FineTuner(*given, weights_seed=self.weights_seed)

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

    def deal(self, n_folds: int, seed: int) -> tuple[Fold, ...]:
        """Deal the patients of training and validation samples to folds, each of which judges once."""
        sets = (self.data.training, self.data.validation)
        types, patients = (
            np.concatenate([getattr(each, name) for each in sets]) for name in ("types", "patients")
        )
        fold_of = deal_folds(types, patients, n_folds, np.random.default_rng(seed))
        return tuple(Fold(np.flatnonzero(fold_of != n), np.flatnonzero(fold_of == n)) for n in range(n_folds))

    def join(self) -> Fold:
        """Learn from all training and validation samples; scores of the latter then say nothing."""
        n_training, n_more = len(self.data.training.types), len(self.data.validation.types)
        return Fold(np.arange(n_training + n_more), np.arange(n_training, n_training + n_more))

    def fit(
        self,
        depth: int,
        dropout: float,
        params: TrainingParams,
        *,
        checkpoints: Path,
        branches: tuple[str, ...] | None = None,
        fold: Fold | None = None,
        shares: Mapping[str, float] | None = None,
        keep: bool = False,
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
        branches : tuple of str, optional
            What the network is to see, of ``maps``, ``genes`` and ``ranks``; by default all that it has.
        fold : Fold, optional
            What to learn from and what to judge by; by default training and validation samples. The head is
            centred on training samples whatever the fold, as genes, scale and layout are fitted on them;
            and so is the gain, which their types teach: where a fold judges by some of them, do without.
        shares : mapping of str to float, optional
            By what share each classifier counts, all alike if it is empty; by default fitted on the samples
            that judge, which must then not be among those learned from.
        keep : bool
            Whether the checkpoint stays, until `forget`: for one of several trainings that belong together.
        on_epoch : callable
            Given every epoch's row of the history; returns True to break off.
        on_progress : callable
            Told how many images have passed the prefix.
        """
        branches = self.branches if branches is None else branches
        division, model = self._build_tail(depth, dropout, params.seed, branches)
        known = [
            self._take(division, images, branches, on_progress)
            for images in (self.data.training, self.data.validation)
        ]
        self._centre(model, division, branches, known[0])
        learned, judging = known if fold is None else _divide(known, fold)
        if "genes" in branches:
            set_linear(model, *self._fit_linear(learned, fold))
        facts = {
            **self._facts,
            "strides": self.strides,
            "dropout": dropout,
            "head": [getattr(self.network, name) for name in _HEAD],
            "ranks": self.ranks.digest() if self.ranks and "ranks" in branches else None,
            "branches": branches,
            "rows": [self.data.training.labelled_digest, self.data.validation.labelled_digest],
            "fold": None if fold is None else [fold.learned.tolist(), fold.judging.tolist()],
            "tumour_types": self.data.tumour_types,
        }
        checkpoint = checkpoints / digest({**facts, "depth": depth, "training": asdict(params)})
        fit = fit_tail(model, learned, judging, params, checkpoint=checkpoint, on_epoch=on_epoch)
        if not keep:
            shutil.rmtree(checkpoint, ignore_errors=True)
        trained = division.tail.trainable_variables if division and division.tail else []
        return FineTuned(
            depth,
            dropout,
            params.seed,
            branches,
            fit,
            model.get_weights(),
            _fit_shares(model, judging) if shares is None else shares,
            cut=division.kept[-1] if division else "",
            unfrozen=division.unfrozen if division else (),
            n_unfrozen_parameters=int(sum(np.prod(variable.shape) for variable in trained)),
            checkpoint=checkpoint,
        )

    def assemble(self, *tuned: FineTuned) -> keras.Model:
        """Stitch the whole network together, from expression to probabilities, with a training's weights.

        Of several trainings of the same depth and branches, it takes the mean of the logits. Its layers are
        this tuner's, whose next training starts them anew: save it, or predict, before.
        """
        data, first = self.data, tuned[0]
        division, model = self._build_tail(first.depth, first.dropout, first.seed, first.branches)
        model.set_weights(first.weights)
        if len(tuned) > 1:
            members = [keras.models.clone_model(model) for _ in tuned]
            for number, (member, each) in enumerate(zip(members, tuned, strict=True)):
                member.name = f"member_{number}"
                member.set_weights(each.weights)
            model = average_heads(members, name=model.name)
        return assemble(
            data.layout,
            data.scale,
            data.about["unit"],
            self.front,
            division.prefix if division else None,
            model,
            self.ranks if "ranks" in first.branches else None,
            first.shares,
        )

    def _build_tail(
        self, depth: int, dropout: float, seed: int, branches: tuple[str, ...]
    ) -> tuple[Division | None, keras.Model]:
        """Divide the backbone as it was at first, note the weights of what will train, and attach a head."""
        division = self._divide(depth) if "maps" in branches else None
        shape = self.data.training.images.shape[1:]
        model = attach_head(
            division,
            len(self.data.tumour_types),
            dropout=dropout,
            seed=seed,
            genes=shape if "genes" in branches else None,
            gene_dropout=self.network.gene_dropout,
            ranks=shape if "ranks" in branches else None,
            n_hidden=self.network.rank_units,
        )
        return division, model

    def _divide(self, depth: int) -> Division:
        for name, weights in self._initial.items():
            self._built.get_layer(name).set_weights(weights)
        division = divide(self._built, depth, self.strides, average=self.network.head == "global_average")
        for name in division.unfrozen:
            self._initial.setdefault(name, self._built.get_layer(name).get_weights())
        return division

    def _centre(
        self, model: keras.Model, division: Division | None, branches: tuple[str, ...], training: Rows
    ) -> None:
        """Fit the head's centring, or take it from an earlier training on the same frozen activations."""
        layers = [layer for layer in model.layers if isinstance(layer, Centre)]
        known = (tuple(division.prefix.output) if division else (), branches)
        if known not in self._centres:
            centre_head(model, training.blocks())
            self._centres[known] = [layer.get_weights() for layer in layers]
        for layer, weights in zip(layers, self._centres[known], strict=True):
            layer.set_weights(weights)

    def _fit_linear(self, learned: Rows, fold: Fold | None) -> tuple[np.ndarray, np.ndarray]:
        """Fit the linear classifier of the painted genes, or take that of an earlier training on the rows."""
        known = digest({"fold": None if fold is None else fold.learned.tolist()})
        if known not in self._linear:
            pixels = np.asarray(learned.inputs["genes"][:]).reshape(len(learned.types), -1)
            n_types = len(self.data.tumour_types)
            weights, intercepts = fit_logistic(pixels, learned.types, n_types=n_types, C=_FREEDOM)
            seen = np.isfinite(intercepts)
            self._linear[known] = weights, np.where(seen, intercepts, intercepts[seen].min() - _UNKNOWN)
        return self._linear[known]

    def _take(
        self,
        division: Division | None,
        images: ImageSet,
        branches: tuple[str, ...],
        on_progress: Callable[[int], object],
    ) -> Rows:
        """Put together what tail and head take."""
        inputs: dict[str, np.ndarray] = {}
        if division is not None:
            inputs |= self._frozen.take(division, images.images, images.digest, self._facts, on_progress)
        if "genes" in branches:
            inputs["genes"] = images.images
        if self.ranks is not None and "ranks" in branches:
            inputs["ranks"] = self._frozen.rank(self.ranks, images.images, images.digest)
        return Rows(inputs, images.types)

    @cached_property
    def _facts(self) -> dict[str, Any]:
        """Name what the frozen activations depend on, but for the rows and the layers."""
        return {
            "images": self.data.training.digest,
            "backbone": self.backbone,
            "weights": self.weights.digest,
            "magnify": self.magnify,
            "gain": self.data.training.labelled_digest if self.network.gain else None,
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
