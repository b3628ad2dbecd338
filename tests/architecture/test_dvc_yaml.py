"""dvc.yaml says what the code does: options, params, data and code of every stage, no more and no less.

When a test here fails, its message holds the lines to add and to take out. What code a stage hangs on is no
matter of dvc.yaml, but of the stage `code`: see test_grain.py.
"""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from architecture.source_tree import ROOT
from expressionist.stages import list_stages, read_signature

STAGES = list_stages()
# What a stage asks for by these names comes from the environment, and a cache is neither input nor result.
FROM_ENVIRONMENT = {"root", "tracking_uri", "cache_gigabytes", "scheduler"}
CACHE = "data/cache"
# Options of a source stand below its name, so that a value of another source re-runs nothing.
PARAMS_OF = {"cohort": ["cohort.source", "cohort.folder", "cohort.${cohort.source}"]}
# Types are merged where the cohort is read, and published with what was run; no file hangs on that.
MERGING = {"prepare": ["cohort.merge_types"], "register": ["cohort.merge_types"]}
# Which code counts is a matter of two words only.
PARAMS_OF_CODE = ["cohort.source", "layout.method"]
# Folders that params.yaml names, and the stages that read them: fetch brings what prepare reads, lists the
# gene sets, which are no part of a source, and repeats does all that tune and train do.
INCOMING, WEIGHTS = ["${cohort.folder}"], ["${weights.folder}"]
FOLDERS = {"fetch": INCOMING, "lists": INCOMING}
FOLDERS |= dict.fromkeys(["tune", "train", "repeats", "ablation", "refit"], WEIGHTS)
# What a person has brought: it is not removed with what stages made of it.
BROUGHT = {"data/raw", "data/lists"}
WRITTEN = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
stages = pytest.mark.parametrize("stage", STAGES)


def read_options(stage):
    """Read the keyword-only parameters of a stage's `run` that dvc.yaml must give, with their types."""
    options = read_signature(stage).options
    return {name: kind for name, kind in options.items() if name not in FROM_ENVIRONMENT}


def read_command(stage):
    """Read what a stage's cmd runs, and its options in order."""
    program, command, *words = shlex.split(WRITTEN.get(stage, {}).get("cmd", "nothing nowhere"))
    return (program, command), dict(zip(words[::2], words[1::2], strict=True))


def read_list(stage, *kinds):
    """Read lists of a stage; an entry with flags of its own is a mapping of one key."""
    entries = [entry for kind in kinds for entry in WRITTEN.get(stage, {}).get(kind, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def read_deps(stage, *, code):
    return [dep for dep in read_list(stage, "deps") if dep.startswith("data/code/") is code]


def read_outs(stage):
    return read_list(stage, "outs", "metrics", "plots")


def holds(folder, path):
    return path == folder or path.startswith(f"{folder}/")


def compare_lines(stage, key, written, expected):
    """Refuse a list of dvc.yaml with the lines to paste."""
    lack = [line for line in expected if line not in written]
    extra = [line for line in written if line not in expected]
    told = [f"dvc.yaml: {stage}: {key} does not say what the code does."]
    told += ["Add:", *(f"      - {line}" for line in lack)] if lack else []
    told += ["Take out:", *(f"      - {line}" for line in extra)] if extra else []
    assert not lack, "\n".join(told)
    assert not extra, "\n".join(told)
    assert len(set(written)) == len(written), f"dvc.yaml: {stage}: {key} says something twice"


def test_every_stage_is_there():
    assert sorted(WRITTEN) == sorted(STAGES)


@stages
def test_command(stage):
    command, flags = read_command(stage)
    assert command == ("expressionist", stage)
    options = [f"--{name.replace('_', '-')}" for name in read_options(stage)]
    compare_lines(stage, "cmd", list(flags), options)


@stages
def test_no_path_of_params_stands_in_a_command(stage):
    """A shell would take a space or a quote in it for its own; backbones are words that we know."""
    assert set(re.findall(r"\$\{(.*?)\}", WRITTEN[stage]["cmd"])) <= {"item.backbone"}


def test_what_was_brought_is_kept_where_it_cannot_be_brought_again():
    lasting = [out for stage in WRITTEN.values() for out in stage.get("outs", []) if isinstance(out, dict)]
    assert {path for out in lasting for path in out if out[path].get("persist")} == BROUGHT


@stages
def test_params(stage):
    sections = read_signature(stage).sections
    expected = [line for section in sections for line in PARAMS_OF.get(section, [section])]
    expected = PARAMS_OF_CODE if stage == "code" else expected + MERGING.get(stage, [])
    compare_lines(stage, "params", read_list(stage, "params"), expected)


@stages
def test_paths(stage):
    _, flags = read_command(stage)
    options = read_options(stage)
    kinds = {f"--{name.replace('_', '-')}": kind for name, kind in options.items()}
    paths = {
        flag: path for flag, path in flags.items() if kinds.get(flag, "").startswith("Path") and path != CACHE
    }
    outs, deps = read_outs(stage), read_deps(stage, code=False)
    expected_outs = [path for flag, path in paths.items() if flag == "--out" or path in outs]
    compare_lines(stage, "outs", outs, expected_outs)
    read = [path for path in paths.values() if path not in outs]
    # A file may be named where its folder is what another stage wrote.
    expected = [next((dep for dep in deps if holds(dep, path)), path) for path in read]
    compare_lines(stage, "deps", deps, list(dict.fromkeys(expected + FOLDERS.get(stage, []))))


@stages
def test_code(stage):
    expected = [] if stage == "code" else [f"data/code/{stage}.txt"]
    compare_lines(stage, "deps", read_deps(stage, code=True), expected)


@stages
def test_matrix(stage):
    """A stage that is told a backbone runs once for each; any other runs once."""
    _, flags = read_command(stage)
    wide = any("${item.backbone}" in value for value in flags.values())
    assert WRITTEN.get(stage, {}).get("matrix") == ({"backbone": "${backbones}"} if wide else None)
    if "backbone" in read_options(stage):
        assert flags["--backbone"] == "${item.backbone}"


def test_data_comes_from_stages():
    made = {out for stage in WRITTEN for out in read_outs(stage)}
    for stage in WRITTEN:
        for dep in read_deps(stage, code=False):
            given = [*FOLDERS.get(stage, []), "src/expressionist"]
            known = dep in given or any(holds(dep, out) or holds(out, dep) for out in made)
            assert known, f"dvc.yaml: {stage}: no stage writes {dep}"


def test_publishing_is_always_asked_and_writes_nothing_for_dvc():
    asking = [stage for stage, content in WRITTEN.items() if content.get("always_changed")]
    assert asking == ["register"]
    assert not read_outs("register")
    assert not any(path.startswith("mlruns") for stage in WRITTEN for path in read_outs(stage))


def test_dvc_resolves_it(tmp_path, monkeypatch):
    """DVC reads the file as the tests above did."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        resolved = {item.name: {dep.def_path for dep in item.deps} for item in repo.index.stages}
    n_matrices = sum("matrix" in content for content in WRITTEN.values())
    assert len(resolved) == len(WRITTEN) + n_matrices * (len(params["backbones"]) - 1)
    for backbone in params["backbones"]:
        assert "data/code/tune.txt" in resolved[f"tune@{backbone}"]


def test_make_clean_removes_what_the_stages_make():
    """All of it but what was brought, and nothing else."""
    (line,) = re.findall(r"^MADE := (.*)$", (ROOT / "project.mk").read_text(encoding="utf-8"), re.MULTILINE)
    made = {"/".join(Path(out).parts[:2]) for stage in WRITTEN for out in read_outs(stage)}
    assert set(line.split()) == made - BROUGHT | {CACHE}
