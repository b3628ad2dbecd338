"""Experiments as DVC means them: in folders of their own, and nothing of them is lost."""

import json
import shlex
import shutil
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from expressionist.data.cohort_file import read_cohort
from expressionist.errors import CohortError, WeightsError
from expressionist.files.origin import find_given, find_origin
from expressionist.files.store import read_json
from expressionist.network.backbones import find_weights
from expressionist.params.sections import CohortParams
from expressionist.stages import fetch, lists
from expressionist.tracking.store import list_leaderboards, open_store
from pipeline import checkout
from pipeline.checkout import BACKBONE, ROOT
from toy import shipped_options

CURVES = ("training", "search", "reliability")
SPLIT = "src/expressionist/stages/split.py"


def commit(folder, *words):
    checkout.finish(folder, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", *words)


@pytest.fixture(scope="module")
def repo(published, tmp_path_factory):
    """A git and DVC checkout, and its remotes, in which everything but `register` was run and recorded."""
    base = tmp_path_factory.mktemp("experiments")
    folder = base / "mein Prüfling"
    shutil.copytree(published, folder, ignore=shutil.ignore_patterns("mlruns"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", folder / "src", ignore=ignored)
    (folder / ".dvc").mkdir()
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copyfile(ROOT / name, folder / name)
    for name in ("data/incoming", "data/weights"):
        (folder / name).mkdir(parents=True)
        shutil.copyfile(ROOT / name / "README.md", folder / name / "README.md")
    checkout.finish(folder, "git", "init", "-q")
    # DVC cannot write an umlaut in a path of its own or git's config into an experiment's folder.
    checkout.finish(folder, "dvc", "cache", "dir", "--local", str(base / "cache"))
    checkout.finish(folder, "dvc", "remote", "add", "--default", "there", str(base / "far data"))
    checkout.finish(base, "git", "init", "-q", "--bare", "far code.git")
    checkout.finish(folder, "git", "remote", "add", "origin", str(base / "far code.git"))
    for stage in ("code", "quality"):
        checkout.finish(folder, *checkout.stage_command(stage))
    checkout.finish(folder, "dvc", "commit", "--force")
    checkout.finish(folder, "git", "add", ".")
    commit(folder, "-m", "Everything")
    checkout.finish(folder, "git", "push", "-q", "origin", "HEAD")
    return folder


def put_back(folder):
    """Make a checkout again what was committed."""
    checkout.finish(folder, "git", "reset", "-q", "--hard")
    checkout.finish(folder, "dvc", "checkout", "--force", "--quiet")


def accepts(folder):
    """Read which share of its genes the packed model may lack: what the experiments here change."""
    return read_json(folder / "data/served/model.json")["missing_genes"]


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    """The folder of an experiment, to work in, and the checkout that it was begun in."""
    origin = tmp_path / "my Übung"
    folder = origin / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    folder.mkdir(parents=True)
    for name in ("data/incoming", "data/weights"):
        (origin / name).mkdir(parents=True)
        (folder / name).mkdir(parents=True)
    monkeypatch.chdir(folder)
    return origin, folder


def find_finals(folder):
    return checkout.list_runs(folder, f"tags.kind = 'registered' and tags.backbone = '{BACKBONE}'")


def list_versions(folder):
    return open_store(folder).client.search_model_versions("name = 'tumour-type'")


def test_the_checkout_is_found_from_its_experiments_only(experiment):
    origin, folder = experiment
    assert find_origin(folder) == find_origin(folder / "data") == origin
    assert find_origin(origin) is None


def test_the_store_of_an_experiment_is_that_of_the_checkout(experiment):
    origin, folder = experiment
    assert open_store(folder).folder == origin / "mlruns"
    assert (origin / "mlruns" / "mlflow.db").is_file()
    assert not (folder / "mlruns").exists()


def test_what_git_does_not_carry_is_found_in_the_checkout(experiment):
    origin, folder = experiment
    (origin / "data/incoming/mine.csv").write_text("of the checkout", encoding="utf-8")
    (origin / "data/incoming/genes.txt").write_text("TP53\n", encoding="utf-8")
    options = shipped_options("table", expression="mine.csv")
    cohort = CohortParams(source="table", folder="data/incoming", options=options)
    fetch.run(cohort, raw=folder / "data/raw", cache=folder / "data/cache")
    assert (folder / "data/raw/expression.csv").read_text(encoding="utf-8") == "of the checkout"
    named = lists._find("expression.genes", "genes.txt", Path("data/incoming"), folder)
    assert named == origin / "data/incoming/genes.txt"
    # The experiment's own comes first.
    own = Path("data/incoming/mine.csv")
    own.write_text("own", encoding="utf-8")
    assert find_given(own) == own


def test_what_is_missing_is_to_be_put_into_the_checkout(experiment):
    origin, folder = experiment
    cohort = CohortParams("table", "data/incoming", shipped_options("table", expression="mine.csv"))
    with pytest.raises(CohortError, match=str(origin / "data/incoming/mine.csv")):
        fetch.run(cohort, raw=folder / "data/raw", cache=folder / "data/cache")
    with pytest.raises(CohortError, match=str(origin / "data/incoming/genes.txt")):
        lists._find("expression.genes", "genes.txt", Path("data/incoming"), folder)


def test_weights_of_the_checkout_are_no_random_weights(experiment, monkeypatch):
    origin, _ = experiment
    monkeypatch.setenv("KERAS_HOME", str(origin / "none"))
    monkeypatch.setattr("expressionist.network.backbones._download", lambda name: None)
    with pytest.raises(WeightsError, match=str(origin / "data/weights")):
        find_weights(BACKBONE, "imagenet", Path("data/weights"), required=True, seed=1)
    name = "mobilenet_2_5_224_tf_no_top.h5"
    (origin / "data/weights" / name).write_bytes(b"weights")
    found, path = find_weights(BACKBONE, "imagenet", Path("data/weights"), required=False, seed=1)
    assert not found.random
    assert path.samefile(origin / "data/weights" / name)


def test_an_experiment_in_its_own_folder_leaves_its_run_in_the_checkout(repo):
    head = checkout.finish(repo, "git", "rev-parse", "HEAD").strip()
    words = ("--temp", "--name", "erster-Versuch", "-S", "registry.missing_genes=0.06", "register")
    checkout.finish(repo, "dvc", "exp", "run", *words)
    (run,) = find_finals(repo)
    tags = run.data.tags
    assert tags["dvc.exp"] == "erster-Versuch"
    assert tags["dvc.exp.baseline"] == tags["git_commit"] == head
    assert tags["dvc.exp.params"] == "registry.missing_genes: 0.06"
    assert tags["DVC_STAGE"] == "register"
    assert run.info.artifact_uri.startswith(str(repo / "mlruns"))
    assert open_store(repo).client.list_artifacts(run.info.run_id)
    (version,) = list_versions(repo)
    assert version.run_id == run.info.run_id
    assert not list((repo / ".dvc/tmp/exps/standalone").glob("tmp*"))


def test_an_experiment_in_the_checkout_changes_it_and_another_is_applied(repo):
    words = ("--name", "im-Checkout", "-S", "registry.missing_genes=0.065", "register")
    checkout.finish(repo, "dvc", "exp", "run", *words)
    assert accepts(repo) == 0.065
    (run,) = find_finals(repo)
    assert run.data.tags["dvc.exp"] == "erster-Versuch, im-Checkout"
    checkout.finish(repo, "dvc", "exp", "apply", "erster-Versuch")
    assert accepts(repo) == 0.06
    put_back(repo)


def test_a_queued_sweep_over_two_params_is_there_and_names_every_experiment(repo):
    missing = "registry.missing_genes=0.07,0.08"
    floor = "registry.gate.accuracy=0.6,0.7"
    checkout.finish(repo, "dvc", "exp", "run", "--queue", "-S", missing, "-S", floor, "register")
    checkout.finish(repo, "dvc", "queue", "start")
    states = wait_for_queue(repo)
    assert states == ["Success"] * 4
    listed = checkout.finish(repo, "dvc", "exp", "list", "--name-only").split()
    assert len(listed) == 6
    (run,) = find_finals(repo)
    assert sorted(run.data.tags["dvc.exp"].split(", ")) == sorted(listed)
    assert len(list_versions(repo)) == 4


def wait_for_queue(folder, patience=300):
    """Wait until nothing of the queue is to be done, and return how its experiments ended."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        said = checkout.finish(folder, "dvc", "queue", "status")
        rows = [line.split() for line in said.split("Worker status")[0].splitlines()[1:] if line]
        states = [row[-1] for row in rows]
        if not {"Queued", "Running"} & set(states):
            return states
        time.sleep(1)
    raise AssertionError(said)


def test_the_code_of_an_experiment_is_its_own(repo):
    before = (repo / SPLIT).read_text(encoding="utf-8")
    (repo / SPLIT).write_text(before + "\nprint('this is the code of the experiment')\n", encoding="utf-8")
    words = ("--temp", "--name", "own-code", "--force", "--single-item", "split")
    try:
        said = checkout.finish(repo, "dvc", "exp", "run", *words)
    finally:
        (repo / SPLIT).write_text(before, encoding="utf-8")
    assert "this is the code of the experiment" in said


def test_an_experiment_is_saved_pushed_and_applied_elsewhere(repo):
    text = (repo / "params.yaml").read_text(encoding="utf-8")
    (repo / "params.yaml").write_text(text.replace("missing_genes: 0.05", "missing_genes: 0.09"), "utf-8")
    checkout.finish(repo, "dvc", "repro", "pack")
    checkout.finish(repo, "dvc", "exp", "save", "--name", "by-hand")
    checkout.finish(repo, "dvc", "exp", "push", "origin", "by-hand")
    made = checkout.read_tree(repo / "data/served")
    put_back(repo)
    other = repo.parent / "zweiter Prüfling"
    checkout.finish(repo.parent, "git", "clone", "-q", "far code.git", other.name)
    checkout.finish(other, "dvc", "exp", "pull", "origin", "by-hand")
    checkout.finish(other, "dvc", "exp", "apply", "by-hand")
    assert accepts(other) == 0.09
    assert checkout.read_tree(other / "data/served") == made


def test_the_packed_model_is_an_artifact_that_predicts_where_nothing_else_is(repo, tmp_path, call):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    checkout.finish(repo, "git", *who, "tag", "-a", "tumour-type@v1.0.0", "-m", "As served in May")
    checkout.finish(repo, "dvc", "push", "data/served")
    checkout.finish(repo, "git", "push", "-q", "origin", "tumour-type@v1.0.0")
    address = str(repo.parent / "far code.git")
    checkout.finish(tmp_path, "dvc", "artifacts", "get", address, "tumour-type", "-o", "my model")
    assert checkout.read_tree(tmp_path / "my model") == checkout.read_tree(repo / "data/served")
    cohort = read_cohort(repo / "data/cohort/cohort.h5ad")
    table = pd.DataFrame(cohort.expression[:2], cohort.samples.index[:2], cohort.genes.index)
    table.to_csv(tmp_path / "table.csv")
    code, printed, _ = call(tmp_path, "predict", "--model", "my model", "table.csv")
    assert code == 0
    assert len(printed.splitlines()) == 1 + 2


def test_a_folder_that_git_does_not_carry_is_copied_or_its_absence_told(repo):
    (repo / "data/mine").mkdir()
    (repo / "data/mine/mine.csv").write_text("sample,tumour_type,TP53\na,b,1\n", encoding="utf-8")
    named = ("-S", "cohort.source=table", "-S", "cohort.table.expression=mine.csv")
    words = ("dvc", "exp", "run", "--temp", *named, "-S", "cohort.folder=data/mine", "fetch")
    refused = checkout.run_command(repo, *words)
    assert refused.returncode != 0
    assert "data/mine'" in refused.stderr
    checkout.finish(repo, *words, "--copy-paths", "data/mine", "--name", "copied")
    checkout.finish(repo, "dvc", "exp", "remove", "copied")


def test_an_input_under_dvc_reaches_an_experiment_that_the_checkout_has_no_longer(repo):
    table = repo / "data/incoming/mine.csv"
    table.write_text("sample,tumour_type,TP53\na,b,1\n", encoding="utf-8")
    checkout.finish(repo, "dvc", "add", str(table))
    checkout.finish(repo, "git", "add", f"{table}.dvc")
    table.unlink()
    named = ("-S", "cohort.source=table", "-S", "cohort.table.expression=mine.csv")
    checkout.finish(repo, "dvc", "exp", "run", "--temp", "--name", "tracked", *named, "fetch")
    checkout.finish(repo, "dvc", "exp", "remove", "tracked")
    put_back(repo)


def test_metrics_say_who_won_and_are_few(repo):
    (shown,) = json.loads(checkout.finish(repo, "dvc", "metrics", "show", "--json")).values()
    ((path, entry),) = shown["data"].items()
    assert path == "data/metrics.json"
    metrics = entry["data"]
    assert metrics["winner"] == BACKBONE
    assert metrics["weights"] == "RANDOM"
    assert list(metrics)[:2] == ["winner", "best_baseline"]
    assert len(metrics) <= 8


def test_metrics_of_other_revisions_are_those_of_git(repo):
    """A clone that has pulled nothing knows them."""
    clone = repo.parent / "bare clone"
    checkout.finish(repo.parent, "git", "clone", "-q", "far code.git", clone.name)
    (clone / "data/metrics.json").write_text('{"f1_macro": 1.0}', encoding="utf-8")
    (changed,) = json.loads(checkout.finish(clone, "dvc", "metrics", "diff", "--json")).values()
    before = read_json(repo / "data/metrics.json")["f1_macro"]
    assert changed["f1_macro"] == {"old": before, "new": 1.0, "diff": pytest.approx(1.0 - before)}


def test_experiments_fit_a_terminal(repo, monkeypatch):
    """As `make experiments` asks for them."""
    lines = (ROOT / "project.mk").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if "dvc exp show" in line)
    monkeypatch.setenv("COLUMNS", "120")
    table = checkout.finish(repo, "dvc", *shlex.split(line)[1:]).splitlines()
    heading = next(line.split() for line in table if "Experiment" in line)
    assert heading[:3] == ["Experiment", "winner", "f1_macro"]
    assert {"registry.gate.accuracy", "registry.missing_genes"} <= set(heading)
    assert max(map(len, table)) <= 120


def test_plots_have_training_search_and_reliability(repo):
    plotted = json.loads(checkout.finish(repo, "dvc", "plots", "show", "--json"))["data"]
    assert {f"data/comparison/{kind}/{BACKBONE}.tsv" for kind in CURVES} <= set(plotted)


def test_the_leaderboard_is_linked(repo):
    (line,) = list_leaderboards(open_store(repo), "http://127.0.0.1:5000")
    address = urlsplit(line.partition(": ")[2])
    path, _, query = address.fragment.partition("?")
    (run,) = find_finals(repo)
    assert path == f"/experiments/{run.info.experiment_id}/runs"
    asked = parse_qs(query)
    assert asked["workflowType"] == ["machine_learning"]
    found = open_store(repo).client.search_runs([run.info.experiment_id], *asked["searchFilter"])
    assert run.info.run_id in {each.info.run_id for each in found}
