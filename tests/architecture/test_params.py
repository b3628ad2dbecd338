"""params.yaml and the code agree: every key is there, plug-ins accept their sections, the docs say so."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from architecture.source_tree import ROOT
from expressionist.commands import params_docs
from expressionist.commands.params_file import find_options, read_params
from expressionist.data.sources import find_source
from expressionist.errors import ParamsError
from expressionist.painting.layouts import find_layout
from expressionist.params import list_layouts, list_sources
from expressionist.params.parsing import find_faults, parse
from expressionist.params.sections import CohortParams, LayoutParams, Params

PATH = ROOT / "params.yaml"
WRITTEN = yaml.safe_load(PATH.read_text(encoding="utf-8"))
# Below these stand, beside the keys, sections of options called like the plug-ins that read them.
CHOOSING = (CohortParams, LayoutParams)
# What a command that reads params has loaded anyway: the lightest are `models` and `promote`.
LOADED_ANYWAY = ["expressionist.commands.app", "expressionist.tracking.promotion"]


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
        # An empty mapping is a value.
        if isinstance(value, dict) and value:
            yield from list_written(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def test_every_key_is_written():
    """Those with a default too: who reads the file should see all there is to choose."""
    options = tuple([f"cohort.{name}." for name in list_sources()] + [f"layout.{n}." for n in list_layouts()])
    written = [key for key in list_written(WRITTEN) if not key.startswith(options)]
    assert sorted(written) == sorted(list_keys(Params))


@pytest.mark.parametrize("name", list_sources())
def test_source_accepts_its_section(name):
    section = WRITTEN["cohort"].get(name, {})
    kind = find_source(name).Options
    assert isinstance(parse(kind, section, f"cohort: {name}"), kind)
    assert list(section) == [item.name for item in fields(kind)], "one line per option, in their order"


@pytest.mark.parametrize("name", list_layouts())
def test_layout_accepts_its_section(name):
    """What it declares as its options is what it takes, with the same defaults."""
    layout = find_layout(name)
    parameters = inspect.signature(getattr(layout, "embed", None) or layout.place).parameters.values()
    taken = {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}
    kind = find_options("layout", name)
    declared = {} if kind is None else {item.name: item.default for item in fields(kind)}
    assert declared == taken
    section = WRITTEN["layout"].get(name, {})
    assert list(section) == list(taken)
    assert kind is None or find_faults(kind, section, name, whole=False)[1] == []


def test_the_default_runs_without_data_and_without_a_network():
    params = read_params(PATH)
    assert params.cohort.source == "embedded"
    assert not params.weights.required


def test_docs_are_those_of_the_code(tmp_path, monkeypatch):
    (tmp_path / "docs").mkdir()
    for name in ("params.yaml", "docs/params.md", "docs/params.schema.json"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    params_docs.write_docs()
    for name in (params_docs.PAGE, params_docs.SCHEMA):
        shipped = (ROOT / name).read_text(encoding="utf-8")
        assert name.read_text(encoding="utf-8") == shipped, f"{name} is stale; run: make docs"


def test_the_page_has_every_key_and_says_what_it_means():
    page = (ROOT / params_docs.PAGE).read_text(encoding="utf-8")
    tables = re.findall(r"<!-- keys of ([^>]+) -->\n(.*?)<!-- end -->", page, re.DOTALL)
    found = set()
    for names, table in tables:
        rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()[2:]]
        for key, allowed, shipped, meaning in rows:
            assert allowed.strip(), key
            assert shipped.strip("` "), key
            assert len(meaning.split()) > 1, key
            found |= {f"{name}.{key.strip('` ')}" for name in names.split(", ")}
    # A mapping is one key to the page, and its section to the list here.
    written = {re.sub(r"(more_sample_types)\..*", r"\1", key) for key in list_written(WRITTEN)}
    assert found == (written - {"backbones"}) | {"backbones.backbones"}


def test_editors_find_the_schema_and_it_knows_every_key():
    first = PATH.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={params_docs.SCHEMA}"
    schema = json.loads((ROOT / params_docs.SCHEMA).read_text(encoding="utf-8"))

    def check(said, content):
        said = schema["$defs"][said["$ref"].rpartition("/")[2]] if "$ref" in said else said
        if "properties" in said:
            assert not said["additionalProperties"]
            assert content.keys() <= said["properties"].keys()
            for name, value in content.items():
                check(said["properties"][name], value)
        else:
            assert said["description"]
            assert "enum" not in said or content in said["enum"]

    check(schema, WRITTEN)
    assert schema["properties"]["backbones"]["items"]["enum"]


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


def test_types_can_be_merged_by_dvc(tmp_path):
    """Hydra gives a key new ones only where nothing stands behind it."""
    path = tmp_path / "params.yaml"
    shutil.copyfile(PATH, path)
    apply_overrides(path, ["cohort.merge_types={CRC: [COAD, READ]}"])
    assert read_params(path).cohort.merge_types == {"CRC": ("COAD", "READ")}
    apply_overrides(path, ["+cohort.merge_types.glioma=[GBM, READ]"])
    with pytest.raises(ParamsError, match="merge every tumour type once"):
        read_params(path)


def test_reading_it_loads_pydantic_and_nothing_else_that_is_heavy():
    """Words and options are those of modules that load scikit-learn, HDF5 and Keras; they are not loaded."""
    program = """
import importlib, sys
from pathlib import Path
for name in sys.argv[1:]:
    importlib.import_module(name)
before = set(sys.modules)
from expressionist.commands.params_file import read_params
read_params(Path("params.yaml"))
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    words = [sys.executable, "-c", program, *LOADED_ANYWAY]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith("_")} - set(sys.stdlib_module_names)
    typing = {"annotated_types", "typing_extensions", "typing_inspection"}
    # Pandas has loaded the most of pyarrow.
    assert loaded <= {"expressionist", "yaml", "pydantic", "pydantic_core", "pyarrow", *typing}
