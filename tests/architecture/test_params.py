"""params.yaml and the code agree: every key is there, and every plug-in accepts its own section."""

import inspect
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
import yaml

from architecture.source_tree import ROOT
from expressionist.baselines import OPPONENTS
from expressionist.layouts import find_layout, layout_names
from expressionist.params import CohortParams, LayoutParams, Params, parse, read_params
from expressionist.sources import find_source, source_names

PATH = ROOT / "params.yaml"
WRITTEN = yaml.safe_load(PATH.read_text(encoding="utf-8"))
# Below these stand, beside the keys, sections of options called like the plug-ins that read them.
CHOOSING = {CohortParams: source_names(), LayoutParams: layout_names()}


def list_keys(kind, above=""):
    """List the keys of a section as a person writes them: `registry.gate.accuracy`."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        if is_dataclass(hints[item.name]):
            yield from list_keys(hints[item.name], f"{above}{item.name}.")
        elif not (kind in CHOOSING and item.name == "options"):
            yield f"{above}{item.name}"


def list_written(content, above=""):
    for key, value in content.items():
        if isinstance(value, dict):
            yield from list_written(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def test_it_is_read():
    assert isinstance(read_params(PATH), Params)


def test_every_key_is_written():
    """Those with a default too: who reads the file should see all there is to choose."""
    options = tuple(
        f"{section}.{name}."
        for section, kind in (("cohort", CohortParams), ("layout", LayoutParams))
        for name in CHOOSING[kind]
    )
    written = [key for key in list_written(WRITTEN) if not key.startswith(options)]
    assert sorted(written) == sorted(list_keys(Params))


@pytest.mark.parametrize("name", source_names())
def test_source_accepts_its_section(name):
    section = WRITTEN["cohort"].get(name, {})
    kind = find_source(name).Options
    assert isinstance(parse(kind, section, f"cohort: {name}"), kind)
    assert list(section) == [item.name for item in fields(kind)], (
        "one line per option, in the order of Options"
    )


@pytest.mark.parametrize("name", layout_names())
def test_layout_accepts_its_section(name):
    parameters = inspect.signature(find_layout(name).place).parameters.values()
    options = [item.name for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY]
    assert list(WRITTEN["layout"].get(name, {})) == options


def test_words_name_what_is_there():
    params = read_params(PATH)
    assert params.cohort.source in source_names()
    assert params.layout.method in layout_names()
    assert set(params.baselines.opponents) <= set(OPPONENTS)
    assert params.cohort.source == "embedded", "the default must run without data"
    assert not params.weights.required, "the default must run without a network"
