"""What extras bring, and what is said where it is not there: all is tried in one process without them."""

import importlib.metadata
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing

import pytest

from architecture.source_tree import MODULES, ROOT, close_over, find_tools
from expressionist import errors
from expressionist.commands.app import PANELS
from expressionist.errors import PackageError, name_extra
from expressionist.stages import list_stages

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
IN_ALL = re.findall(r"\w+", EXTRAS["all"][0].partition("[")[2])
BROUGHT = errors._BROUGHT
SCRIPT = """
import contextlib, io, json, sys
from expressionist.errors import _BROUGHT, Refusal
import importlib.metadata
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, *where):
        return None if name.partition(".")[0] in _BROUGHT else super().find_spec(name, *where)

def find(name, find=importlib.metadata.distribution):
    if name in _BROUGHT:
        raise importlib.metadata.PackageNotFoundError(name)
    return find(name)

sys.meta_path = [Without if each is PathFinder else each for each in sys.meta_path]
importlib.metadata.distribution = find
from pathlib import Path
import click
import numpy as np
import pandas as pd
from expressionist import ExpressionImager, network, tracking
from expressionist.commands import app as command_line

def call(*words):
    sys.argv = ["expressionist", *words]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            command_line.main()
        except SystemExit as ended:
            return ended.code or 0, said.getvalue()
        except Exception as error:
            return None, repr(error)

def fill(command):
    for each in command.params:
        if each.required and isinstance(each, click.Argument):
            yield {"table": "table.csv", "file": "table.csv", "out": "new"}.get(each.name, "models:/m/1")
        elif each.required:
            yield from (each.opts[0], "model" if each.name == "model" else "nowhere")

def refuse(work):
    try:
        work()
    except Refusal as refusal:
        return str(refusal)

samples = pd.DataFrame(np.random.default_rng(0).random((12, 20)), columns=[f"G{i}" for i in range(20)])
samples.to_csv("table.csv", index_label="sample")
images = ExpressionImager(layout="coexpression").fit_transform(samples)
app = command_line.app
commands = {name: app.get_command(None, name) for name in app.list_commands(None)}
told = {"shape": images.shape, "help": {name: call(name, "--help")[0] for name in commands}}
told["called"] = {name: call(name, *fill(each)) for name, each in commands.items()}
told["surface"] = [
    refuse(lambda: ExpressionImager(layout="tsne").fit(samples)),
    refuse(lambda: ExpressionImager(layout="umap").fit(samples)),
    refuse(lambda: network.load_network),
    refuse(lambda: tracking.find_store(Path()).client),
]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What came of everything in a process that cannot import what any extra brings."""
    folder = tmp_path_factory.mktemp("bare")
    for name in ("mlruns", "model"):
        (folder / name).mkdir()
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    (folder / "model" / "model.json").write_text("{}")
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num)")
    words = [sys.executable, "-c", SCRIPT]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_images_help_and_inspection_need_no_extra(bare):
    assert bare["shape"][0] == 12
    assert set(bare["help"].values()) == {0}
    # 1: this table would be refused.
    assert bare["called"]["inspect"] == [1, ""]
    assert bare["called"]["times"] == [0, ""]


def needs_an_extra(name):
    """Tell whether a command cannot begin with the core: those of stages may read their files first."""
    loaded = close_over(f"expressionist.stages.{name}", at_load=True) if name in list_stages() else ()
    return not loaded or any(find_tools(each, at_load=True) & BROUGHT.keys() for each in loaded)


@pytest.mark.parametrize(
    ("extra", "name"), [(extra, name) for extra, names in PANELS.values() for name in names if extra]
)
def test_a_command_without_its_extra_names_it(bare, extra, name):
    code, said = bare["called"][name]
    if name != "times" and needs_an_extra(name):
        assert (code, said.count("\n")) == (2, 1)
        assert said.endswith(f"but is not there. Run: pip install 'expressionist[{extra}]'.\n")


def test_what_a_folder_lends_names_its_extra(bare):
    extras = [re.findall(r"\[(\w+)\]'\.$", said) for said in bare["surface"]]
    assert extras == [["layouts"], ["layouts"], ["train"], ["track"]]


def list_extras(packages):
    """List the extras that bring one of some packages, in the order of `all`; the core is called nothing."""
    asked = set(map(read_name, packages))
    sets = {"": PROJECT["dependencies"], **{name: EXTRAS[name] for name in IN_ALL}}
    return [name for name, those in sets.items() if asked & set(map(read_name, those))]


def read_name(text):
    return re.split(r"[^\w.-]", text)[0].lower().replace("_", "-")


def test_whatever_the_package_imports_comes_with_the_core_or_is_named_with_its_extras():
    tools = set().union(*(find_tools(module) for module in MODULES)) - sys.stdlib_module_names
    packages = importlib.metadata.packages_distributions()
    found = {tool: list_extras(packages[tool]) for tool in tools if tool in packages}
    # What no part of `all` brings is refused where it is asked for: dask, postgres and onnx.
    own = {tool: extras for tool, extras in found.items() if extras and extras != [""]}
    assert {tool: list(extras) for tool, (_, *extras) in BROUGHT.items()} == own
    assert {tool for tool, extras in found.items() if not extras} <= {"distributed", "psycopg"}


def test_only_what_an_extra_brings_is_named():
    with (
        pytest.raises(PackageError, match="Keras must be installed to predict") as refused,
        name_extra("serve"),
    ):
        raise ModuleNotFoundError(name="keras")
    assert refused.value.name == "keras"
    for name in ("keras.src", "nonsuch"):
        with pytest.raises(ModuleNotFoundError) as kept, name_extra():
            raise ModuleNotFoundError(name=name)
        assert not isinstance(kept.value, PackageError)


def test_the_table_of_sizes_has_a_row_for_every_extra():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `expressionist(?:\[(\w+)\])?` \|", page, re.MULTILINE)
    assert rows == ["", *EXTRAS]
