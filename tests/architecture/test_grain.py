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
from expressionist.commands.projects import read_file
from expressionist.stages import code, list_stages, read_signature

STAGES = [stage for stage in list_stages() if stage != "code"]


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


def edit(path, old, new):
    """Change the first place where `old` stands in a file; without `old`, add to it, or make it."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    assert old in text, f"{path.name} has no {old!r}: mend this test"
    path.write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")


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
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


# What can change no output: a file, what stands in it ("" is its end), and what then does.
HARMLESS = [
    ("errors.py", "", "\n# A comment.\n"),
    ("training/loop.py", "\n\n\n", "\n\n\n# A comment.\n\n\n"),
    ("errors.py", "_N_NAMED = 5", "_N_NAMED = 5  # why"),
    ("files/store.py", '"""', '"""Otherwise said: '),
    ("errors.py", "Base of all refusals", "What all refusals are"),
    ("data/split.py", "Returns\n", "Returned\n"),
    ("data/split.py", '"train"', "'train'"),
    ("errors.py", "_N_NAMED = 5", "_N_NAMED = (5)"),
    ("stages/images.py", "_N_PAIRS = 6", "_N_PAIRS = 0x6"),
    # What nobody raises, calls, takes or uses.
    ("errors.py", "", "\nclass OddError(Refusal):\n    pass\n"),
    ("files/store.py", "", "\ndef read_odd(path):\n    return path\n"),
    ("params/sections.py", "", "\n@dataclass(frozen=True)\nclass OddParams:\n    seed: int\n"),
    ("errors.py", "", "\nimport json\n"),
    ("errors.py", "", "\nif TYPE_CHECKING:\n    from pathlib import Path\n"),
    # What a key of params means.
    ("params/sections.py", "Share of patients on whom", "Share of the patients on whom"),
    # Another layout method or source than is chosen, and a new method.
    ("painting/layouts/pca.py", "", "\n_ODD = 1\n"),
    ("painting/layouts/random.py", "return ", "return 1 + "),
    ("painting/layouts/odd.py", "", "def place():\n    return 1\n"),
    ("data/sources/tcga.py", "return ", "return 1 or "),
    ("data/resources/odd.tsv", "", "odd\n"),
    # What no stage calls.
    ("commands/app.py", "sys.exit(2)", "sys.exit(3)"),
    ("painting/imager.py", "return ", "return 1 or "),
    ("data/inspection.py", "return ", "return 1 or "),
    ("stages/tune.py", "A worker must have", "One must have"),
    ("files/code_digest.py", "", "\n_ODD = 1\n"),
    ("tracking/gate.py", "value >= least", "value > least"),
    # What MLflow is told.
    ("tracking/live.py", "SECONDS_BETWEEN = ", "SECONDS_BETWEEN = 1 + "),
    ("tracking/publishing.py", "return ", "return 1 and "),
    ("tracking/promotion.py", "def promote(", "def promote(odd, "),
]
REWRITTEN = {
    "a comment": lambda text: f"# A comment.\n{text}",
    "no docstring": take_docstrings_out,
    "lines broken otherwise": lambda text: ast.unparse(ast.parse(text)),
    "blank lines": lambda text: text.replace("\n\n\n", "\n\n\n\n\n"),
    "another order": turn,
}

BRINGING, LAYING, SEARCHING = {"fetch", "prepare"}, {"layout", "repeats"}, {"tune", "repeats"}
TRAINING = {"tune", "train", "repeats", "ablation", "refit"}
CALIBRATING = {"baselines", "evaluate", "repeats", "ablation", "refit"}
# Stages that read params.yaml, or the cohort.
READING = {stage for stage in STAGES if read_signature(stage).sections}
READING_COHORTS = {"quality", "split", "layout", "images", "baselines"}
READING_COHORTS |= {"novelty", "evaluate", "repeats", "ablation", "refit", "explain"}
# What can, and the stages that must run again: all of them, and no other.
HARMFUL = [
    ("data/split.py", "< ", "<= ", {"split", "repeats"}),
    (
        "params/sections.py",
        '",\n        default=1',
        '",\n        default=2',
        {"split", "repeats", "register"},
    ),
    ("params/sections.py", 'training.", ge=0, le=0.95', 'training.", ge=0, le=0.9', TRAINING),
    ("params/parsing.py", "strict=True)", "strict=False)", READING),
    ("data/sources/embedded/counts.py", "\nRESIDUE = ", "\nRESIDUE = 2 * ", BRINGING),
    ("data/sources/__init__.py", "name.replace('-'", "name.replace('+'", BRINGING),
    ("data/resources/tissues.tsv", "\t", "\t1", BRINGING),
    ("painting/layouts/coexpression.py", "return ", "return 1 + ", LAYING),
    ("painting/layouts/__init__.py", "if min(shape) < 1", "if min(shape) < 2", LAYING),
    ("painting/fitting.py", "return ", "return 1 and ", LAYING),
    ("painting/images.py", "N_ROWS = ", "N_ROWS = 1 + ", {"images", "repeats"}),
    ("report/figures/images.py", "def draw_preview(", "def draw_preview(odd, ", {"images"}),
    ("report/figures/learning.py", "def draw_depths(", "def draw_depths(odd, ", {"report"}),
    ("report/report.html.j2", "<html", "<html odd", {"quality", "report"}),
    (
        "evaluation/baselines.py",
        "for C in (0.0003, ",
        "for C in (0.0004, ",
        {"baselines", "refit", "repeats"},
    ),
    ("training/loop.py", "return ", "return 1 and ", TRAINING),
    ("evaluation/logistic.py", "_TOLERANCE = ", "_TOLERANCE = 2 * ", TRAINING | {"baselines"}),
    ("training/optimiser.py", "return ", "return 1 and ", TRAINING),
    ("network/head.py", "_HIDDEN_DROPOUT = ", "_HIDDEN_DROPOUT = 1 - ", TRAINING),
    ("training/activations.py", "_N_ROWS = ", "_N_ROWS = 1 + ", TRAINING),
    ("training/search.py", "_SECONDS_BETWEEN_LOOKS = ", "_SECONDS_BETWEEN_LOOKS = 1 + ", SEARCHING),
    ("training/depth_search.py", "study = name_", "study = 1 and name_", SEARCHING),
    ("evaluation/calibration.py", "return ", "return 1 and ", CALIBRATING),
    ("explain/integrated_gradients.py", "return ", "return 1 and ", {"explain"}),
    ("tracking/registry.py", "def register_version(", "def register_version(odd, ", {"register"}),
    ("stages/images.py", "_N_PAIRS = 6", "_N_PAIRS = 7", {"images"}),
    ("evaluation/comparison.py", "len(leads) - 1", "len(leads)", {"compare"}),
    ("data/cohort_file.py", "about is None", "not about", READING_COHORTS),
]


@pytest.mark.parametrize(("path", "old", "new"), HARMLESS)
def test_an_edit_that_can_change_no_output_re_runs_nothing(package, list_changed, path, old, new):
    edit(package / path, old, new)
    assert list_changed() == set()


@pytest.mark.parametrize("change", REWRITTEN.values(), ids=REWRITTEN)
def test_all_modules_otherwise_written_re_run_nothing(package, list_changed, change):
    for path in package.rglob("*.py"):
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    assert list_changed() == set()


@pytest.mark.parametrize(("path", "old", "new", "stages"), HARMFUL)
def test_an_edit_that_can_change_an_output_re_runs_all_it_must(package, list_changed, path, old, new, stages):
    edit(package / path, old, new)
    assert list_changed() == stages


def test_what_an_edit_newly_imports_counts_from_then_on(package, list_changed):
    (package / "odd.py").write_text("def find_odd():\n    return 1\n", encoding="utf-8")
    assert list_changed() == set()
    use = "\n    from expressionist.odd import find_odd\n    find_odd()\n"
    called = f"\n_known = split_by_patient\ndef split_by_patient(*_):{use}    _known()\n"
    edit(package / "data/split.py", "", called)
    assert list_changed() == {"split", "repeats"}
    kept = write_texts(package, package.parent / "kept")
    edit(package / "odd.py", "return 1", "return 2")
    after = write_texts(package, package.parent / "later")
    assert {stage for stage in STAGES if after[stage] != kept[stage]} == {"split", "repeats"}


def test_what_importing_a_module_does_reaches_all_who_import_it(package, list_changed):
    edit(package / "data/expression.py", "", '\nnp.seterr(all="ignore")\n')
    name = "expressionist.data.expression"
    reached = {each for each in STAGES if name in close_over(f"expressionist.stages.{each}")}
    # That one only through what tells MLflow, which no output hangs on; it runs whatever has changed.
    assert list_changed() == reached - {"register"}


@pytest.mark.parametrize(
    ("chosen", "stages"),
    [({"method": "pca"}, {"layout", "repeats"}), ({"source": "pancan-mrna"}, {"fetch", "prepare"})],
)
def test_another_word_of_params_brings_other_code(list_changed, chosen, stages):
    assert list_changed(**chosen) == stages


def test_edits_by_chance_reach_whom_they_must(package, before):
    """Of definitions drawn by chance: who names one runs again, and nobody else."""
    rng = random.Random(1)
    lines = {line for text in before.values() for line in text.splitlines()}
    named = {(line.split()[0], name) for line in lines for name in line.split()[2:]}
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
            elif any(
                name == getattr(part, "id", None)
                for to in getattr(node, "targets", [])
                for part in ast.walk(to)
            ):
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
    read = ("commands.params_file", "data.sources.embedded", "painting.layouts.coexpression")
    chosen = set.union(*(close_over(f"expressionist.{name}") for name in read))
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


def write_pretending_pipeline(folder, text):
    """Write a dvc.yaml with commands that only make their outputs, but for the stage `code`."""
    content = yaml.safe_load(text)
    deps = {dep for stage in content["stages"].values() for dep in stage.get("deps", [])}
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


@pytest.mark.parametrize("kind", ["checkout", "project"])
def test_dvc_runs_again_what_must_and_no_more(package, tmp_path, monkeypatch, kind):
    """Where code is edited, and where a project's package is installed anew."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    folder, always = tmp_path / kind, {"register"}
    if kind == "checkout":
        package = shutil.copytree(package, folder / "src/expressionist")
        write_pretending_pipeline(folder, (ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    else:
        folder.mkdir()
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        write_pretending_pipeline(folder, read_file("dvc.yaml"))
        always |= {"code"}
    monkeypatch.chdir(folder)

    def reproduce():
        with Repo(str(folder)) as repo:
            return {stage.name.partition("@")[0] for stage in repo.reproduce()}

    Repo.init(str(folder), no_scm=True).close()
    assert reproduce() == {"code", *STAGES}
    assert reproduce() == always
    edit(package / "errors.py", "", "\n# A comment.\n")
    edit(package / "painting/layouts/pca.py", "", "\n_ODD = 1\n")
    assert reproduce() == {"code"} | always
    edit(package / "network/head.py", "_HIDDEN_DROPOUT = ", "_HIDDEN_DROPOUT = 1 - ")
    assert reproduce() == {"code"} | TRAINING | always
