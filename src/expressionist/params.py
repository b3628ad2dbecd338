"""What params.yaml holds, as frozen dataclasses; an unknown key or a bad value names itself."""

import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from expressionist.errors import ParamsError

T = TypeVar("T")
_EXPONENT = re.compile(r"[-+]?\d+[eE][-+]?\d+")


def _one_of(*words: str) -> dict[str, tuple[str, ...]]:
    return {"words": words}


def _within(low: float, high: float = float("inf")) -> dict[str, tuple[float, float]]:
    return {"range": (low, high)}


@dataclass(frozen=True)
class CohortParams:
    """Which cohort, from where; each source reads its own options."""

    source: str
    folder: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class SplitParams:
    """Shares of patients held out, the seed that chooses them, and how often all is done anew."""

    validation: float = field(metadata=_within(0.01, 0.5))
    test: float = field(metadata=_within(0.01, 0.5))
    seed: int
    repeats: int = field(default=1, metadata=_within(1))


@dataclass(frozen=True)
class ExpressionParams:
    """Gene choice."""

    n_genes: int = field(metadata=_within(1))


@dataclass(frozen=True)
class LayoutParams:
    """Layout method, its seed and its own options, and whether genes may share pixels."""

    method: str
    seed: int
    options: Mapping[str, Any]
    crowding: str = field(default="single", metadata=_one_of("single", "average"))


@dataclass(frozen=True)
class WeightsParams:
    """Where a backbone's weights come from, and whether random ones will do."""

    source: str = field(metadata=_one_of("imagenet", "random"))
    folder: str
    required: bool
    seed: int


@dataclass(frozen=True)
class NetworkParams:
    """The network around the backbone: image size, channels and head."""

    magnify: int = field(metadata=_within(0))
    smallest_side: int = field(metadata=_within(1))
    channels: str = field(metadata=_one_of("copies", "views"))
    head: str = field(metadata=_one_of("places", "pooled"))
    strides: tuple[int, ...] | None
    dropout: float = field(metadata=_within(0, 0.95))
    genes: bool
    gene_dropout: float = field(metadata=_within(0, 0.95))
    rank_units: int = field(metadata=_within(0))
    precision: str = field(metadata=_one_of("float16", "float32"))


@dataclass(frozen=True)
class TrainingParams:
    """How a tail is trained."""

    epochs: int = field(metadata=_within(1))
    batch_size: int = field(metadata=_within(1))
    learning_rate: float = field(metadata=_within(1e-8, 10))
    tail_learning_rate: float = field(metadata=_within(0, 10))
    rank_learning_rate: float = field(metadata=_within(0, 10))
    weight_decay: float = field(metadata=_within(0, 1))
    class_weight: str = field(metadata=_one_of("none", "sqrt", "balanced"))
    seed: int


@dataclass(frozen=True)
class SearchParams:
    """What Optuna may choose, and how long it may take."""

    n_trials: int = field(metadata=_within(1))
    epochs: int = field(metadata=_within(1))
    depths: tuple[int, ...] | None
    learning_rate: tuple[float, ...] | None
    dropout: tuple[float, ...] | None
    objective: str = field(metadata=_one_of("f1_macro", "accuracy", "balanced_accuracy", "log_loss"))
    prune: bool
    storage: str | None
    seed: int


@dataclass(frozen=True)
class BaselinesParams:
    """The opponents to fit."""

    opponents: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class EvaluationParams:
    """Bootstrap intervals, when to abstain, and what counts as unlike the training cohort."""

    n_resamples: int = field(metadata=_within(1))
    level: float = field(metadata=_within(0.5, 0.9999))
    answered_accuracy: float = field(metadata=_within(0, 1))
    false_alarms: float = field(metadata=_within(0.0001, 0.5))
    seed: int


@dataclass(frozen=True)
class AttributionParams:
    """How many samples are explained, and how exactly."""

    n_samples_per_type: int = field(metadata=_within(1))
    steps: int = field(metadata=_within(1))
    max_steps: int = field(metadata=_within(1))
    median_delta: float = field(metadata=_within(0, 1))
    p95_delta: float = field(metadata=_within(0, 1))
    n_top: int = field(metadata=_within(1))
    seed: int


@dataclass(frozen=True)
class GateParams:
    """What a version must reach to be promoted."""

    accuracy: float = field(metadata=_within(0, 1))
    f1_macro: float = field(metadata=_within(0, 1))
    worse_than_staging: float = field(metadata=_within(0, 1))


@dataclass(frozen=True)
class RegistryParams:
    """The registered model's name, what it accepts, and its gate."""

    name: str
    missing_genes: float = field(metadata=_within(0, 1))
    gate: GateParams


@dataclass(frozen=True)
class Params:
    """The whole of params.yaml, a field per section."""

    cohort: CohortParams
    split: SplitParams
    expression: ExpressionParams
    layout: LayoutParams
    backbones: tuple[str, ...]
    weights: WeightsParams
    network: NetworkParams
    training: TrainingParams
    search: SearchParams
    baselines: BaselinesParams
    evaluation: EvaluationParams
    attribution: AttributionParams
    registry: RegistryParams


# Sections whose options belong to the file named by one of their keys: `tcga:` below `cohort:` holds what
# sources/tcga.py declares as its Options. Only the chosen one's options are read.
_CHOOSERS = {CohortParams: "source", LayoutParams: "method"}


def read_params(path: Path) -> Params:
    """Read and check params.yaml.

    Parameters
    ----------
    path : pathlib.Path
        The YAML file.

    Returns
    -------
    Params
        Its content.

    Raises
    ------
    ParamsError
        If the file cannot be read, or a key or value in it is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ParamsError(
            f"Params must be a readable YAML file, but got {reason}. Correct {path}."
        ) from error
    return parse(Params, content, str(path))


def parse(kind: type[T], content: object, where: str) -> T:
    """Turn a mapping into a frozen dataclass, refusing what does not fit its fields.

    Parameters
    ----------
    kind : type
        A dataclass. Fields may carry ``words`` (allowed values) or ``range`` (low, high) in their metadata.
    content : object
        What YAML gave for it.
    where : str
        What to call it in messages: the file, or the keys that lead to it.

    Returns
    -------
    kind
        The filled dataclass.

    Raises
    ------
    ParamsError
        If a key is unknown or missing, or a value has the wrong type or lies out of range.

    Examples
    --------
    >>> parse(SplitParams, {"validation": 0.1, "test": 0.2, "seed": 3}, "split")
    SplitParams(validation=0.1, test=0.2, seed=3, repeats=1)
    >>> parse(SplitParams, {"validation": 0.1, "tset": 0.2}, "split")
    Traceback (most recent call last):
    expressionist.errors.ParamsError: split has no key 'tset'. Its keys are validation, test, seed, repeats.
    """
    if not isinstance(content, Mapping):
        raise ParamsError(
            f"{where} must be a mapping of keys to values, but got {content!r}. Write `key: value` lines."
        )
    if kind in _CHOOSERS:
        content = _gather_options(content, _CHOOSERS[kind], where)
    declared = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for key in content:
        if key not in declared:
            raise ParamsError(f"{where} has no key {key!r}. Its keys are {', '.join(declared)}.")
    hints = get_type_hints(kind)
    values = {}
    for name, item in declared.items():
        if name in content:
            values[name] = _convert(hints[name], content[name], item.metadata, f"{where}: {name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ParamsError(f"{where} must have the key {name!r}. Add it.")
    return kind(**values)


def _gather_options(content: Mapping[str, Any], chooser: str, where: str) -> Mapping[str, Any]:
    chosen = content.get(chooser)
    if not isinstance(chosen, str):
        raise ParamsError(f"{where}: {chooser} must be a word, but got {chosen!r}. Name one.")
    plain = {key: value for key, value in content.items() if not isinstance(value, Mapping)}
    return {**plain, "options": content.get(chosen) or {}}


def _to_float(value: int | str) -> float | str:
    """Read what YAML 1.1 takes for text: `1e-3` lacks the point that it asks for."""
    if isinstance(value, str) and not _EXPONENT.fullmatch(value):
        return value
    return float(value)


def _convert(hint: Any, value: Any, metadata: Mapping[str, Any], where: str) -> Any:  # noqa: ANN401
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (hint,) = [option for option in get_args(hint) if option is not type(None)]
        origin = get_origin(hint)
    if isinstance(hint, type) and hasattr(hint, "__dataclass_fields__"):
        return parse(hint, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ParamsError(f"{where} must be a list, but got {value!r}. Write it in brackets.")
        return tuple(_convert(get_args(hint)[0], item, {}, where) for item in value)
    if origin is not None:
        if not isinstance(value, Mapping):
            raise ParamsError(f"{where} must be a mapping, but got {value!r}. Write `key: value` lines.")
        return value
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        value = _to_float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ParamsError(f"{where} must be of type {hint.__name__}, but got {value!r}. Correct it.")
    if "words" in metadata and value not in metadata["words"]:
        raise ParamsError(
            f"{where} must be one of {', '.join(metadata['words'])}, but got {value!r}. Choose one."
        )
    if "range" in metadata and not metadata["range"][0] <= value <= metadata["range"][1]:
        low, high = metadata["range"]
        bound = f"at least {low:g}" if high == float("inf") else f"between {low:g} and {high:g}"
        raise ParamsError(f"{where} must be {bound}, but got {value!r}. Correct it.")
    return value
