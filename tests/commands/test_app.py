"""The command line: a command per stage, refusals in one line, and nothing heavy before it is needed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from expressionist import stages
from expressionist.commands import app as command_line
from expressionist.commands import options
from expressionist.errors import Refusal
from expressionist.tracking import provenance

PARAMS = Path(__file__).parents[2] / "params.yaml"
NAMES = sorted(path.stem for path in Path(stages.__path__[0]).glob("[!_]*.py"))


@pytest.fixture
def call(call, tmp_path: Path):
    """Run the command line in an empty folder."""
    return partial(call, tmp_path)


def test_help_puts_people_first_and_stages_as_dvc_runs_them(call) -> None:
    code, said, _ = call("--help")
    assert code == 0
    assert "..." not in said.partition("Options:")[2], "no command is cut short"
    places = [said.index(f"\n  {name} ") for _, names in command_line.PANELS.values() for name in names]
    assert places == sorted(places)
    pipeline = yaml.safe_load((PARAMS.parent / "dvc.yaml").read_text(encoding="utf-8"))
    assert [*command_line.PANELS.values()][-1][1] == (*pipeline["stages"],)
    placed = [name for _, names in command_line.PANELS.values() for name in names]
    assert command_line.app.list_commands(None) == placed, "every command has one place"


def test_every_option_has_a_help_text() -> None:
    commands = {
        name: command_line.app.get_command(None, name) for name in command_line.app.list_commands(None)
    }
    options_of = [(name, each) for name, command in commands.items() for each in command.params]
    bare = [
        (name, each.name) for name, each in options_of if isinstance(each, click.Option) and not each.help
    ]
    assert not bare
    idle = set(options._PATHS) - {each.name for name, each in options_of if name in NAMES}
    assert not idle, "no stage has such an option"


def test_the_version_is_that_of_the_package(call) -> None:
    project = tomllib.loads((PARAMS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((PARAMS.parent / "CITATION.cff").read_text(encoding="utf-8"))
    assert call("--version")[:2] == (0, f"expressionist, version {project['version']}\n")
    assert {name: citation[name] for name in ("version", "license", "keywords")} == {
        name: project[name] for name in ("version", "license", "keywords")
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_their_options(call, monkeypatch, shell) -> None:
    monkeypatch.setenv("_EXPRESSIONIST_COMPLETE", f"{shell}_source")
    code, script, _ = call()
    assert code == 0
    assert f"_EXPRESSIONIST_COMPLETE={shell}_complete" in script
    monkeypatch.setenv("_EXPRESSIONIST_COMPLETE", f"{shell}_complete")
    for words, last, found in (
        ("expressionist pr", "pr", ["predict", "promote", "prepare"]),
        ("expressionist predict --al", "--al", ["--align"]),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", last if shell == "fish" else str(words.count(" ")))
        assert re.findall(r"^plain[,\n](\S+)", call()[1], re.MULTILINE) == found


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", script]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [(), ("tune",), ("models",), ("predict",), ("validate",)], ids=" ".join)
def test_help_imports_nothing_that_takes_long(tmp_path: Path, words: tuple[str, ...]) -> None:
    code = (
        f"import sys; sys.argv = {['expressionist', *words, '--help']}; before = set(sys.modules)\n"
        "from expressionist.commands.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})\n"
    )
    ended = run_script(code, tmp_path)
    assert ended.returncode == 0, ended.stderr
    *said, loaded = ended.stdout.splitlines()
    assert said[0].startswith("Usage: ")
    assert set(loaded.split()) - set(sys.stdlib_module_names) == {"expressionist", "click"}


@pytest.mark.parametrize(("words", "code"), [(("--help",), 0), (("split", "--nonsense"), 2)])
def test_a_process_that_ends_at_once_loses_nothing(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    script = (
        f"import atexit, sys; sys.argv = {['expressionist', *words]}\n"
        "atexit.register(print, 'tidied up')\n"
        "class Kept:\n"
        "    def __del__(self): print('taken apart')\n"
        "kept = Kept()\n"
        "from expressionist.commands.app import run; run()\n"
    )
    ended = run_script(script, tmp_path)
    assert ended.returncode == code
    assert "Usage: " in ended.stdout + ended.stderr
    assert ended.stdout.endswith("tidied up\n")


def test_a_command_has_no_options_but_its_own(call) -> None:
    for command, own, others in (
        ("models", {"--root", "--tracking-uri"}, {"--to", "--model", "--cache"}),
        ("predict", {"--root", "--model", "--genes-in", "--align"}, {"--to", "--cache", "--labels"}),
        ("validate", {"--root", "--model", "--labels", "--map", "--exclude-trained"}, {"--to", "--cache"}),
        ("promote", {"--root", "--to", "--across-data", "--dry-run", "--reason"}, {"--model", "--cache"}),
        ("demote", {"--root", "--from", "--reason"}, {"--to", "--dry-run"}),
        ("rollback", {"--root", "--to", "--alias", "--reason"}, {"--from", "--across-data"}),
        ("history", {"--root", "--alias"}, {"--to", "--reason"}),
        ("worker", {"--cache-gigabytes", "--scheduler", "--patience", "--root"}, {"--to"}),
        ("tune", {"--backbone", "--cache-gigabytes", "--out"}, {"--to", "--patience"}),
    ):
        code, said, _ = call(command, "--help")
        assert code == 0
        options = {word for word in said.split() if word.startswith("--")}
        assert own <= options
        assert not others & options


def test_a_stage_takes_its_sections_from_params_and_its_paths_as_options(call, monkeypatch, tmp_path) -> None:
    from expressionist.stages import split

    seen = {}
    monkeypatch.setattr(
        split, "run", lambda given, *, cohort, out: seen.update(split=given, cohort=cohort, out=out)
    )
    shutil.copyfile(PARAMS, tmp_path / "params.yaml")
    code, _, said = call("split", "--cohort", "here", "--out", "there.tsv")
    assert (code, said) == (0, "")
    assert (seen["cohort"], seen["out"]) == (Path("here"), Path("there.tsv"))
    assert seen["split"].seed == 1


@pytest.mark.parametrize(("address", "given"), [("tcp://head:8786", "tcp://head:8786"), ("", None)])
def test_the_scheduler_is_a_matter_of_the_environment(call, monkeypatch, address, given) -> None:
    from expressionist.stages import images

    seen = {}
    monkeypatch.setattr(images, "run", lambda **given: seen.update(given))
    paths = [word for name in ("cohort", "split", "layout", "out") for word in (f"--{name}", "somewhere")]
    for words in ((), ("--scheduler", "tcp://other:1")):
        monkeypatch.setenv("EXPRESSIONIST_SCHEDULER", address)
        assert call("images", *paths, *words)[0] == 0
        assert seen["scheduler"] == (words[1] if words else given)


def test_a_refusal_is_one_line_and_exit_code_2(call) -> None:
    code, printed, said = call("split", "--cohort", "here", "--out", "there.tsv")
    assert (code, printed) == (2, "")
    assert said.startswith("expressionist: Params must be a readable YAML file")
    assert said.count("\n") == 1


@pytest.mark.parametrize("stage", ["fetch", "split"])
def test_what_a_later_stage_would_refuse_is_refused_by_every_command(call, tmp_path, stage) -> None:
    """All of it at once: `fetch` reads neither backbones nor baseline models, and runs for an hour."""
    broken = (
        PARAMS.read_text(encoding="utf-8")
        .replace("- resnet50", "- resnet51")
        .replace("- linear_svm", "- xgboost")
    )
    (tmp_path / "params.yaml").write_text(broken, encoding="utf-8")
    options = {"fetch": ("--raw", "raw", "--cache", "cache"), "split": ("--cohort", "c", "--out", "o")}
    code, printed, said = call(stage, *options[stage])
    assert (code, printed) == (2, "")
    first, second = said.splitlines()
    assert first.startswith("expressionist: params.yaml: backbones: entry ")
    assert "but got 'resnet51'" in first
    assert "but got 'xgboost'" in second
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize("stage", ["split", "layout", "compare", "report"])
def test_a_stage_names_an_input_that_is_not_there(stage, tmp_path, monkeypatch) -> None:
    """Whatever reads it says so in its own way."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(PARAMS, "params.yaml")
    command = command_line.app.get_command(None, stage)
    words = [word for each in command.params if each.required for word in (each.opts[0], f"no {each.name}")]
    refused = CliRunner().invoke(command, words).exception
    assert isinstance(refused, Refusal), refused
    assert re.search(r"must .*, but got .*no \w+", str(refused))


def test_a_bug_keeps_its_traceback(call, monkeypatch) -> None:
    from expressionist.commands import params_file

    def fail(path: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(params_file, "read_params", fail)
    monkeypatch.setattr(sys, "argv", ["expressionist", "split", "--cohort", "a", "--out", "b"])
    with pytest.raises(ZeroDivisionError):
        command_line.main()


@pytest.mark.parametrize(("words", "named"), [(("split", "--cohort", "here"), "--out"), (("splt",), "splt")])
def test_an_option_too_few_and_an_unknown_command_are_named(call, words, named) -> None:
    code, _, said = call(*words)
    assert code == 2
    assert named in said


def test_without_a_project_nothing_is_made(call, tmp_path) -> None:
    moving = (["promote"], ["demote"], ["rollback", "--to", "1"], ["history"])
    for words in (["models"], *moving, ["predict", "t.csv", "--model", "models:/a@b"]):
        code, printed, said = call(*words)
        assert (code, printed, said.count("\n")) == (2, "", 1)
        assert "must have a store of models, mlruns/mlflow.db, but got" in said
    assert list(tmp_path.iterdir()) == []


def test_the_commands_of_the_page_on_the_registry_are_taken_as_written() -> None:
    page = (Path(__file__).parents[2] / "docs" / "registry.md").read_text(encoding="utf-8")
    lines = page.partition("```bash\n")[2].partition("```")[0].splitlines()
    commands = [shlex.split(line, comments=True)[1:] for line in lines]
    named = {"models", "promote", "rollback", "demote", "history", "verify"}
    assert {name for name, *_ in commands} == named
    for name, *words in commands:
        # Refuses what it does not know, and does not run.
        command_line.app.get_command(None, name).make_context(name, words)


def test_a_server_that_does_not_answer_is_told_at_once(call, monkeypatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, printed, said = call("models")
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "http://127.0.0.1:9 gave: " in said


def test_the_project_is_found_from_a_folder_below(tmp_path, monkeypatch) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    (tmp_path / "params.yaml").touch()
    assert options.find_root() == Path()
    (tmp_path / "dvc.yaml").touch()
    assert options.find_root() == tmp_path
    monkeypatch.chdir(tmp_path)
    assert options.find_root() == Path()


def test_who_promotes_has_a_name_without_one(monkeypatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(provenance.getpass, "getuser", fail)
    assert provenance.name_user() == f"uid {os.getuid()}"
