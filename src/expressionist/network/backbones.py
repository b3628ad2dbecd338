"""The backbones: one table row each, and where their pretrained weights come from."""

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expressionist.errors import ParamsError, WeightsError
from expressionist.files import digest_file, find_given

if TYPE_CHECKING:
    from keras import Layer, Model

_PATIENCE = 20.0  # seconds without an answer


# Names that Keras gave its files of ImageNet weights without classifier.
_FILE = "{}_weights_tf_dim_ordering_tf_kernels_notop.h5"
_MOBILENET = ("mobilenet_2_5_224_tf_no_top.h5", "mobilenet_2_5_224_imagenet_no_top.weights.h5")


@dataclass(frozen=True)
class Backbone:
    """A family of `keras.applications`, as the rest of the package needs to know it."""

    constructor: str
    # How pixels in [0, 255] are scaled for its ImageNet weights: tf, torch or caffe, as in Keras's own
    # `imagenet_utils.preprocess_input`.
    mode: str
    # Least height and width of an image, in pixels.
    smallest_side: int
    # What the names of all layers of its last convolutional block start with.
    last_block: str
    # Number of its weighted layers, the greatest fine-tune depth: params are checked without Keras.
    n_layers: int
    # Under which its ImageNet weights may lie in a folder; the first is Keras's own.
    weights_files: tuple[str, ...]
    # Further arguments of the constructor.
    options: dict[str, Any] = field(default_factory=dict)


BACKBONES = {
    "xception": Backbone("Xception", "tf", 71, "block14_", 40, (_FILE.format("xception"),)),
    "densenet169": Backbone(
        "DenseNet169", "torch", 32, "conv5_block32_", 168, (_FILE.format("densenet169"),)
    ),
    "resnet50": Backbone("ResNet50", "caffe", 32, "conv5_block3_", 53, (_FILE.format("resnet50"),)),
    "vgg19": Backbone("VGG19", "caffe", 32, "block5_", 16, (_FILE.format("vgg19"),)),
    "mobilenet": Backbone("MobileNet", "tf", 32, "conv_*_13", 27, _MOBILENET, {"alpha": 0.25}),
}


@dataclass(frozen=True)
class Weights:
    """What a backbone was initialised with; travels with every product made from it.

    `source` is ``imagenet`` or ``random``, `digest` the SHA-256 of the `file`, or ``random-<seed>``.
    """

    source: str
    file: str
    digest: str

    @property
    def random(self) -> bool:
        """Whether the backbone was not pretrained."""
        return self.source == "random"


def find_backbone(name: str) -> Backbone:
    """Return a row of the table, or refuse a name that has none."""
    if name not in BACKBONES:
        raise ParamsError(f"A backbone must be one of {', '.join(BACKBONES)}, but got {name!r}. Choose one.")
    return BACKBONES[name]


def list_weights(name: str, folder: Path) -> list[Path]:
    """List where a backbone's pretrained weights may lie.

    Parameters
    ----------
    name : str
        Row of the table of backbones.
    folder : pathlib.Path
        Looked into before Keras's cache.

    Returns
    -------
    list of pathlib.Path
        Files, which need not be there.
    """
    row = find_backbone(name)
    return [find_given(place / file) for place in (folder, _keras_cache()) for file in row.weights_files]


def find_weights(
    name: str, source: str, folder: Path, *, required: bool, seed: int
) -> tuple[Weights, Path | None]:
    """Find a backbone's weights: in the folder, else in Keras's cache, else by downloading them.

    Where ImageNet weights cannot be had, they fall back to random ones of this seed.

    Returns
    -------
    weights : Weights
        What will be used.
    path : pathlib.Path or None
        The file to load; None for random weights.

    Raises
    ------
    WeightsError
        If the weights are `required` and cannot be had.
    """
    row, cache_folder = find_backbone(name), _keras_cache()
    if source == "imagenet":
        path = next((place for place in list_weights(name, folder) if place.is_file()), None)
        path = path or _download(name)
        if path is not None:
            return Weights("imagenet", path.name, digest_file(path)), path
        if required:
            folder = find_given(folder / row.weights_files[0]).parent
            raise WeightsError(
                f"{name} must have its ImageNet weights (weights.required), but got none: they lie neither "
                f"in {folder} nor in {cache_folder}, and could not be downloaded. "
                f"Put {row.weights_files[0]} into {folder}, "
                "or set weights.required to false to run on random weights."
            )
    return Weights("random", "", f"random-{seed}"), None


def explain_random(asked: str) -> str:
    """Say why a backbone runs on random weights, given what `weights.source` of params.yaml asked for."""
    if asked == "random":
        return "as weights.source: random asks"
    return "as no ImageNet weights were found or could be downloaded"


def _keras_cache() -> Path:
    """Return where Keras keeps what it downloads: it reads the same variable, and does without a home."""
    home = os.path.expanduser("~")  # noqa: PTH111  unlike Path's, it leaves alone what it cannot tell
    home = home if os.access(home, os.W_OK) else "/tmp"
    return Path(os.environ.get("KERAS_HOME", f"{home}/.keras")).expanduser() / "models"


@cache
def _download(name: str) -> Path | None:
    """Let Keras download the weights into its cache, with its own URL and hash; None where it cannot."""
    row, patience = BACKBONES[name], socket.getdefaulttimeout()
    # A network that swallows packets must not hold up a run that may go on without the weights.
    socket.setdefaulttimeout(_PATIENCE)
    try:
        build_untrained(name, (224, 224, 3), weights="imagenet")
    except Exception:  # noqa: BLE001  Keras wraps every network failure in a bare Exception
        return None
    finally:
        socket.setdefaulttimeout(patience)
    return next((path for file in row.weights_files if (path := _keras_cache() / file).is_file()), None)


def build_untrained(name: str, shape: tuple[int, int, int], *, weights: str | None = None) -> Any:
    """Call the backbone's constructor for images of `shape`, without its classifier."""
    import keras

    row = find_backbone(name)
    constructor = getattr(keras.applications, row.constructor)
    return constructor(include_top=False, weights=weights, input_shape=shape, **row.options)


def build_backbone(name: str, side: tuple[int, int], weights: Path | None, *, seed: int) -> "Model":
    """Build a backbone without its classifier: images (n_samples, height, width, 3) → last map.

    Parameters
    ----------
    name : str
        Row of the table of backbones.
    side : tuple of int
        (height, width) of its images in pixels.
    weights : pathlib.Path or None
        File to load; None draws He-uniform kernels (He et al. 2015) from the seed.
    seed : int
        Seed of random weights.

    Raises
    ------
    ParamsError
        If the images are too small for the backbone.
    WeightsError
        If the file does not hold its weights.
    """
    row = find_backbone(name)
    if min(side) < row.smallest_side:
        raise ParamsError(
            f"Images for {name} must be at least {row.smallest_side} pixels wide and high, but got {side[0]} "
            f"x {side[1]}. Raise network.magnify, or leave it at 0."
        )
    backbone = build_untrained(name, (*side, 3))
    if weights is not None:
        try:
            backbone.load_weights(weights)
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(
                f"{weights} must hold the weights of {name} without its classifier, but could not be loaded. "
                "Fetch it again, or remove it."
            ) from error
        return backbone
    randomise(backbone, seed)
    return backbone


def randomise(model: "Model", seed: int, layers: Sequence["Layer"] | None = None) -> None:
    """Draw every kernel anew, He-uniform (He et al. 2015), and reset biases and batch normalisations.

    The model, changed in place, is a backbone, or an assembled network as the control of its own
    attributions: so the gain of its pixels, which types have taught, is 1 again. What was fitted to
    expression alone (bounds, pixels, centring) stays, and so do all but its `layers`, if these are given.
    """
    import keras
    import numpy as np

    rng = np.random.default_rng(seed)
    resets = {"bias": 0.0, "beta": 0.0, "gamma": 1.0, "gain": 1.0, "moving_mean": 0.0, "moving_variance": 1.0}
    depthwise = {
        id(variable)
        for layer in list_layers(model)
        if isinstance(layer, (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D))
        for variable in layer.weights[:1]
    }
    given = model.weights if layers is None else [each for layer in layers for each in layer.weights]
    for variable in given:
        if "kernel" in variable.name:
            # Every output of a depthwise kernel sees one channel only, whatever their number.
            per_output = variable.shape[:2] if id(variable) in depthwise else variable.shape[:-1]
            bound = np.sqrt(6.0 / np.prod(per_output))
            variable.assign(rng.uniform(-bound, bound, variable.shape).astype(np.float32))
        elif variable.name in resets:
            variable.assign(np.full(variable.shape, resets[variable.name], np.float32))


def list_layers(model: Any) -> Iterator[Any]:
    """List the layers of a model, and those of the models that are layers of it."""
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from list_layers(layer)
