"""Projects: a folder that runs with the installed package, of the same files as its checkout."""

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from expressionist.commands.options import PARAMS, PATH, read_project_params
from expressionist.commands.terminal import say
from expressionist.errors import CohortError, ParamsError, name_some

# Where a wheel has the template; a checkout is its own.
_TEMPLATE = Path(__file__).parents[1] / "template"
_CHECKOUT = Path(__file__).parents[3]
# What a project has, by what it is called in the template; pyproject.toml names the latter for the wheel.
FILES = {
    "dvc.yaml": "dvc.yaml",
    "params.yaml": "params.yaml",
    "docs/params.schema.json": "params.schema.json",
    "project.mk": "Makefile",
    ".gitignore": ".gitignore",
    ".dvcignore": ".dvcignore",
    ".dvc/config": ".dvc/config",
    ".dvc/.gitignore": ".dvc/.gitignore",
    "data/incoming/README.md": "data/incoming/README.md",
    "data/weights/README.md": "data/weights/README.md",
    "mlruns/README.md": "mlruns/README.md",
}
# What is said otherwise in a project.
_OTHERWISE = {
    "dvc.yaml": {
        "      --package src/expressionist\n": "",
        # DVC does not see an installed package change; the texts of the stage do.
        "    deps:\n      - src/expressionist\n": "    always_changed: true\n",
    },
    "params.yaml": {"$schema=docs/": "$schema="},
}
# In .gitignore, what comes behind is no project's.
_OF_SOURCE = "# Of a checkout of the source."
_INCOMING = Path("data/incoming")
_OF_TCGA = ("expression", "samples", "unit")
# Where comments of params.yaml begin.
_COMMENT = 28
# What a folder may hold already: its git, and what was left of this command where it was killed.
_NO_MATTER = {".git", ".partial", ".partial-.partial"}
# What `inspect` writes for an option that nothing in the files tells.
_UNTOLD = "?"
_NO_GIT = "[core]\n    no_scm = true\n"


@dataclass(frozen=True)
class _Given:
    """A user's own files, by the name that they get, with the options that read them."""

    files: dict[str, Path]
    source: str
    options: dict[str, Any]
    said: list[str]

    @property
    def unknown(self) -> list[str]:
        """The options that nothing in the files told."""
        return [key for key, value in self.options.items() if value == _UNTOLD]


def read_file(name: str) -> str:
    """Read a file of the template as a project has it."""
    folder = _TEMPLATE if _TEMPLATE.is_dir() else _CHECKOUT
    text = (folder / name).read_text(encoding="utf-8").partition(_OF_SOURCE)[0]
    for old, new in _OTHERWISE.get(name, {}).items():
        text = text.replace(old, new)
    return text


@click.command()
@click.argument("folder", type=PATH)
@click.option("--from", "table", type=PATH, help="File of your expression, as `inspect` takes it.")
@click.option("--labels", type=PATH, help="A second table with the tumour types.")
@click.option("--label-column", help="Where the tumour types are; guessed if not given.")
def init(folder: Path, table: Path | None, labels: Path | None, label_column: str | None) -> None:
    """Make a project: a folder to study a cohort in, which `dvc repro` runs.

    FOLDER must be new or empty, but for `.git`. Without --from its cohort is simulated.
    """
    from expressionist.files import write_whole

    if folder.exists() and (not folder.is_dir() or {each.name for each in folder.iterdir()} - _NO_MATTER):
        raise ParamsError(f"A project must be made in a new or empty folder, but got {folder}. Name another.")
    if (labels or label_column) and not table:
        raise ParamsError("Labels must come with --from, but got no file of expression. Name it.")
    given = _inspect(table, labels, label_column) if table else None
    said = list(given.said) if given else []
    # A folder that is there is filled, since someone may be in it, and git's is to stay.
    with write_whole(folder / ".partial" if folder.exists() else folder) as partial:
        _fill(partial, given, has_git=_has_git(folder))
        said += _bring(partial / _INCOMING, given) if given else []
        backbones = read_project_params(partial).backbones
    if (made := folder / ".partial").exists():
        # params.yaml last: without it, it is no project yet.
        for each in sorted(made.iterdir(), key=lambda path: path.name == PARAMS.name):
            each.rename(folder / each.name)
        made.rmdir()
    for line in [*said, *_describe(folder, given, backbones)]:
        say(line)


def _has_git(folder: Path) -> bool:
    here = folder.absolute()
    return any((each / ".git").exists() for each in (here, *here.parents))


def _inspect(table: Path, labels: Path | None, label_column: str | None) -> _Given:
    """Look at someone's files; refuse what would be refused later, but let options be filled in."""
    from expressionist.data import describe_inspection, inspect_files

    found = inspect_files(table, labels, label_column=label_column)
    unlabelled = found.lacking if asdict(found.options).get("label_column") == _UNTOLD else ()
    if refused := [*found.problems, *unlabelled]:
        hints = [said for heading, said in found.facts if heading == "TCGA"]
        raise CohortError(" ".join([refused[0], "No project was made.", *hints]))
    files = {table.name: table}
    if labels:
        files[labels.name if labels.name != table.name else f"labels-{labels.name}"] = labels
    options = asdict(found.options)
    if labels:
        options["labels" if found.source == "table" else "samples"] = [*files][1]
    # Its rules are as shipped.
    told = options if found.source == "table" else {key: options[key] for key in _OF_TCGA}
    said = describe_inspection(found)
    return _Given(files, found.source, told, said[: said.index("")])


def _fill(folder: Path, given: _Given | None, *, has_git: bool) -> None:
    """Write the files of a project."""
    for name, called in FILES.items():
        text = read_file(name)
        if name == PARAMS.name and given:
            text = write_options(text, given)
        (folder / called).parent.mkdir(parents=True, exist_ok=True)
        (folder / called).write_text(text, encoding="utf-8")
    if not has_git:
        (folder / ".dvc/config.local").write_text(_NO_GIT, encoding="utf-8")


def write_options(text: str, given: _Given) -> str:
    """Write options of a user's cohort into the text of params.yaml, and leave the rest as it is."""
    source = f"source: {given.source:<9}"
    head, heading, rest = text.replace("source: embedded ", source, 1).partition(f"  {given.source}:\n")
    for key, value in given.options.items():
        line = re.compile(rf"^    {key}:([^#\n]*)(#.*)?$", re.MULTILINE)
        before, was, comment, after = line.split(rest, maxsplit=1)
        rest = before + _write_line(key, value, was.strip(), comment or "") + after
    return head + heading + rest


def _write_line(key: str, value: object, was: str, comment: str) -> str:
    """Write a line as DVC would; what is unknown stays as it was, and says so."""
    import yaml

    if value == _UNTOLD:
        written, comment = was, "# nothing in the file tells: fill in"
    else:
        written = yaml.safe_dump(value, allow_unicode=True, width=10_000).removesuffix("...\n").strip()
    line = f"    {key}:" if value is None else f"    {key}: {written}".rstrip()
    return f"{line:<{_COMMENT - 2}}  {comment}".rstrip()


def _bring(folder: Path, given: _Given) -> Iterator[str]:
    """Put someone's files into the folder of a project, without taking room twice where that can be."""
    for name, path in given.files.items():
        try:
            os.link(path.resolve(), folder / name)
            how = "a hard link to"
        except OSError:
            shutil.copyfile(path, folder / name)
            how = "a copy of"
        yield f"{_INCOMING / name} is {how} {path} ({path.stat().st_size:,} bytes)."


def _describe(folder: Path, given: _Given | None, backbones: Sequence[str]) -> Iterator[str]:
    """Say what is there, and what comes next."""
    from expressionist.network import list_weights

    called = "This folder" if folder == Path() else folder
    yield f"{called} is a project. params.yaml says what a run does, and {_INCOMING} takes raw files."
    if given and given.unknown:
        yield f"First fill in, in params.yaml below cohort: {given.source}: {', '.join(given.unknown)}."
    weights = folder / "data/weights"
    lacking = [name for name in backbones if not any(map(Path.is_file, list_weights(name, weights)))]
    if lacking:
        yield (
            f"ImageNet weights: none here for {name_some(lacking)}. Put them into data/weights (see its "
            "README), or Keras downloads them; where it cannot, networks start from RANDOM weights."
        )
    if not all(map(find_spec, ("dvc", "keras", "mlflow"))):
        yield "First: pip install 'expressionist[all]'"
    yield f"Next: {'' if folder == Path() else f'cd {shlex.quote(str(folder))} && '}dvc repro"
    yield "Then: data/report/report.html; `make ui` shows runs and models, `make help` what else there is."


COMMANDS = (init,)
