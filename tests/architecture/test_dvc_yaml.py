"""dvc.yaml says what the code does: options, params, data and code of every stage, no more and no less.

A dependency too few leaves a stage "up to date" after an edit that changes its result; one too many runs
hours of training again for nothing. When a test here fails, its message holds the lines to add and to take
out.
"""

import ast
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from architecture.source_tree import (
    MODULES,
    PACKAGE,
    RESOURCES,
    ROOT,
    STAGES,
    close_over,
    find_resources,
    read_imports,
    read_tree,
)
from expressionist.layouts import layout_names

CODE = "src/expressionist"
# What a stage asks for by these names comes from the environment, and a cache is neither input nor result.
FROM_ENVIRONMENT = {"root", "tracking_uri", "cache_gigabytes", "scheduler"}
CACHE = "data/cache"
# Options of a source stand below its name, so that a value of another source re-runs nothing.
PARAMS_OF = {"cohort": ["cohort.source", "cohort.folder", "cohort.${cohort.source}"]}
# Folders that params.yaml names, and the stages that read them: fetch brings what prepare reads, layout
# reads gene sets, which are no part of a source, and repeats does all that layout, tune and train do.
FOLDERS = {
    "fetch": ["${cohort.folder}"],
    "layout": ["${cohort.folder}"],
    "tune": ["${weights.folder}"],
    "train": ["${weights.folder}"],
    "repeats": ["${cohort.folder}", "${weights.folder}"],
}
# Packages that choose among their modules by a word of params.yaml. Which source it was does not matter to
# what follows, which hangs on the cohort's bytes; so a source is not told from the others, but a layout is.
WHOLE_FOLDERS = {"expressionist.sources": f"{CODE}/sources", "expressionist.resources": f"{CODE}/resources"}
CHOSEN_FILE = {"expressionist.layouts": f"{CODE}/layouts/${{layout.method}}.py"}

WRITTEN = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
stages = pytest.mark.parametrize("stage", STAGES)


def read_run(stage):
    """Read the signature of a stage's `run`: sections by position, the others by keyword with their types."""
    (run,) = [
        node
        for node in read_tree(f"expressionist.stages.{stage}").body
        if isinstance(node, ast.FunctionDef) and node.name == "run"
    ]
    sections = [item.arg for item in run.args.posonlyargs + run.args.args]
    options = {item.arg: ast.unparse(item.annotation) for item in run.args.kwonlyargs}
    return sections, {name: kind for name, kind in options.items() if name not in FROM_ENVIRONMENT}


def read_command(stage):
    """Read what a stage's cmd runs, and its options in order."""
    program, command, *words = shlex.split(WRITTEN.get(stage, {}).get("cmd", "nothing nowhere"))
    return (program, command), dict(zip(words[::2], words[1::2], strict=True))


def read_list(stage, *kinds):
    """Read lists of a stage; an entry with flags of its own is a mapping of one key."""
    entries = [entry for kind in kinds for entry in WRITTEN.get(stage, {}).get(kind, [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def read_code_deps(stage):
    return [dep for dep in read_list(stage, "deps") if dep.startswith("src/")]


def read_data_deps(stage):
    return [dep for dep in read_list(stage, "deps") if not dep.startswith("src/")]


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


def find_code(stage):
    """List the code that a stage hangs on, as dvc.yaml should have it.

    What it imports, directly or not; where a package chooses among its modules at run time, the folder, or
    the chosen file with what any of them may share; and the package's own tables that these modules name.
    """
    reached = close_over(f"expressionist.stages.{stage}")
    for package in set(WHOLE_FOLDERS) | set(CHOSEN_FILE):
        if package in reached:
            inside = [name for name in MODULES if name.startswith(f"{package}.")]
            reached |= set().union(*(close_over(name) for name in inside))
    found = {f"{CODE}/resources/{name}" for module in reached for name in find_resources(module)}
    for module in reached:
        path = f"{CODE}/{MODULES[module].relative_to(PACKAGE).as_posix()}"
        chosen = [
            line for package, line in CHOSEN_FILE.items() if re.fullmatch(rf"{package}\.[^_.]\w*", module)
        ]
        found.add(chosen[0] if chosen else path)
    folders = {folder for package, folder in WHOLE_FOLDERS.items() if package in reached}
    return sorted(folders | {path for path in found if not any(holds(folder, path) for folder in folders)})


def test_every_stage_is_there():
    assert sorted(WRITTEN) == sorted(STAGES)


@stages
def test_command(stage):
    command, flags = read_command(stage)
    assert command == ("expressionist", stage)
    options = [f"--{name.replace('_', '-')}" for name in read_run(stage)[1]]
    compare_lines(stage, "cmd", list(flags), options)


@stages
def test_params(stage):
    sections, _ = read_run(stage)
    expected = [line for section in sections for line in PARAMS_OF.get(section, [section])]
    compare_lines(stage, "params", read_list(stage, "params"), expected)


@stages
def test_paths(stage):
    _, flags = read_command(stage)
    options = read_run(stage)[1]
    kinds = {f"--{name.replace('_', '-')}": kind for name, kind in options.items()}
    paths = {flag: path for flag, path in flags.items() if kinds.get(flag) == "Path" and path != CACHE}
    outs, deps = read_outs(stage), read_data_deps(stage)
    expected_outs = [path for flag, path in paths.items() if flag == "--out" or path in outs]
    compare_lines(stage, "outs", outs, expected_outs)
    read = [path for path in paths.values() if path not in outs]
    # A file may be named where its folder is what another stage wrote.
    expected = [next((dep for dep in deps if holds(dep, path)), path) for path in read]
    compare_lines(stage, "deps", deps, list(dict.fromkeys(expected + FOLDERS.get(stage, []))))


@stages
def test_code(stage):
    compare_lines(stage, "deps", read_code_deps(stage), find_code(stage))


@stages
def test_matrix(stage):
    """A stage that is told a backbone runs once for each; any other runs once."""
    _, options = read_run(stage)
    _, flags = read_command(stage)
    wide = any("${item.backbone}" in value for value in flags.values())
    assert WRITTEN.get(stage, {}).get("matrix") == ({"backbone": "${backbones}"} if wide else None)
    if "backbone" in options:
        assert flags["--backbone"] == "${item.backbone}"


def test_data_comes_from_stages():
    made = {out: stage for stage in WRITTEN for out in read_outs(stage)}
    for stage in WRITTEN:
        for dep in read_data_deps(stage):
            known = dep in FOLDERS.get(stage, []) or any(holds(dep, out) or holds(out, dep) for out in made)
            assert known, f"dvc.yaml: {stage}: no stage writes {dep}"


def test_publishing_is_always_asked_and_writes_nothing_for_dvc():
    asking = [stage for stage, content in WRITTEN.items() if content.get("always_changed")]
    assert asking == ["register"]
    assert not read_outs("register")
    assert not any(path.startswith("mlruns") for stage in WRITTEN for path in read_outs(stage))


def test_a_layout_method_is_read_by_those_who_use_it_only():
    users = [
        stage for stage in STAGES if "expressionist.layouts" in close_over(f"expressionist.stages.{stage}")
    ]
    assert users == ["layout", "repeats"]
    for stage in WRITTEN:
        files = [dep for dep in read_code_deps(stage) if re.search(r"/layouts/[^_]", dep)]
        assert files == ([CHOSEN_FILE["expressionist.layouts"]] if stage in users else [])


def test_shared_parts_of_layouts_know_no_method():
    """Else an edited method would reach the others past its own line in dvc.yaml."""
    methods = {f"expressionist.layouts.{name}" for name in layout_names()}
    for name in MODULES:
        if name.startswith("expressionist.layouts._"):
            assert not read_imports(name) & methods


@pytest.mark.parametrize("method", layout_names())
def test_dvc_resolves_it(tmp_path, monkeypatch, method):
    """DVC reads the file, with every source and layout, as the tests above did."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["layout"]["method"] = method
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        resolved = {item.name: {dep.def_path for dep in item.deps} for item in repo.index.stages}
    n_matrices = sum("matrix" in content for content in WRITTEN.values())
    assert len(resolved) == len(WRITTEN) + n_matrices * (len(params["backbones"]) - 1)
    methods = {Path(dep).stem for dep in resolved["layout"] if Path(dep).match("layouts/[!_]*.py")}
    assert methods == {method}


def test_make_clean_removes_what_the_stages_make():
    """All of it but the raw files, and nothing else."""
    (line,) = re.findall(r"^MADE := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    made = {"/".join(Path(out).parts[:2]) for stage in WRITTEN for out in read_outs(stage)}
    assert set(line.split()) == made - {"data/raw"} | {CACHE}


def test_resources_are_found():
    """The closure is told of tables by their names; it must see those that are read one by one."""
    assert find_resources("expressionist.markers") == {"markers.tsv"} <= RESOURCES
