"""From what a file says to a frozen dataclass: Pydantic checks it, and every fault is a sentence."""

import json
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, get_type_hints

from expressionist.errors import ParamsError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, TypeAdapter
    from pydantic_core import CoreSchema, ErrorDetails

# Pydantic is loaded where it is used: dataclasses of params are made in many places that read no file.

T = TypeVar("T")
_LONGEST = 80
# Kind of error of Pydantic → what must hold, and what to do about it.
_SENTENCES = {
    "int_type": ("be a whole number", "Correct it."),
    "float_type": ("be a number", "Correct it."),
    "bool_type": ("be true or false", "Correct it."),
    "string_type": ("be text", "Put it in quotes."),
    "string_too_short": ("not be empty", "Fill it in."),
    "list_type": ("be a list", "Write [a, b]."),
    "tuple_type": ("be a list", "Write [a, b]."),
    "dict_type": ("be a mapping of keys to values", "Write `key: value` lines."),
    "dataclass_type": ("be a mapping of keys to values", "Write `key: value` lines."),
    "greater_than_equal": ("be at least {ge:.12g}", "Raise it."),
    "less_than_equal": ("be at most {le:.12g}", "Lower it."),
    "word": ("be one of {words}", "Choose one."),
    "must": ("{what}", "{mend}"),
}


def key(
    description: str,
    *,
    default: Any = MISSING,  # noqa: ANN401
    default_factory: Any = MISSING,  # noqa: ANN401
    **bounds: float,
) -> Any:  # noqa: ANN401
    """Make a field that says what its key means, for docs/params.md too, as Pydantic reads it.

    Bounds are ``ge`` and ``le`` of a number, and ``min_length`` of text.
    """
    about = {"description": description, **bounds}
    return field(default=default, default_factory=default_factory, metadata=about)


@dataclass_transform(frozen_default=True, field_specifiers=(key,))
def section(kind: type[T]) -> type[T]:
    """Make a section of params.yaml, or a plug-in's options: a frozen dataclass whose fields `key` makes."""
    return dataclass(frozen=True)(kind)


@dataclass(frozen=True)
class OneOf:
    """One of some words (or numbers), for ``Annotated``."""

    list_words: Callable[[], Iterable[Any]]

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Accept these words."""
        from pydantic_core import core_schema

        words = list(self.list_words())
        return core_schema.custom_error_schema(
            core_schema.literal_schema(words),
            "word",
            custom_error_message="{words}",
            custom_error_context={"words": ", ".join(map(str, words))},
        )


@dataclass(frozen=True)
class Within:
    """A number between bounds, for an ``Annotated`` entry of a list."""

    ge: float
    le: float

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Accept these numbers."""
        return {**handler(source), "ge": self.ge, "le": self.le}


@dataclass(frozen=True)
class Must:
    """A condition for ``Annotated``, where a type and bounds do not say enough."""

    what: str  # what the value must do or be, after "must"
    holds: Callable[[Any], bool]
    mend: str = "Correct it."  # what to do about a value that does not
    got: str = ""  # what to say instead of the value that came, if it must not be shown

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Accept what satisfies the condition."""
        from pydantic_core import PydanticCustomError, core_schema

        def check(value: object) -> object:
            if not self.holds(value):
                context = {"what": self.what, "mend": self.mend, "got": self.got}
                raise PydanticCustomError("must", "{what}", context)
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))


def parse(kind: type[T], content: object, where: str) -> T:
    """Turn a mapping into a frozen dataclass, whose annotations and `key`s say what may come.

    A key that is unknown or missing, a value that is not of its type or out of bounds: each is a sentence of
    a `ParamsError`, in which the mapping goes by the name `where`.

    >>> @section
    ... class Split:
    ...     test: float = key("Share of patients.", ge=0.01, le=0.5)
    >>> parse(Split, {"test": 0.2}, "split")
    Split(test=0.2)
    >>> parse(Split, {"tset": 0.2}, "split")
    Traceback (most recent call last):
    expressionist.errors.ParamsError: split must have the key 'test'. Add it.
    split has no key 'tset'. Its keys are test.
    """
    value, faults = find_faults(kind, content, where)
    if value is None or faults:
        raise ParamsError("\n".join(faults))
    return value


def find_faults(
    kind: type[T], content: object, where: str, *, whole: bool = True
) -> tuple[T | None, list[str]]:
    """Do as `parse` does, for any type that Pydantic knows, and return a sentence for each fault.

    If not all is needed (`whole`), keys may be missing, as in a section that is not in use; what the
    dataclass says of keys that do not go together does not count either. The value is None if there are
    faults, or if something is missing.
    """
    from pydantic import ValidationError

    try:
        # As JSON, since Pydantic is strict about it as one wants: no text is a number, but a list is a tuple.
        written = json.dumps([content])
    except (TypeError, ValueError) as error:
        return None, [
            f"{where} must hold text, numbers, lists and mappings only, but got what is none of these: "
            f"{error}. Put it in quotes."
        ]
    try:
        (value,) = make_adapter(kind).validate_json(written, strict=True)
    except ValidationError as error:
        errors = [each for each in error.errors() if whole or each["type"] != "missing"]
        return None, [_phrase(kind, each, where) for each in errors]
    except ParamsError as refusal:
        return None, [f"{where}: {refusal}"] if whole else []
    return value, []


def make_adapter(kind: Any) -> "TypeAdapter[Any]":  # noqa: ANN401  # a type, or what stands for one
    """Make Pydantic's view of a type in a tuple: only what holds a dataclass can forbid it unknown keys."""
    from pydantic import TypeAdapter

    return TypeAdapter(tuple[kind], config={"extra": "forbid"})


def _phrase(kind: Any, error: "ErrorDetails", where: str) -> str:  # noqa: ANN401
    """Say in a sentence what Pydantic found."""
    steps, name = [*error["loc"][1:-1]], error["loc"][-1]
    if error["type"] == "missing":
        return f"{_join(where, steps)} must have the key {name!r}. Add it."
    if error["type"] == "unexpected_keyword_argument":
        known = ", ".join(_list_keys(kind, steps)) or "none at all"
        return f"{_join(where, steps)} has no key {name!r}. Its keys are {known}."
    context = error.get("ctx", {})
    said = (error["msg"].removeprefix("Input should "), "Correct it.")
    what, mend = (part.format(**context) for part in _SENTENCES.get(error["type"], said))
    if error["input"] is None:
        mend = "Give one."
    shown = repr(error["input"])
    got = context.get("got") or (shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…")
    return f"{_join(where, [*error['loc'][1:]])} must {what}, but got {got}. {mend}"


def _join(where: str, steps: list[Any]) -> str:
    named = [f"entry {step + 1}" if isinstance(step, int) else step for step in steps]
    return ": ".join([where, *named])


def _list_keys(kind: Any, steps: list[Any]) -> list[str]:  # noqa: ANN401
    for step in steps:
        kind = get_type_hints(kind)[step]
    return [item.name for item in fields(kind)] if is_dataclass(kind) else []
