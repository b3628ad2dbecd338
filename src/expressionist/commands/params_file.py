"""params.yaml, read and checked as a whole before anything is done: every key, and keys that go together."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from expressionist.errors import ParamsError, name_some
from expressionist.network import BACKBONES
from expressionist.params import (
    CohortParams,
    LayoutParams,
    Params,
    find_faults,
    follow_reference,
    layout_defines,
    list_layouts,
    list_sources,
)

# What version 0.1 had, and what became of it.
_RENAMED = {
    "layout.crowding": "called overlap",
    "baselines.opponents": "called models",
    "network.channels": "gone, as three views of a pixel were no better than three copies of it,",
}
_HEADS = {"places": "flatten", "pooled": "global_average"}


class _Loader(yaml.SafeLoader):
    """Reads `1e-3` as the number that it is to YAML 1.2, and so to DVC; YAML 1.1 asks for a point in it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"), list("+-0123456789")
)


def find_options(section: str, word: str) -> type | None:
    """Return the dataclass of the options of a source (``cohort``) or layout method; None if it has none.

    >>> [item.name for item in fields(find_options("layout", "tsne"))], find_options("layout", "random")
    (['perplexity'], None)
    """
    # Here, since the command line loads this module before it knows whether it reads params.
    from expressionist.data import find_source
    from expressionist.painting import find_layout

    if section == "cohort":
        return find_source(word).Options
    # Asked first, since loading a layout may take seconds.
    return find_layout(word).Options if layout_defines(word, "Options") else None


# Sections whose options belong to the file that one of their keys names: `tcga:` below `cohort:` holds what
# sources/tcga.py declares as its Options.
CHOOSERS: dict[str, tuple[type, str, Callable[[], list[str]]]] = {
    "cohort": (CohortParams, "source", list_sources),
    "layout": (LayoutParams, "method", list_layouts),
}


def read_params(path: Path) -> Params:
    """Read and check params.yaml; a `ParamsError` has a line for everything that is wrong in it."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            # The place only: the line that YAML shows as well may hold what is secret.
            reason = f"{error.problem} in line {error.problem_mark.line + 1}"
        raise ParamsError(
            f"Params must be a readable YAML file, but got {reason}. Correct {path}."
        ) from error
    return check_params(content, str(path))


def check_params(content: object, where: str) -> Params:
    """Check all that YAML gave; a `ParamsError` has a line for everything that is wrong in `where`."""
    if not isinstance(content, Mapping):
        raise ParamsError(
            f"{where} must be a mapping of keys to values, but got {content!r}. Write `key: value` lines."
        )
    if old := list(_find_old(content, where)):
        raise ParamsError("\n".join(old))
    sections = get_type_hints(Params, include_extras=True)
    given: dict[str, Any] = {}
    faults = _find_unknown(content, sections, where, ", ".join(sections))
    for name, kind in sections.items():
        if name not in content:
            faults.append(f"{where} must have the key {name!r}. Add it.")
            continue
        said, more = _gather_options(name, content[name], f"{where}: {name}")
        value, found = find_faults(kind, said, f"{where}: {name}")
        faults += found + more
        if value is not None:
            given[name] = value
    faults += [f"{where}: {clash}" for clash in _find_clashes(given)]
    if faults:
        raise ParamsError("\n".join(faults))
    params = Params(**given)
    follows = params.network.protocol == "reference"
    return replace(params, training=follow_reference(params.training)) if follows else params


def _find_old(content: Mapping[Any, Any], where: str) -> Iterator[str]:
    """Say what keys and words of version 0.1 are called now."""
    for dotted, now in _RENAMED.items():
        section, key = dotted.split(".")
        given = content.get(section)
        if isinstance(given, Mapping) and key in given:
            yield f"{where}: {section}: {key} is {now} since version 0.2.0. Change it."
    network = content.get("network")
    head = network.get("head") if isinstance(network, Mapping) else None
    if called := _HEADS.get(str(head)):
        yield f"{where}: network: head: {head} is called {called} since version 0.2.0. Change it."


def _find_unknown(content: Mapping[Any, Any], known: Collection[str], where: str, told: str) -> list[str]:
    return [f"{where} has no key {name!r}. Its keys are {told}." for name in content if name not in known]


def _gather_options(section: str, content: object, where: str) -> tuple[object, list[str]]:
    """Check the sections of plug-ins that are in a section, and put the chosen one's under `options`.

    All that is written is checked; in a section that is not in use, keys may be missing.
    """
    if section not in CHOOSERS or not isinstance(content, Mapping):
        return content, []
    kind, chooser, list_words = CHOOSERS[section]
    own = [item.name for item in fields(kind) if item.name != "options"]
    words, chosen = list_words(), content.get(chooser)
    faults = _find_unknown(content, [*own, *words], where, f"{', '.join(own)}, and {', '.join(words)}")
    for word in words:
        if word in content or word == chosen:
            options = find_options(section, word) or _NoOptions
            wanted = content.get(word) or {}
            faults += find_faults(options, wanted, f"{where}: {word}", whole=word == chosen)[1]
    gathered = {name: content[name] for name in own if name in content}
    return {**gathered, "options": content.get(str(chosen)) or {}}, faults


@dataclass(frozen=True)
class _NoOptions:
    """What a layout method without options takes."""


def _find_clashes(given: Mapping[str, Any]) -> Iterator[str]:
    """Say which sections, each right in itself, do not fit together."""
    layout = given.get("layout")
    if layout and layout.overlap == "average" and not layout_defines(layout.method, "embed"):
        able = [name for name in list_layouts() if layout_defines(name, "embed")]
        yield (
            f"layout: overlap must be single for a method without points, but got average with "
            f"{layout.method}. Choose single, or one of {', '.join(able)}."
        )
    for name in given.get("backbones", ()) if "search" in given else ():
        n_layers = BACKBONES[name].n_layers
        deeper = [depth for depth in given["search"].depths or () if depth > n_layers]
        if deeper:
            yield (
                f"search: depths must be at most {n_layers} for {name}, which has so many layers with "
                f"weights, but got {name_some(deeper)}. Lower them, or leave {name} out."
            )
