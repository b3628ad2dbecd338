"""What stays frozen of a backbone: the output of each layer, computed once from the nearest that there is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from expressionist.files import digest_code
from expressionist.network import Division, Ranks, articulation_points, continue_from
from expressionist.training.activation_cache import ActivationCache

_N_ROWS = 256


class FrozenActivations:
    """The frozen activations of one backbone, for any images and division.

    `front` gives the backbone's input; it has its initial weights whenever activations are asked for.
    """

    def __init__(self, front: keras.Model, backbone: keras.Model, cache: ActivationCache) -> None:
        self.front, self.backbone, self.cache = front, backbone, cache
        # By images and layer: whose bytes were checked once are not read again for every trial.
        self._averages: dict[tuple[str, str], np.ndarray] = {}
        self._ranked: dict[tuple[str, str], np.ndarray] = {}
        self._known: dict[str, dict[str, np.ndarray]] = {}
        # What training samples have passed, validation samples pass too: traced once.
        self._models: dict[tuple[str | None, tuple[str, ...]], keras.Model] = {}
        self._place = {layer.name: place for place, layer in enumerate(backbone.layers)}
        self._points = {backbone.layers[place].name for place in articulation_points(backbone)}

    def take(
        self,
        division: Division,
        images: np.ndarray,
        images_digest: str,
        facts: Mapping[str, Any],
        on_progress: Callable[[int], object],
    ) -> dict[str, np.ndarray]:
        """Return what the prefix gives, by layer: memory-mapped, averages in memory.

        The `facts` are what activations depend on besides images, named by their digest, and layers.
        """
        known = self._known.setdefault(images_digest, {})

        def compute(names: Sequence[str], start: str | None, **told: Callable[[int], object]) -> None:
            model = self._build(start, tuple(names))
            identity = {**facts, "layers": list(names), "images": images_digest}
            known.update(
                self.cache.compute(model, images if start is None else known[start], identity, **told)
            )

        # Nearly all of the time goes into the first.
        first, *others = division.kept
        if first in known:
            on_progress(len(images))
        else:
            compute([first], self._find_start(known, first), on_progress=on_progress)
        for name in others:
            if name not in known:
                compute([name], self._find_start(known, name))
        later = [name for name in division.prefix.output if name not in division.kept]
        if not known.keys() >= set(later):
            compute(later, division.kept[-1])
        return {
            name: self._average(name, images_digest) if name in division.averaged else known[name]
            for name in division.prefix.output
        }

    def rank(self, ranks: Ranks, images: np.ndarray, images_digest: str) -> np.ndarray:
        """Return the genes' ranks within every sample, memory-mapped, in the shape of the images."""
        facts = (ranks.digest(), images_digest)
        if facts not in self._ranked:
            given = keras.Input(images.shape[1:])
            identity = {"ranks": facts, "code": digest_code("training.activations")}
            kept = self.cache.compute(keras.Model(given, {"ranks": ranks(given)}), images, identity)
            self._ranked[facts] = kept["ranks"]
        return self._ranked[facts]

    def _average(self, name: str, images_digest: str) -> np.ndarray:
        """Average maps over places, once: of shape (n_samples, n_channels), in memory."""
        if (known := (images_digest, name)) not in self._averages:
            maps = self._known[images_digest][name]
            # Keras's own layer, which rounds as the whole network does.
            pool = keras.layers.GlobalAveragePooling2D()
            starts = range(0, len(maps), _N_ROWS)
            blocks = (np.asarray(maps[start : start + _N_ROWS], np.float32) for start in starts)
            self._averages[known] = np.concatenate([pool(block) for block in blocks])
        return self._averages[known]

    def _find_start(self, known: Iterable[str], name: str) -> str | None:
        """Find the last layer before another that is known and enough for it; None: only the images are."""
        before = [each for each in known if each in self._points and self._place[each] < self._place[name]]
        return max(before, key=self._place.__getitem__, default=None)

    def _build(self, start: str | None, names: tuple[str, ...]) -> keras.Model:
        """Build what goes from the images, or from a layer that all paths go through, to some layers."""
        if (start, names) not in self._models:
            part = continue_from(self.backbone, None if start is None else [start], names)
            given = self.front.input if start is None else keras.Input(part.inputs[0].shape[1:])
            outputs = part(self.front.output if start is None else [given])
            self._models[start, names] = keras.Model(given, outputs)
        return self._models[start, names]
