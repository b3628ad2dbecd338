"""From what a file says to a frozen dataclass: Pydantic checks it, and every fault is a sentence."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

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
    "greater_than": ("be above {gt:.12g}", "Raise it."),
    "too_short": ("have at least {min_length} entries", "Add to it."),
    "too_long": ("have at most {max_length} entries", "Shorten it."),
    "word": ("be one of {words}", "Choose one."),
    "must": ("{what}", "{mend}"),
}


def key(description: str, **bounds: float) -> dict[str, Any]:
    """Describe a key: the metadata of a dataclass's field, as Pydantic reads them.

    Parameters
    ----------
    description : str
        What it means; docs/params.md and its JSON schema say so.
    **bounds
        ``ge``, ``gt`` and ``le`` of a number, ``min_length`` and ``max_length`` of a list or text.
    """
    return {"description": description, **bounds}


@dataclass(frozen=True)
class OneOf:
    """One of some words (or numbers), for ``Annotated``.

    Parameters
    ----------
    list_words : callable
        Lists the words.
    """

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
    """A number between bounds, for an ``Annotated`` entry of a list.

    Parameters
    ----------
    ge, le : float
        Least and greatest number.
    """

    ge: float
    le: float

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Accept these numbers."""
        return {**handler(source), "ge": self.ge, "le": self.le}


@dataclass(frozen=True)
class Must:
    """A condition for ``Annotated``, where a type and bounds do not say enough.

    Parameters
    ----------
    what : str
        What the value must do or be, after "must".
    holds : callable
        Whether a value does.
    mend : str
        What to do about one that does not.
    got : str
        What to say instead of the value that came, if it must not be shown.
    """

    what: str
    holds: Callable[[Any], bool]
    mend: str = "Correct it."
    got: str = ""

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
    """Turn a mapping into a frozen dataclass, refusing what does not fit its fields.

    Parameters
    ----------
    kind : type
        A dataclass. Its annotations and the metadata of its fields (`key`) say what may come.
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
        If a key is unknown or missing, or a value is not of its type or out of bounds: a sentence for each.

    Examples
    --------
    >>> from dataclasses import field
    >>> @dataclass(frozen=True)
    ... class Split:
    ...     test: float = field(metadata=key("Share of patients.", ge=0.01, le=0.5))
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
    """Do as `parse` does, and return the sentences.

    Parameters
    ----------
    kind, content, where
        As for `parse`; any type that Pydantic knows will do.
    whole : bool
        Whether all is needed. If not, keys may be missing, as in a section that is not in use; what the
        dataclass says of keys that do not go together does not count either.

    Returns
    -------
    value : object or None
        None if there are faults, or if something is missing that is not needed.
    faults : list of str
        A sentence for each.
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
    got = context.get("got") or _shorten(error["input"])
    return f"{_join(where, [*error['loc'][1:]])} must {what}, but got {got}. {mend}"


def _join(where: str, steps: list[Any]) -> str:
    named = [f"entry {step + 1}" if isinstance(step, int) else step for step in steps]
    return ": ".join([where, *named])


def _list_keys(kind: Any, steps: list[Any]) -> list[str]:  # noqa: ANN401
    for step in steps:
        kind = get_type_hints(kind)[step]
    return [item.name for item in fields(kind)] if is_dataclass(kind) else []


def _shorten(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
