"""The grain of the pipeline: an edit that can change an output re-runs all it must, any other nothing.

Each edit is made in a copy of the code, and the texts that the stage `code` writes are compared. Which stages
an edit must reach is written down by hand here, from what the stages do.
"""

import ast
import random
import re
import shutil
import sys
from types import SimpleNamespace

import pytest
import yaml
from dvc.repo import Repo

from architecture.source_tree import MODULES, PACKAGE, ROOT, close_over, read_tree
from expressionist.stages import code, list_stages, read_signature

STAGES = [stage for stage in list_stages() if stage != "code"]
TRAINING = {"tune", "train", "repeats"}
# Stages that read params.yaml.
READING = {stage for stage in STAGES if read_signature(stage).sections}


def write_texts(package, folder, source="embedded", method="coexpression"):
    """Run the stage `code`: stage → text."""
    chosen = SimpleNamespace(source=source), SimpleNamespace(method=method)
    code.run(*chosen, package=package, out=folder)
    return {path.stem: path.read_text(encoding="utf-8") for path in folder.iterdir()}


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return write_texts(PACKAGE, tmp_path_factory.mktemp("before"))


@pytest.fixture
def package(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "expressionist", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "expressionist"


@pytest.fixture
def list_changed(package, before, tmp_path):
    """Name the stages whose text is another one now."""

    def compare(**chosen):
        after = write_texts(package, tmp_path / "after", **chosen)
        return {stage for stage in STAGES if after[stage] != before[stage]}

    return compare


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{path.name} has no {old!r}: mend this test"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def append(path, text):
    with path.open("a", encoding="utf-8") as stream:
        stream.write(text)


def rewrite_all(package, change):
    for path in package.rglob("*.py"):
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def turn(text):
    """Put functions and classes without decorators, and what is imported, in the opposite order."""
    tree = ast.parse(text)
    kinds = {ast.FunctionDef: [], ast.ImportFrom: []}
    places = {kind: [] for kind in kinds}
    for place, node in enumerate(tree.body):
        if type(node) in kinds and not getattr(node, "decorator_list", []):
            kinds[type(node)].append(node)
            places[type(node)].append(place)
    for kind, nodes in kinds.items():
        for place, node in zip(places[kind], reversed(nodes), strict=True):
            tree.body[place] = node
    return ast.unparse(tree)


def take_docstrings_out(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


HARMLESS = {
    "a comment in errors": lambda p: append(p / "errors.py", "\n# A comment.\n"),
    "a comment in training": lambda p: replace(p / "training/loop.py", "\n\n\n", "\n\n\n# A comment.\n\n\n"),
    "a comment in every module": lambda p: rewrite_all(p, lambda text: f"# A comment.\n{text}"),
    "a comment behind a line": lambda p: replace(p / "errors.py", "_N_NAMED = 5", "_N_NAMED = 5  # why"),
    "a module's docstring": lambda p: replace(p / "files/store.py", '"""', '"""Otherwise said: '),
    "a class's docstring": lambda p: replace(
        p / "errors.py", "Base of all refusals", "What all refusals are"
    ),
    "a function's docstring": lambda p: replace(p / "data/split.py", "Returns\n", "Returned\n"),
    "no docstring anywhere": lambda p: rewrite_all(p, take_docstrings_out),
    "all lines broken otherwise": lambda p: rewrite_all(p, lambda text: ast.unparse(ast.parse(text))),
    "blank lines": lambda p: rewrite_all(p, lambda text: text.replace("\n\n\n", "\n\n\n\n\n")),
    "other quotes": lambda p: replace(p / "data/split.py", '"train"', "'train'"),
    "brackets": lambda p: replace(p / "errors.py", "_N_NAMED = 5", "_N_NAMED = (5)"),
    "a number written otherwise": lambda p: replace(p / "stages/images.py", "_N_PAIRS = 6", "_N_PAIRS = 0x6"),
    "another order": lambda p: rewrite_all(p, turn),
    "a refusal that nobody raises": lambda p: append(
        p / "errors.py", "\nclass OddError(Refusal):\n    pass\n"
    ),
    "a function that nobody calls": lambda p: append(
        p / "files/store.py", "\ndef read_odd(path):\n    return path\n"
    ),
    "what a key of params means": lambda p: replace(
        p / "params/sections.py", "Share of patients on whom", "Share of the patients on whom"
    ),
    "a section of params that nobody takes": lambda p: append(
        p / "params/sections.py", "\n@dataclass(frozen=True)\nclass OddParams:\n    seed: int\n"
    ),
    "an import that nobody uses": lambda p: append(p / "errors.py", "\nimport json\n"),
    "an import for type checkers": lambda p: append(
        p / "errors.py", "\nif TYPE_CHECKING:\n    from pathlib import Path\n"
    ),
    "another layout method": lambda p: append(p / "painting/layouts/pca.py", "\n_ODD = 1\n"),
    "another method's place": lambda p: replace(p / "painting/layouts/random.py", "return ", "return 1 + "),
    "a new layout method": lambda p: append(p / "painting/layouts/odd.py", "def place():\n    return 1\n"),
    "another source": lambda p: replace(p / "data/sources/tcga.py", "return ", "return 1 or "),
    "the command line": lambda p: replace(p / "commands/app.py", "sys.exit(2)", "sys.exit(3)"),
    "the painter alone": lambda p: replace(p / "painting/imager.py", "return ", "return 1 or "),
    "what inspects a user's files": lambda p: replace(p / "data/inspection.py", "return ", "return 1 or "),
    "a worker's own part of tune": lambda p: replace(
        p / "stages/tune.py", "A worker must have", "One must have"
    ),
    "what names results": lambda p: append(p / "files/code_digest.py", "\n_ODD = 1\n"),
    "a new resource": lambda p: append(p / "data/resources/odd.tsv", "odd\n"),
    "the gate": lambda p: replace(p / "tracking/gate.py", "value >= least", "value > least"),
    "promotion": lambda p: replace(p / "tracking/registry.py", "def promote(", "def promote(odd, "),
}

READING_COHORTS = {
    "quality",
    "split",
    "layout",
    "images",
    "baselines",
    "novelty",
    "evaluate",
    "repeats",
    "explain",
}
# What is edited, how, and the stages that must run again: all of them, and no other.
HARMFUL = {
    "an operator": ("data/split.py", "< ", "<= ", {"split", "repeats"}),
    "a default of a section": (
        "params/sections.py",
        'in work.",\n        default=1',
        'in work.",\n        default=2',
        {"split", "repeats", "register"},
    ),
    "a bound of a section": (
        "params/sections.py",
        'while training.", ge=0, le=0.95',
        'while training.", ge=0, le=0.9',
        {"tune", "train", "repeats"},
    ),
    "how values are read": ("params/parsing.py", "strict=True)", "strict=False)", READING),
    "a constant of the chosen source": (
        "data/sources/embedded/counts.py",
        "_RESIDUE = ",
        "_RESIDUE = 2 * ",
        {"fetch", "prepare"},
    ),
    "how sources are found": (
        "data/sources/__init__.py",
        "name.replace('-'",
        "name.replace('+'",
        {"fetch", "prepare"},
    ),
    "a table of the source": ("data/resources/tissues.tsv", "\t", "\t1", {"fetch", "prepare"}),
    "the chosen layout method": (
        "painting/layouts/coexpression.py",
        "return ",
        "return 1 + ",
        {"layout", "repeats"},
    ),
    "a check of layouts": (
        "painting/layouts/__init__.py",
        "if min(shape) < 1",
        "if min(shape) < 2",
        {"layout", "repeats"},
    ),
    "gene choice": ("painting/fitting.py", "return ", "return 1 and ", {"layout", "repeats"}),
    "painting": ("painting/images.py", "N_ROWS = ", "N_ROWS = 1 + ", {"images", "repeats"}),
    "a figure of images": (
        "report/figures/images.py",
        "def draw_preview(",
        "def draw_preview(odd, ",
        {"images"},
    ),
    "a figure of learning": (
        "report/figures/learning.py",
        "def draw_depths(",
        "def draw_depths(odd, ",
        {"report"},
    ),
    "the page": ("report/report.html.j2", "<html", "<html odd", {"quality", "report"}),
    "the table of baseline models": (
        "evaluation/baselines.py",
        "for C in (0.0003, ",
        "for C in (0.0004, ",
        {"baselines", "repeats"},
    ),
    "an epoch": ("training/loop.py", "return ", "return 1 and ", TRAINING),
    "the optimiser": ("training/optimiser.py", "return ", "return 1 and ", TRAINING),
    "quick convolutions": (
        "network/convolution.py",
        "_LARGEST_MAP = ",
        "_LARGEST_MAP = 1 + ",
        TRAINING | {"explain"},
    ),
    "the head": ("network/head.py", "_HIDDEN_DROPOUT = ", "_HIDDEN_DROPOUT = 1 - ", TRAINING),
    "frozen activations": ("training/activations.py", "_N_ROWS = ", "_N_ROWS = 1 + ", TRAINING),
    "the search": (
        "training/search.py",
        "_SECONDS_BETWEEN_LOOKS = ",
        "_SECONDS_BETWEEN_LOOKS = 1 + ",
        {"tune", "repeats"},
    ),
    "the search's name": (
        "training/depth_search.py",
        "study = name_",
        "study = 1 and name_",
        {"tune", "repeats"},
    ),
    "temperatures": (
        "evaluation/calibration.py",
        "return ",
        "return 1 and ",
        {"baselines", "evaluate", "repeats"},
    ),
    "integrated gradients": ("explain/integrated_gradients.py", "return ", "return 1 and ", {"explain"}),
    "registering": (
        "tracking/registry.py",
        "def register_version(",
        "def register_version(odd, ",
        {"register"},
    ),
    "a stage's own constant": ("stages/images.py", "_N_PAIRS = 6", "_N_PAIRS = 7", {"images"}),
    "splits of repeats": ("evaluation/comparison.py", "len(leads) - 1", "len(leads)", {"compare"}),
    "reading cohorts": ("data/cohort_file.py", "about is None", "not about", READING_COHORTS),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_an_edit_that_can_change_no_output_re_runs_nothing(package, list_changed, name):
    HARMLESS[name](package)
    assert list_changed() == set()


@pytest.mark.parametrize("name", HARMFUL)
def test_an_edit_that_can_change_an_output_re_runs_all_that_it_must(package, list_changed, name):
    path, old, new, stages = HARMFUL[name]
    replace(package / path, old, new)
    assert list_changed() == stages


def test_both_kinds_are_many():
    assert min(len(HARMLESS), len(HARMFUL)) >= 20


def test_what_an_edit_newly_imports_counts_from_then_on(package, list_changed):
    (package / "odd.py").write_text("def find_odd():\n    return 1\n", encoding="utf-8")
    assert list_changed() == set()
    use = "\n    from expressionist.odd import find_odd\n    find_odd()\n"
    append(
        package / "data/split.py",
        f"\n_known = split_by_patient\ndef split_by_patient(*_):{use}    _known()\n",
    )
    assert list_changed() == {"split", "repeats"}
    kept = write_texts(package, package.parent / "kept")
    replace(package / "odd.py", "return 1", "return 2")
    after = write_texts(package, package.parent / "later")
    assert {stage for stage in STAGES if after[stage] != kept[stage]} == {"split", "repeats"}


def test_what_importing_a_module_does_reaches_all_who_import_it(package, list_changed):
    append(package / "data/expression.py", '\nnp.seterr(all="ignore")\n')
    importing = {
        stage
        for stage in STAGES
        if "expressionist.data.expression" in close_over(f"expressionist.stages.{stage}")
    }
    assert list_changed() == importing


@pytest.mark.parametrize(
    ("chosen", "stages"),
    [({"method": "pca"}, {"layout", "repeats"}), ({"source": "pancan-mrna"}, {"fetch", "prepare"})],
)
def test_another_word_of_params_brings_other_code(list_changed, chosen, stages):
    assert list_changed(**chosen) == stages


def test_edits_by_chance_reach_whom_they_must(package, before):
    """Of definitions drawn by chance: who names one runs again, and nobody else."""
    rng = random.Random(1)
    named = {
        (line.split()[0], name)
        for text in before.values()
        for line in text.splitlines()
        for name in line.split()[2:]
    }
    for module, name in rng.sample(sorted(named), 30):
        whole = f"expressionist.{module}" if module != "expressionist" else module
        path = package / MODULES[whole].relative_to(PACKAGE)
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        mention = rf"^{re.escape(module)} .*\b{name}\b"
        for node in tree.body:
            if getattr(node, "name", None) == name:
                if "register_keras" in " ".join(map(ast.unparse, node.decorator_list)):
                    # Keras knows the class as soon as the module is imported.
                    mention = rf"^{re.escape(module)} "
                node.body.append(ast.parse("odd = 1").body[0])
            elif name in {
                getattr(part, "id", None)
                for target in getattr(node, "targets", [])
                for part in ast.walk(target)
            }:
                node.value = ast.Tuple([node.value, ast.Constant(1)], ast.Load())
            elif getattr(getattr(node, "target", None), "id", None) == name:
                node.annotation = ast.Constant("odd")
        path.write_text(ast.unparse(tree), encoding="utf-8")
        after = write_texts(package, package.parent / "after")
        path.write_text(text, encoding="utf-8")
        changed = {stage for stage in STAGES if after[stage] != before[stage]}
        assert changed == {stage for stage in STAGES if re.search(mention, before[stage], re.MULTILINE)}
        assert changed


def test_nothing_counts_that_is_imported_nowhere(before):
    """The same question asked more coarsely, of whole modules."""
    chosen = close_over("expressionist.commands.params_file") | close_over(
        "expressionist.data.sources.embedded"
    )
    chosen |= close_over("expressionist.painting.layouts.coexpression")
    for stage, text in before.items():
        modules = {f"expressionist.{line.split()[0]}" for line in text.splitlines()} & MODULES.keys()
        assert modules <= close_over(f"expressionist.stages.{stage}") | chosen


def test_only_sources_and_layouts_choose_among_modules():
    """Whoever imports a module by a name put together at run time must be known to the stage `code`."""
    choosing = {
        name
        for name in MODULES
        for node in ast.walk(read_tree(name))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("import_module")
        and not isinstance(node.args[0], ast.Constant)
    }
    # The command line hands over to stages, and packages lend names that their text tells.
    outside = {"expressionist.commands.app", "expressionist.surface"}
    assert choosing == {"expressionist.data.sources", "expressionist.painting.layouts"} | outside


# --- as DVC sees it


def write_pretending_pipeline(folder):
    """Write dvc.yaml with commands that only make their outputs, but for the stage `code`."""
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    deps = {dep for stage in content["stages"].values() for dep in stage["deps"]}
    for name, stage in content["stages"].items():
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage.get("outs", [])]
        inside = {dep for dep in deps for out in outs if dep.startswith(f"{out}/")}
        files = [out if "." in out else f"{out}/made" for out in [*outs, *inside]]
        made = [f"mkdir -p $(dirname {file}) && echo made > {file}" for file in files]
        stage["cmd"] = f"{sys.executable} -m {stage['cmd']}" if name == "code" else made or "true"
    content.pop("metrics")
    content.pop("plots")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump({**params, "backbones": ["vgg19"]}), encoding="utf-8")
    shutil.copy(ROOT / ".dvcignore", folder)
    for name in ("data/incoming", "data/weights"):
        (folder / name).mkdir(parents=True)


def test_dvc_runs_again_what_must_and_no_more(package, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    folder = tmp_path / "checkout"
    shutil.copytree(package, folder / "src/expressionist")
    write_pretending_pipeline(folder)
    monkeypatch.chdir(folder)

    def reproduce():
        with Repo(str(folder)) as repo:
            return {stage.name.partition("@")[0] for stage in repo.reproduce()}

    Repo.init(str(folder), no_scm=True).close()
    always = {"register"}
    assert reproduce() == {"code", *STAGES}
    append(folder / "src/expressionist/errors.py", "\n# A comment.\n")
    append(folder / "src/expressionist/painting/layouts/pca.py", "\n_ODD = 1\n")
    assert reproduce() == {"code"} | always
    replace(folder / "src/expressionist/network/head.py", "_HIDDEN_DROPOUT = ", "_HIDDEN_DROPOUT = 1 - ")
    assert reproduce() == {"code"} | TRAINING | always
