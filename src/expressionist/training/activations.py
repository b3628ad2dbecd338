"""What stays frozen of a backbone: the output of each layer, computed once from the nearest that there is."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from expressionist.files import digest_code
from expressionist.network import Cut, Ranks, articulation_points, rebuild_after

_N_ROWS = 256


class FrozenActivations:
    """The frozen activations of one backbone, for any images and cut.

    Parameters
    ----------
    front : keras.Model
        Painted images → the backbone's input.
    backbone : keras.Model
        With its initial weights whenever activations are asked for.
    keep : callable
        `compute_prefix`, told where to keep what it computes, and how: takes a model, its inputs,
        ``identity`` and ``advance``.
    """

    def __init__(
        self, front: keras.Model, backbone: keras.Model, keep: Callable[..., list[np.ndarray]]
    ) -> None:
        self.front, self.backbone, self.keep = front, backbone, keep
        # By images and layers: whose bytes were checked once are not read again for every trial.
        self._averages: dict[tuple[str, int], np.ndarray] = {}
        self._ranked: dict[tuple[str, str], np.ndarray] = {}
        self._known: dict[str, dict[int, np.ndarray]] = {}
        # What training samples have passed, validation samples pass too: traced once.
        self._models: dict[tuple[int | None, tuple[int, ...]], keras.Model] = {}
        self._points = set(articulation_points(backbone))

    def take(
        self,
        cut: Cut,
        images: np.ndarray,
        images_digest: str,
        facts: Mapping[str, Any],
        advance: Callable[[int], object],
    ) -> list[np.ndarray]:
        """Return the activations that a tail takes. Cuts that need the same layer share what is kept of it.

        Parameters
        ----------
        cut : Cut
            Of the backbone.
        images : numpy.ndarray of shape (n_samples, height, width, 1)
            Painted samples.
        images_digest : str
            Names them in the cache.
        facts : mapping
            What the activations depend on beside images and layers.
        advance : callable
            Told how many images are done.

        Returns
        -------
        list of numpy.ndarray of shape (n_samples, ...)
            One per layer of ``cut.frozen``; memory-mapped.
        """
        known = self._known.setdefault(images_digest, {})

        def compute(
            places: tuple[int, ...],
            start: int | None,
            advance: Callable[[int], object] = lambda _: None,
        ) -> None:
            identity = {**facts, "layers": places, "images": images_digest}
            given = [images] if start is None else [known[start]]
            found = self.keep(self._build(start, places), given, identity=identity, advance=advance)
            known.update(zip(places, found, strict=True))

        # Nearly all of the time goes into the first.
        first, *others = cut.kept
        if first in known:
            advance(len(images))
        else:
            compute((first,), self._find_start(known, first), advance)
        for place in others:
            if place not in known:
                compute((place,), self._find_start(known, place))
        later = tuple(place for place in cut.frozen if place not in cut.kept)
        if not known.keys() >= set(later):
            compute(later, cut.kept[-1])
        return [known[place] for place in cut.frozen]

    def rank(self, ranks: Ranks, images: np.ndarray, images_digest: str) -> np.ndarray:
        """Return the genes' ranks within every sample, memory-mapped, in the shape of the images.

        Parameters
        ----------
        ranks : Ranks
            The fitted layer.
        images, images_digest
            As in `take`.
        """
        facts = (ranks.digest(), images_digest)
        if facts not in self._ranked:
            given = keras.Input(images.shape[1:])
            identity = {
                "ranks": facts,
                "code": digest_code("training.activations", "training.activation_cache"),
            }
            (self._ranked[facts],) = self.keep(
                keras.Model(given, [ranks(given)]), [images], identity=identity
            )
        return self._ranked[facts]

    def average(self, place: int, maps: np.ndarray, images_digest: str) -> np.ndarray:
        """Average maps over places, once: of shape (n_samples, n_channels), in memory.

        Parameters
        ----------
        place : int
            Position of the layer whose output they are.
        maps : numpy.ndarray of shape (n_samples, height, width, n_channels)
            As `take` gives them.
        images_digest : str
            As there.
        """
        if (known := (images_digest, place)) not in self._averages:
            starts = range(0, len(maps), _N_ROWS)
            # Keras's own layer, which rounds as the whole network does.
            pool = keras.layers.GlobalAveragePooling2D()
            blocks = (np.asarray(maps[start : start + _N_ROWS], np.float32) for start in starts)
            self._averages[known] = np.concatenate([pool(block) for block in blocks])
        return self._averages[known]

    def _find_start(self, known: Iterable[int], place: int) -> int | None:
        """Find the last layer before another that is known and enough for it; None: only the images are."""
        return max((each for each in known if each < place and each in self._points), default=None)

    def _build(self, start: int | None, places: tuple[int, ...]) -> keras.Model:
        """Build what goes from the images, or from a layer that all paths go through, to some layers."""
        if (start, places) not in self._models:
            if start is None:
                wanted = [self.backbone.layers[place].output for place in places]
                prefix = keras.Model(self.backbone.input, wanted)
                model = keras.Model(self.front.input, prefix(self.front.output))
            else:
                model = rebuild_after(self.backbone, [start], places)
            self._models[start, places] = model
        return self._models[start, places]
