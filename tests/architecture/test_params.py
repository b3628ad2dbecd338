"""params.yaml and the code agree: every key is there, and every plug-in accepts its own section."""

import inspect
import shutil
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

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


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("cohort.source=tcga", "  source: tcga "),
        ("cohort.pancan-mrna.verify=false", "    verify: false "),
        ("cohort.table.labels=labels.csv", "    labels: labels.csv"),
        ("split.seed=7", "  seed: 7"),
        ("training.epochs=20", "  epochs: 20 "),
        ("training.learning_rate=1e-3", "  learning_rate: 0.001"),
        ("weights.required=true", "  required: true "),
        ("search.storage='sqlite:///studies.db'", "  storage: sqlite:///studies.db"),
        ("registry.gate.f1_macro=0.7", "    f1_macro: 0.7"),
    ],
)
def test_dvc_changes_one_line_of_it(tmp_path, override, line):
    """`dvc exp run -S` goes through this function; comments and the form of all other lines stay."""
    path = tmp_path / "params.yaml"
    shutil.copyfile(PATH, path)
    apply_overrides(path, [override])
    before, after = (each.read_text(encoding="utf-8").splitlines() for each in (PATH, path))
    assert len(before) == len(after), "it must be kept as DVC writes it"
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1, changed
    ((old, new),) = changed
    assert new.startswith(line)
    assert old.partition("#")[2] == new.partition("#")[2]
    read_params(path)
