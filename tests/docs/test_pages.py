"""What the pages tell people to type is there: commands, options, targets, params, extras and files."""

import re
import tomllib

import click
import numpy as np
import pandas as pd
import pytest
import yaml

from architecture.source_tree import ROOT
from docs.pages import PAGES, list_blocks, list_lines, split_line
from expressionist.commands.app import app
from expressionist.commands.params_file import read_params

MAKE = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "project.mk"))
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# Programs that are not ours, whose options are not looked at.
OTHERS = set("apptainer cd conda cp curl cut dask docker eval export git grep ls podman".split())
OTHERS |= set("python sbatch source uv".split())
COMMANDS = [words for page in PAGES for line in list_lines(page) for words in split_line(line)]
SNIPPETS = [block for page in PAGES for block in list_blocks(page, "yaml")]
OF_CHECKOUT = re.compile(r"(benchmarks|containers|docs|src|tests)/")
# Commands in running text, which may be cut short.
INLINE = re.compile(r"(?<!`)`((?:expressionist(?! <)|make|python benchmarks/|benchmarks/)[^`\n]*)`")


def check_expressionist(words):
    context = click.Context(app, info_name="expressionist")
    if words in ([], ["--version"], ["--help"]):
        return
    name, command, rest = app.resolve_command(context, words)
    command.make_context(name, rest, parent=context)


def check_make(words):
    for word in words:
        variable, equals, _ = word.partition("=")
        wanted = rf"^{re.escape(variable)} [?:]?=" if equals else rf"^{re.escape(word)}:"
        assert re.search(wanted, MAKE, re.MULTILINE), f"make knows no {word}"


def check_dvc(words):
    from dvc.cli.parser import get_main_parser

    get_main_parser().parse_args(words)


def check_mlflow(words):
    from mlflow.cli import cli

    command, context = cli, click.Context(cli, info_name="mlflow")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(name, words, parent=context)


def check_pip(words):
    assert words[0] == "install"
    for extras in re.findall(r"^expressionist\[(.*)\]$", "\n".join(words), re.MULTILINE):
        assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()


CHECKS = {
    "expressionist": check_expressionist,
    "make": check_make,
    "dvc": check_dvc,
    "mlflow": check_mlflow,
    "pip": check_pip,
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_a_page_is_one(words, monkeypatch):
    # What a default asks for, such as where the project is, it asks of the checkout.
    monkeypatch.chdir(ROOT)
    program, *rest = words
    program = program.removeprefix(".venv/bin/")
    assert program in OTHERS | CHECKS.keys(), f"nobody knows {program}"
    if program in CHECKS:
        CHECKS[program](rest)
    for word in filter(OF_CHECKOUT.match, rest):
        assert (ROOT / word).exists(), word


def test_the_check_finds_what_it_is_for():
    """A command, an option, a target or an extra that is not there, and an option that is required."""
    for line in ("predic table.csv", "predict table.csv --modell x", "predict table.csv"):
        with pytest.raises(click.UsageError):
            check_expressionist(line.split())
    with pytest.raises(AssertionError):
        check_make(["repo"])
    with pytest.raises(AssertionError):
        check_pip(["install", "expressionist[al]"])
    assert split_line("A=1 x --y 'a b' && z <name>  # why") == [["x", "--y", "a b"], ["z", "name"]]
    assert len(COMMANDS) > 50


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_sentence_names_is_there(page):
    for text in INLINE.findall(page.read_text(encoding="utf-8")):
        for program, *words in split_line(text):
            if program == "make" and words:
                check_make([word for word in words if "..." not in word])
            elif program == "expressionist" and words and words != ["--help"]:
                command = app.get_command(click.Context(app), words[0])
                assert command, f"{page.name}: {text}"
                known = {flag for item in command.params for flag in (*item.opts, *item.secondary_opts)}
                assert {word for word in words if word.startswith("--")} <= known | {"--help"}, text
            else:
                script = next((word for word in (program, *words) if word.startswith("benchmarks/")), None)
                if script:
                    code = (ROOT / script).read_text(encoding="utf-8")
                    assert all(word in code for word in words if word.startswith("--")), text


def merge(whole, part):
    """Put the keys of a part into a whole."""
    inner = {
        key: merge(whole[key], value) for key, value in part.items() if isinstance(value, dict) and whole[key]
    }
    return whole | part | inner


@pytest.mark.parametrize("text", [text for text in SNIPPETS if yaml.safe_load(text).keys() <= SHIPPED.keys()])
def test_lines_for_params_yaml_are_valid_in_it(tmp_path, text):
    written = yaml.safe_load(text)
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(merge(SHIPPED, written)), encoding="utf-8")
    read_params(path)


def test_the_python_of_every_page_is_run():
    """Here and, all but the last, by tests/pipeline/test_tutorial.py."""
    with_python = {page.name for page in PAGES if list_blocks(page, "python")}
    assert with_python == {"README.md", "data.md", "serving.md", "tutorial.md", "CONTRIBUTING.md"}
    (layout,) = list_blocks(ROOT / "CONTRIBUTING.md", "python")
    exec(layout, known := {})
    genes = pd.DataFrame({"symbol": list("CABD")})
    assert known["place"](np.ones((3, 4)), genes, (2, 2), np.random.default_rng(0)).tolist() == [2, 0, 1, 3]


def test_the_page_of_files_has_every_output():
    rows = re.findall(
        r"^\| `(\w+)` \| `([^`]+)` \|", (ROOT / "docs/files.md").read_text("utf-8"), re.MULTILINE
    )
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [
        (stage, (next(iter(out)) if isinstance(out, dict) else out).replace("${item.backbone}", "<backbone>"))
        for stage, entry in stages.items()
        for out in entry.get("outs", [])
    ]
    assert rows == outs


def test_pictures_are_small():
    for path in (ROOT / "docs/images").iterdir():
        assert path.suffix == ".png"
        assert path.stat().st_size < 300_000, path.name
