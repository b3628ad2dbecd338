"""The tutorial, typed from top to bottom; and the Python of the pages, in the project that it leaves."""

import re
import shlex
import shutil
import subprocess

import anndata
import mlflow
import numpy as np
import pandas as pd
import pytest

from docs.pages import list_blocks, list_typed
from expressionist.tracking.store import open_store
from pipeline.checkout import ROOT, environment, read_tree
from toy import predict_with

DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
# Of what a command that moves an alias prints, numbers and spaces are a run's own.
OWN = re.compile(r"[\d,.]+| +|\S*\+00:00")
# Done by others: the environment is this one, DVC's pipeline is `published`, and servers serve until stopped.
NOT_TYPED = {
    *("make setup && source .venv/bin/activate", "expressionist init ../tutorial", "cd ../tutorial"),
    *("make repro", "expressionist times", "make ui"),
}


def run_python(text, folder, monkeypatch, **known):
    """Run a block of Python in a folder; return what it leaves."""
    monkeypatch.chdir(folder)
    exec(compile(text, "page", "exec"), known)
    return known


@pytest.fixture(scope="module")
def project(published, tmp_path_factory):
    """A project as `expressionist init` makes it, in which all stages have run, by small params."""
    folder = tmp_path_factory.mktemp("project") / "tutorial"
    words = shlex.split("expressionist init tutorial")
    subprocess.run(words, cwd=folder.parent, env=environment(), check=True, capture_output=True)
    shutil.copytree(published, folder, dirs_exist_ok=True)
    # Two epochs are too few for the gate as it is shipped.
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    (folder / "params.yaml").write_text(re.sub(r"(accuracy|f1_macro): 0\.\d+", r"\1: 0.01", params))
    return folder


def list_steps():
    """List commands and blocks of Python in the order in which they stand."""
    text = TUTORIAL.read_text(encoding="utf-8")
    python = [(text.index(block), block, None) for block in list_blocks(TUTORIAL, "python")]
    typed = [(text.index(f"$ {line}"), line, output) for line, output in list_typed(TUTORIAL)]
    return [(line, output) for _, line, output in sorted(python + typed)]


def test_the_tutorial_can_be_typed(project, call, monkeypatch):
    for line, shown in list_steps():
        if line in NOT_TYPED:
            continue
        if shown is None:
            run_python(line, project, monkeypatch)
        elif line.startswith("expressionist "):
            if "--sample " in line:
                # Test samples, too, are a run's own.
                own = pd.read_csv(project / "table.csv", usecols=["sample"])["sample"][0]
                line = re.sub(r"(?<=--sample )\S+", own, line)
            code, out, err = call(project, *shlex.split(line)[1:])
            assert code == ("is not promoted" in shown), f"{line}: {err}"
            if shown:
                first = (out or err).splitlines()[0]
                assert OWN.sub(" ", first) == OWN.sub(" ", shown.splitlines()[0]), line
        else:
            ended = subprocess.run(
                line, shell=True, cwd=project, env=environment(), capture_output=True, text=True
            )
            assert ended.returncode == 0, f"{line}: {ended.stderr}"
            assert ended.stdout.split()[0] == shown.split()[0]
    assert (project / "sample.html").is_file()
    assert (project / "validation/table/validation.html").is_file()


def test_the_page_of_files_names_every_file(published):
    rows = re.findall(
        r"^\| `\w+` \| `data/([^`]+)` \| (.*) \|$", (DOCS / "files.md").read_text("utf-8"), re.MULTILINE
    )
    for output, said in rows:
        folder = published / "data" / output.replace("<backbone>", "mobilenet")
        for name in read_tree(folder) if folder.is_dir() else ():
            named = name in said or name.rpartition("/")[0].replace("mobilenet", "<backbone>") in said
            assert f"`{name}`" in said or named, f"{output}: {name}"


def test_the_python_of_the_pages_runs(project, call, monkeypatch):
    """Behind the tutorial, with the tables and arrays that the pages speak of."""
    (simulated,) = list_blocks(DOCS / "data.md", "python")
    run_python(simulated, project, monkeypatch, anndata=anndata)
    fill, evaluate, serve = list_blocks(DOCS / "serving.md", "python")
    run_python(fill, project / "data/served", monkeypatch)
    filled = pd.read_csv(project / "data/served/table.csv")
    assert len(predict_with(open_store(project), "models:/tumour-type@staging", filled)) == 1
    assert call(project, "export", "models:/tumour-type@staging", "model")[0] == 0
    genes = pd.read_csv(project / "model/genes.tsv", sep="\t")
    found = run_python(serve, project, monkeypatch, expression=np.ones((2, len(genes)), "float32"))
    np.testing.assert_allclose(np.sum(found["probabilities"], axis=1), 1, rtol=1e-5)
    store = f"sqlite:///{project / 'mlruns/mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    types = pd.read_csv(project / "labels.csv", index_col=0)["tumour_type"]
    table = pd.read_csv(project / "table.csv", index_col=0).assign(tumour_type=types)
    with mlflow.start_run(experiment_id="1") as run:
        run_python(evaluate, project, monkeypatch, table=table.rename_axis(None))
    assert "accuracy_score" in mlflow.get_run(run.info.run_id).data.metrics


def test_the_pictures_of_the_readme_are_made(tmp_path, monkeypatch):
    (snippet,) = list_blocks(ROOT / "README.md", "python")
    names = ["EPCAM", *(f"G{number}" for number in range(5_000))]
    rows = np.random.default_rng(0).normal(5, 2, (30, len(names)))
    train, test = pd.DataFrame(rows[:20], columns=names), pd.DataFrame(rows[20:], columns=names)
    left = run_python(snippet, tmp_path, monkeypatch, train=train, test=test)
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), left["images"])
    loaded = left["ExpressionImager"].load(tmp_path / "imager.npz")
    assert loaded.pixel_of("EPCAM") == left["imager"].pixel_of("EPCAM")
