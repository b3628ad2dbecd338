"""The house rules that no linter holds: sizes, names, first lines, and what no tracked file may say."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from architecture.source_tree import MODULES, ROOT, find_tools, read_tree

# Lines of docstrings per 100 lines of code, over the whole package.
N_DOC_LINES = 30
# Counted in statements, since line breaks are the formatter's. A stage is one recipe, read top to bottom.
N_STATEMENTS = 35
N_STATEMENTS_OF_RUN = 40

# Folders and files that neither ask for time, environment or process nor speak, and what parts of them may
# know all the same: Keras's cache lies where KERAS_HOME says, silent networks are given up, paths have types.
CORE = """errors params data.cohort data.expression data.split data.sources painting network explain report
    evaluation tracking.gate tracking.serving""".split()
KNOWN_INSIDE = {"network.backbones": {"os", "socket"}, "painting.imager": {"os"}}

# Words that name nothing.
EMPTY_WORDS = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "stuff"}
OPEN_ENDS = re.compile(r"TODO|FIXME|XXX")
MACHINE_PATHS = re.compile(r"(?<![\w.~$}/-])/(?:work|root|home)(?![\w-])")
INDEX_HOSTS = re.compile(r"pypi\.org|pythonhosted|artifactory|devpi|--(?:extra-)?index-url|--find-links")
NOT_TEXT = {".png", ".npy", ".npz", ".h5ad", ".gz", ".ico"}
NOT_OURS = {".git", ".venv", "__pycache__", "node_modules"}

modules = pytest.mark.parametrize("module", MODULES)


def list_tracked():
    """List what git tracks or would; without git, all files but those that the tools leave behind."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        folders = ("src", "tests", "docs", "benchmarks", ".ci")
        paths = [*ROOT.glob("*"), *(path for name in folders for path in (ROOT / name).rglob("*"))]
    return [
        path
        for path in paths
        if path.is_file()
        and path != Path(__file__)
        and path.suffix not in NOT_TEXT
        and not NOT_OURS & set(path.relative_to(ROOT).parts)
    ]


def definitions(module, *kinds):
    return [node for node in ast.walk(read_tree(module)) if isinstance(node, kinds)]


def test_the_patterns_find_what_they_are_for():
    """A pattern that matches nothing would let everything pass."""
    assert OPEN_ENDS.search("# TODO later")
    assert INDEX_HOSTS.search("https://files.pythonhosted.org/x")
    for path in ('open("/root/x")', "cd /work", "PATH=/home/me/bin"):
        assert MACHINE_PATHS.search(path)
    for path in ("https://example.org/home", "data/work", "~/work", "/work-in-progress", "$DIR/root"):
        assert not MACHINE_PATHS.search(path)


def test_git_takes_the_page_of_the_store_and_nothing_else_of_it():
    paths = ("mlruns/README.md", "mlruns/mlflow.db", "mlruns/artifacts/x")
    command = ["git", "check-ignore", "--no-index", *paths]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 128:
        pytest.skip("this is no git checkout")
    assert listed.stdout.split() == ["mlruns/mlflow.db", "mlruns/artifacts/x"]
    assert (ROOT / "mlruns/README.md").is_file()


def test_tracked_files_have_no_open_ends_and_name_neither_machines_nor_package_indices():
    for path in list_tracked():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            for pattern in (OPEN_ENDS, MACHINE_PATHS, INDEX_HOSTS):
                assert not pattern.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"


@modules
def test_module_says_what_it_owns(module):
    docstring = ast.get_docstring(read_tree(module))
    assert docstring, f"{module} has no docstring"
    first = docstring.splitlines()[0]
    assert first.endswith("."), f"{module}: the first line must be a sentence, but got {first!r}"
    assert len(first.split()) >= 3, f"{module}: the first line must say what it owns, but got {first!r}"


def test_first_lines_differ():
    firsts = [ast.get_docstring(read_tree(module)).splitlines()[0] for module in MODULES]
    assert len(set(firsts)) == len(firsts)


def test_docstrings_are_read_not_only_written():
    """So many lines of docstrings per 100 lines of code, as in good libraries; lower it when you can."""
    n_doc = n_code = 0
    for module, path in MODULES.items():
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        documented = [node.body[0] for node in definitions(module, *kinds) if ast.get_docstring(node)]
        lines = {line for node in documented for line in range(node.lineno, node.end_lineno + 1)}
        n_doc += len(lines)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            n_code += number not in lines and bool(line.strip()) and not line.strip().startswith("#")
    assert 100 * n_doc <= N_DOC_LINES * n_code, f"{n_doc} lines of docstrings on {n_code} of code"


@modules
def test_functions_are_short(module):
    for node in definitions(module, ast.FunctionDef):
        n_statements = sum(isinstance(part, ast.stmt) for part in ast.walk(node)) - 1
        recipe = node.name == "run" and module.startswith("expressionist.stages.")
        most = N_STATEMENTS_OF_RUN if recipe else N_STATEMENTS
        assert n_statements <= most, f"{module}.{node.name}: {n_statements} statements, not {most}; split it"


@modules
def test_public_things_have_a_docstring(module):
    for node in read_tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module}.{node.name} has no docstring"


@modules
def test_names(module):
    words = {word for part in module.split(".") for word in part.strip("_").split("_")}
    assert not words & EMPTY_WORDS, f"{module} is named after nothing"
    for node in definitions(module, ast.FunctionDef, ast.ClassDef):
        parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+", node.name)}
        assert not parts & EMPTY_WORDS, f"{module}.{node.name} is named after nothing"


def test_counts_are_called_n():
    for module in MODULES:
        for node in definitions(module, ast.FunctionDef):
            for item in node.args.args + node.args.kwonlyargs:
                assert not re.match(r"(num|nb|number_of|count)_", item.arg), f"{module}: {item.arg}; say n_*"


@modules
def test_core_knows_no_clock_environment_or_terminal(module):
    """Arrays in, arrays out, below the stages."""
    name = module.partition(".")[2]
    if any(name == part or name.startswith(f"{part}.") for part in CORE):
        known = find_tools(module) & {"os", "sys", "time", "datetime", "subprocess", "rich"}
        assert known <= KNOWN_INSIDE.get(name, set()), f"{module} imports {sorted(known)}"


def read_lock():
    """Read requirements.lock: name → (version, hashes)."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.findall(r"^(\S+?)==(\S+)(.*(?:\n[ \t]+.*)*)", text, re.MULTILINE)
    return {canonicalize_name(name.partition("[")[0]): (version, rest) for name, version, rest in entries}


def test_lock_has_hashes_and_no_host():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE), "the lock must hold requirements only"
    starts = [line for line in text.splitlines() if line and not line.startswith((" ", "\t", "#"))]
    lock = read_lock()
    assert len(lock) == len(starts), "every requirement must be pinned with =="
    bare = [name for name, (_, rest) in lock.items() if "--hash=sha256:" not in rest]
    assert bare == []


def test_lock_meets_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = read_lock()
    for line in project["project"]["dependencies"] + project["dependency-groups"]["dev"]:
        requirement = Requirement(line)
        pinned, _ = lock.get(canonicalize_name(requirement.name), (None, None))
        assert pinned, f"{requirement.name} is not in requirements.lock; run: make lock"
        assert requirement.specifier.contains(pinned, prereleases=True), f"{line} is not met by {pinned}"


def test_direct_imports_are_declared():
    """A package that came along with another may leave with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    called = {"sklearn": "scikit-learn", "yaml": "pyyaml", "PIL": "pillow", "umap": "umap-learn"}
    for module in MODULES:
        for tool in find_tools(module) - set(sys.stdlib_module_names):
            name = canonicalize_name(called.get(tool, tool))
            assert name in declared, f"{module} imports {tool}; declare it"


def test_paths_exist():
    """What the documents point to is there."""
    for document in (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "decisions.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / Path(target)).exists(), f"{document.name} points to {target}"
