"""`expressionist init`: a project of the checkout's own files, that the installed package runs."""

import errno
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from dvc.repo import Repo
from dvc.utils.hydra import apply_overrides
from hatchling.builders.wheel import WheelBuilder

from expressionist.commands import projects
from expressionist.commands.options import read_project_params
from expressionist.commands.projects import FILES, read_file
from expressionist.data.sources import tcga
from expressionist.data.sources.table import Options, read_files
from expressionist.params.parsing import parse
from expressionist.stages import list_stages
from pipeline.checkout import read_tree

ROOT = Path(__file__).parents[2]
TYPES = ["BRCA"] * 6 + ["LUAD"] * 6
SAMPLES = pd.DataFrame(
    {"patient": [f"p{i}" for i in range(12)], "tumour type": TYPES},
    index=pd.Index([f"s{i}" for i in range(12)], name="barcode"),
)


@pytest.fixture
def matrix() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    counts = rng.poisson(2.0 ** rng.normal(6, 3, 60), (12, 60)).astype(np.float32)
    return pd.DataFrame(counts, index=SAMPLES.index, columns=[f"GENE{i}" for i in range(60)])


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


@pytest.mark.parametrize(("name", "git"), [("eine Stüdie", True), ("study", False)])
def test_dvc_reads_a_new_project(call, tmp_path, monkeypatch, name, git) -> None:
    folder = tmp_path / name
    if git:
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        (folder / ".partial-.partial/data").mkdir(parents=True)
    code, said, _ = call(tmp_path, "init", name)
    assert code == 0
    assert said.splitlines()[-2] == f"Next: cd {name if name == 'study' else repr(name)} && dvc repro"
    assert "pip install" not in said
    made = {str(path) for path in map(Path, read_tree(folder)) if path.parts[0] != ".git"}
    assert not list(folder.glob(".partial*"))
    assert made == {*FILES.values()} | (set() if git else {".dvc/config.local"})
    monkeypatch.chdir(folder)
    with Repo() as repo:
        names = {stage.name.partition("@")[0] for stage in repo.index.stages}
        assert names == {*list_stages()}
        assert "always changed" in repo.status("code")["code"]
    assert read_project_params(folder) == read_project_params(ROOT)
    assert "src/" not in (folder / "dvc.yaml").read_text(encoding="utf-8")


def test_where_the_core_alone_is_installed_it_says_what_is_missing(call, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(projects, "find_spec", lambda name: None if name == "dvc" else name)
    assert "\nFirst: pip install 'expressionist[all]'\nNext: " in call(tmp_path, "init", "study")[1]


def test_make_knows_only_what_works_in_a_project(call, tmp_path: Path) -> None:
    call(tmp_path, "init", "study")
    shown = subprocess.run(["make", "-C", "study"], cwd=tmp_path, capture_output=True, text=True, check=True)
    targets = [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("  make ")]
    assert targets == ["help", "repro", "ui", "serve", "experiments", "clean"]
    words = ["make", "-n", *targets]
    asked = subprocess.run(words, cwd=tmp_path / "study", capture_output=True, text=True, check=True)
    assert ".venv" not in asked.stdout
    # Where nothing of it is on the path, as in a new shell.
    bare = {"PATH": "/usr/bin:/bin"}
    refused = subprocess.run(["make", "-C", "study", "repro"], cwd=tmp_path, capture_output=True, env=bare)
    assert refused.returncode == 2
    assert b"activate the environment that it is installed in" in refused.stderr


def test_a_folder_that_holds_something_is_refused_and_left(call, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    for name in ("full", "full/mine.txt"):
        code, printed, said = call(tmp_path, "init", name)
        assert (code, printed, said.count("\n")) == (2, "", 1)
        assert f"new or empty folder, but got {name}" in said
    assert read_tree(tmp_path) == {"full/mine.txt": b"mine"}
    assert "--from" in call(tmp_path, "init", "new", "--labels", "l.csv")[2]


@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_leaves_nothing_half_made(call, tmp_path, matrix, monkeypatch, there) -> None:
    SAMPLES.join(matrix).to_csv(tmp_path / "m.csv")
    if there:
        (tmp_path / "study").mkdir()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", fail)
    monkeypatch.setattr(shutil, "copyfile", fail)
    code, _, said = call(tmp_path, "init", "study", "--from", "m.csv")
    assert (code, said.count("\n")) == (2, 1)
    assert list(read_tree(tmp_path)) == ["m.csv"]
    assert (tmp_path / "study").exists() == there


FORMS = {
    "m.csv": lambda path, matrix: SAMPLES.join(matrix).to_csv(path),
    "m.tsv.gz": lambda path, matrix: matrix.T.rename_axis("gene").to_csv(path, sep="\t"),
    "m.h5ad": lambda path, matrix: anndata.AnnData(matrix, SAMPLES.copy()).write_h5ad(path),
}


@pytest.mark.parametrize("name", FORMS)
def test_from_a_file_the_params_are_filled_in(call, tmp_path: Path, matrix, name: str) -> None:
    (tmp_path / "there").mkdir()
    FORMS[name](tmp_path / "there" / name, matrix)
    SAMPLES.to_csv(tmp_path / "labels.csv")
    labels = ["--labels", "labels.csv"] if name == "m.tsv.gz" else []
    code, said, _ = call(tmp_path, "init", "study", "--from", f"there/{name}", *labels)
    assert code == 0
    assert f"data/incoming/{name} is a hard link to there/{name} (" in said
    cohort = read_project_params(tmp_path / "study").cohort
    options = parse(Options, cohort.options, "table")
    assert (cohort.source, options.unit) == ("table", "counts")
    named = {"expression": options.expression} | ({"labels": options.labels} if labels else {})
    incoming = tmp_path / "study" / cohort.folder
    found, _ = read_files(options, {option: incoming / file for option, file in named.items()})
    np.testing.assert_array_equal(found.expression, matrix)
    assert list(found.samples["tumour_type"]) == TYPES
    assert list(found.samples["patient"]) == list(SAMPLES["patient"])


def test_all_else_of_the_params_stays_as_it_was(call, tmp_path: Path, matrix) -> None:
    SAMPLES.join(matrix).to_csv(tmp_path / "m.csv")
    call(tmp_path, "init", "study", "--from", "m.csv")
    path = tmp_path / "study/params.yaml"
    before, after = read_file("params.yaml"), path.read_text(encoding="utf-8")
    pairs = list(zip(before.splitlines(), after.splitlines(), strict=True))
    changed = {new.split()[0] for old, new in pairs if old != new}
    assert changed == {
        *("source:", "expression:", "sample_column:", "label_column:", "patient_column:", "unit:"),
    }
    assert all(old.partition("#")[2] == new.partition("#")[2] for old, new in pairs)
    apply_overrides(path, ["split.seed=1"])
    assert path.read_text(encoding="utf-8") == after, "it must be written as DVC writes it"


def test_the_column_of_the_types_can_be_named(call, tmp_path: Path, matrix) -> None:
    named = SAMPLES[["patient"]].assign(subtype=["basal", "luminal"] * (len(SAMPLES) // 2))
    named.join(matrix).to_csv(tmp_path / "m.csv")
    assert call(tmp_path, "init", "study", "--from", "m.csv", "--label-column", "subtype")[0] == 0
    assert read_project_params(tmp_path / "study").cohort.options["label_column"] == "subtype"


@pytest.mark.parametrize("option", ["--labels", "--label-column"])
def test_labels_without_expression_make_no_project(call, tmp_path: Path, option: str) -> None:
    code, _, said = call(tmp_path, "init", "study", option, "labels.csv")
    assert code != 0
    assert "Labels must come with --from" in said
    assert not (tmp_path / "study").exists()


def test_expression_without_labels_makes_no_project(call, tmp_path: Path, matrix) -> None:
    matrix.to_csv(tmp_path / "m.csv")
    code, printed, said = call(tmp_path, "init", "study", "--from", "m.csv")
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "A cohort must have labels, beside the samples or in a second table" in said
    assert not (tmp_path / "study").exists()


def test_what_no_file_tells_is_to_be_filled_in(call, tmp_path: Path, matrix) -> None:
    scaled = ((matrix - matrix.mean()) / matrix.std()).to_numpy()
    data = anndata.AnnData(scaled, obs=SAMPLES.astype(str), var=pd.DataFrame(index=matrix.columns))
    data.layers["counts"] = matrix.to_numpy()
    data.write_h5ad(tmp_path / "m.h5ad")
    code, said, _ = call(tmp_path, "init", "study", "--from", "m.h5ad")
    assert code == 0
    assert "First fill in, in params.yaml below cohort: table: matrix." in said
    written = (tmp_path / "study/params.yaml").read_text(encoding="utf-8")
    assert "# nothing in the file tells: fill in\n" in written


def test_a_file_that_cannot_be_read_makes_no_project(call, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("sample,tumour_type,g1\ns1,A,one\ns2,B,2\n")
    for name in ("m.csv", "none.csv"):
        code, printed, said = call(tmp_path, "init", "study", "--from", name)
        assert (code, printed, said.count("\n")) == (2, "", 1)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("beside", [SAMPLES, SAMPLES[[]]])
def test_what_would_be_refused_makes_no_project_whatever_is_to_be_filled_in(
    call, tmp_path: Path, matrix, beside: pd.DataFrame
) -> None:
    matrix.iloc[0, 0] = np.inf
    beside.join(matrix).to_csv(tmp_path / "m.csv")
    code, printed, said = call(tmp_path, "init", "study", "--from", "m.csv")
    assert (code, printed, said.count("\n")) == (2, "", 1)
    assert "even if it is only too large for float32. No project was made." in said
    assert not (tmp_path / "study").exists()


def test_aliquots_of_tcga_are_read_by_the_source_of_that_name(call, tmp_path: Path, matrix) -> None:
    barcodes = [f"TCGA-AA-{n:04d}-01" for n in range(12)]
    matrix.T.set_axis(barcodes, axis=1).rename_axis("gene").to_csv(tmp_path / "m.tsv", sep="\t")
    samples = pd.DataFrame({"barcode": barcodes, "cancer_type": TYPES})
    samples.to_csv(tmp_path / "labels.tsv", sep="\t", index=False)
    call(tmp_path, "init", "study", "--from", "m.tsv", "--labels", "labels.tsv")
    after = read_project_params(tmp_path / "study").cohort
    assert after.source == "tcga"
    options = parse(tcga.Options, after.options, "tcga")
    assert (options.expression, options.samples, options.unit) == ("m.tsv", "labels.tsv", "counts")
    written = (tmp_path / "study/params.yaml").read_text(encoding="utf-8")
    assert "    - '11'\n" in written


def test_a_disk_without_links_gets_a_copy(call, tmp_path: Path, matrix, monkeypatch) -> None:
    SAMPLES.join(matrix).to_csv(tmp_path / "m.csv")

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    assert "is a copy of m.csv" in call(tmp_path, "init", "study", "--from", "m.csv")[1]
    assert (tmp_path / "study/data/incoming/m.csv").read_bytes() == (tmp_path / "m.csv").read_bytes()


def test_the_wheel_has_the_template_and_makes_the_same_project(call, tmp_path: Path) -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    template = listed["targets"]["wheel"]["force-include"]
    assert template == {name: f"expressionist/template/{name}" for name in FILES}
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    own = {name for name in read_tree(ROOT / "src/expressionist") if "__pycache__" not in name}
    package = read_tree(tmp_path / "installed/expressionist")
    assert set(package) == own | {f"template/{name}" for name in FILES}
    # No code hangs on the template, although modules mention names of its files.
    about = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    for words in (["init"], ["code", "--out"]):
        call(ROOT, *words, tmp_path / "checkout" / words[0])
        command = [sys.executable, "-m", "expressionist", *words, tmp_path / "wheel" / words[0]]
        subprocess.run(command, cwd=ROOT, env=about, check=True, capture_output=True)
    assert len(read_tree(tmp_path / "checkout")) > len(FILES)
    assert read_tree(tmp_path / "checkout") == read_tree(tmp_path / "wheel")


def test_what_is_said_otherwise_in_a_project_stands_in_the_template() -> None:
    for name, changes in projects._OTHERWISE.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert all(text.count(old) == 1 for old in changes)
    assert projects._OF_SOURCE in (ROOT / ".gitignore").read_text(encoding="utf-8")
