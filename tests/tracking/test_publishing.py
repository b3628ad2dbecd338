import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from expressionist.errors import RegistryError
from expressionist.files.digests import md5
from expressionist.params.sections import GateParams
from expressionist.tracking.gate import Candidate, Waivers, judge
from expressionist.tracking.promotion import promote
from expressionist.tracking.provenance import read_provenance
from expressionist.tracking.publishing import (
    publish_baseline,
    publish_search,
    publish_training,
    publish_trial,
)
from expressionist.tracking.registry import find_version, list_versions, register_version
from expressionist.tracking.runs import Dataset, add_metrics
from expressionist.tracking.serving import load_model
from expressionist.tracking.store import Experiment, Store, open_experiment, open_store, prepare
from small_version import seal_network
from toy import predict_with

SEARCH: dict[str, Any] = {
    "study": "abc",
    "backbone": "resnet50",
    "space": {"depth": [0, 1]},
    "objective": "f1_macro",
    "weights": {"source": "random", "random": True},
    "cohort": "toy cohort",
    "synthetic": True,
    "digests": {"split": "c0ffee", "images": "0123456789abcdef0123456789abcdef.dir"},
    "params": {"training": {"learning_rate": 0.001}, "seed": 1},
    "trials": [
        {
            "number": number,
            "state": state,
            "depth": number,
            "n_unfrozen_layers": number,
            "n_unfrozen_parameters": 10 * number,
            "params": {"dropout": 0.5},
            "value": value,
            "seconds": 2.0,
            "started": f"2026-01-01T00:00:0{number}+00:00",
            "history": [
                {"epoch": 1, "loss": 2.0, "seconds": 0.9, "validation_f1_macro": 0.3},
                {"epoch": 2, "loss": 1.0, "seconds": 0.3, "validation_f1_macro": 0.5},
                {"epoch": 3, "loss": 0.5, "seconds": 0.5, "validation_f1_macro": 0.4},
            ],
        }
        for number, state, value in ((0, "COMPLETE", 0.4), (1, "PRUNED", None), (2, "FAIL", None))
    ],
    "best": {"number": 0, "depth": 0, "value": 0.4},
}
TRAINING: dict[str, Any] = {
    "backbone": "resnet50",
    "depth": 2,
    "unfrozen_layers": ["a", "b"],
    "n_unfrozen_parameters": 30,
    "weights": {"source": "random", "random": True},
    "synthetic": True,
    "history": [{"epoch": 1, "loss": 2.0, "seconds": 9.0}, {"epoch": 2, "loss": 1.0, "seconds": 1.0}],
    "seconds": 4.0,
    "params": {"head": "flatten"},
}
METRICS = {
    "test": {"accuracy": 0.9, "f1_macro": 0.8},
    "test_interval": {"accuracy": [0.85, 0.95]},
    "validation": {"accuracy": 0.7, "f1_macro": float("nan")},
}
DATASET = Dataset("toy cohort", "0123456789abcdef0123456789abcdef.dir", "data/images")
DIGESTS = {"images": DATASET.digest, "split": "c0ffee"}
TAGS = {f"dvc.{name}": digest for name, digest in DIGESTS.items()}
PARAMS = {"cohort": {"source": "table", "table": {"unit": "TPM"}}, "head": "global_average"}
FACTS: dict[str, Any] = {"dataset": DATASET, "digests": DIGESTS, "params": PARAMS, "provenance": {}}
GATE = GateParams(accuracy=0.8, f1_macro=0.7, worse_than_staging=0.0)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with an empty store, and with a space in its path."""
    root = tmp_path_factory.mktemp("a checkout")
    prepare(root / "mlruns")
    return root


@pytest.fixture(scope="module")
def store(root: Path) -> Store:
    return open_store(root)


@pytest.fixture
def experiment(store: Store, request: pytest.FixtureRequest) -> Experiment:
    return open_experiment(store, request.node.name)


@pytest.fixture(scope="module")
def published(store: Store) -> tuple[Experiment, str]:
    experiment = open_experiment(store, "toy cohort")
    return experiment, publish_search(experiment, SEARCH, provenance={"git_commit": "c0ffee"})


def runs_of(experiment: Experiment, filter_string: str = "") -> list[Any]:
    return list(experiment.client.search_runs([experiment.id], filter_string))


def test_importing_and_opening_leave_nothing_outside_the_store(root: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from expressionist.tracking import registry, store\n"
        "assert 'mlflow' not in sys.modules and 'tensorflow' not in sys.modules\n"
        "store.open_experiment(store.open_store(Path(sys.argv[1])), 'elsewhere')\n"
        "from mlflow.telemetry import get_telemetry_client; assert get_telemetry_client() is None\n"
    )
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_CURRENT_TEST")}
    env["HOME"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", code, root], cwd=tmp_path, env=env, check=True)
    assert list(tmp_path.iterdir()) == []


def test_processes_that_open_a_new_store_at_once_all_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from expressionist.tracking import store\n"
        "print(store.open_experiment(store.open_store(Path(sys.argv[1])), 'toy').id)"
    )
    command = [sys.executable, "-c", code, tmp_path]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120)[0] for process in processes]
    assert answers == ["1\n"] * 2


def test_a_path_that_cannot_stand_in_a_uri_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"has # %\. Rename"):
        open_store(tmp_path / "50%#")


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 20], ids=["empty", "none"])
def test_what_is_no_database_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(RegistryError, match=r"must be a database of MLflow, but .*mlflow\.db is none"):
        prepare(tmp_path)
    assert (tmp_path / "mlflow.db").read_bytes() == content


def test_an_older_database_is_backed_up_and_upgraded(root: Path, tmp_path: Path) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    database = tmp_path / "mlruns" / "mlflow.db"
    database.parent.mkdir()
    # As if it had been put into the place of one that was up to date.
    shutil.copyfile(root / "mlruns" / ".schema", database.with_name(".schema"))
    engine = utils.create_sqlalchemy_engine_with_retry(f"sqlite:///{database}")
    utils.InitialBase.metadata.create_all(engine)
    config = utils._get_alembic_config(str(engine.url))
    script = ScriptDirectory.from_config(config)
    before = script.get_revision(script.get_current_head()).down_revision
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, before)
    engine.dispose()
    assert open_experiment(open_store(tmp_path), "toy").name == "toy"
    with sqlite3.connect(f"{database}.of-{before}") as backup:
        assert backup.execute("SELECT version_num FROM alembic_version").fetchall() == [(before,)]


def test_a_deleted_experiment_is_restored(experiment: Experiment) -> None:
    experiment.client.delete_experiment(experiment.id)
    assert open_experiment(experiment.store, experiment.name) == experiment
    assert experiment.client.get_experiment(experiment.id).lifecycle_stage == "active"


def test_trials_hang_below_their_search(published: tuple[Experiment, str]) -> None:
    experiment, parent = published
    trials = runs_of(experiment, f"tags.mlflow.parentRunId = '{parent}'")
    states = {run.data.tags["trial.state"]: run.info.status for run in trials}
    assert states == {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
    found = experiment.client.get_run(parent)
    assert (found.info.status, found.data.metrics["validation_f1_macro"]) == ("FINISHED", 0.4)


def test_a_trial_shows_depth_sizes_scores_and_epochs(published: tuple[Experiment, str]) -> None:
    experiment, _ = published
    (run,) = runs_of(experiment, "tags.`trial.number` = '0'")
    assert run.info.run_name == "resnet50 · depth 0 · trial 0 · RANDOM weights · SYNTHETIC"
    assert run.data.params == {"backbone": "resnet50", "depth": "0", "dropout": "0.5"}
    # The scores are those of the last epoch, not of the best one.
    expected = {"validation_f1_macro": 0.4, "n_unfrozen_layers": 0, "seconds": 2}
    assert expected.items() <= run.data.metrics.items()
    epochs = experiment.client.get_metric_history(run.info.run_id, "epoch/loss")
    assert [(point.step, point.value) for point in epochs] == [(1, 2.0), (2, 1.0), (3, 0.5)]
    # Measured: 0.3 s from the first to the second, 0.5 s more to the third, with which the trial ends.
    assert [run.info.end_time - point.timestamp for point in epochs] == [800, 500, 0]
    assert run.info.start_time < epochs[0].timestamp
    expected = {"git_commit": "c0ffee", "synthetic": "SYNTHETIC", "weights": "RANDOM", "kind": "trial"}
    assert (expected | TAGS).items() <= run.data.tags.items()
    assert run.inputs.dataset_inputs[0].dataset.digest == SEARCH["digests"]["images"]


def test_publishing_again_adds_only_what_is_missing(experiment: Experiment) -> None:
    running = {name: value for name, value in SEARCH.items() if name not in ("trials", "best")}
    first = publish_trial(experiment, running, SEARCH["trials"][0], provenance={})
    (parent,) = runs_of(experiment, "tags.kind = 'search'")
    assert parent.info.status == "RUNNING"
    assert publish_search(experiment, SEARCH, provenance={}) == parent.info.run_id
    ids = {run.info.run_id for run in runs_of(experiment)}
    assert len(ids) == 4
    assert first in ids
    publish_search(experiment, SEARCH, provenance={})
    assert {run.info.run_id for run in runs_of(experiment)} == ids
    experiment.client.delete_run(first)
    publish_search(experiment, SEARCH, provenance={})
    assert len(runs_of(experiment)) == 4


def test_a_run_that_was_cut_off_is_completed(experiment: Experiment) -> None:
    run = publish_trial(experiment, SEARCH, SEARCH["trials"][0], provenance={})
    experiment.client.update_run(run, status="RUNNING")
    assert publish_trial(experiment, SEARCH, SEARCH["trials"][0], provenance={}) == run
    assert experiment.client.get_run(run).info.status == "FINISHED"
    assert len(experiment.client.get_metric_history(run, "epoch/loss")) == 3


def test_trainings_and_baselines_stand_side_by_side(experiment: Experiment, tmp_path: Path) -> None:
    (tmp_path / "confusion.png").write_bytes(b"png")
    (tmp_path / "curves").mkdir()
    (tmp_path / "curves" / "loss.tsv").write_text("1")
    files = [tmp_path / "confusion.png", tmp_path / "curves"]
    run = publish_training(experiment, TRAINING, METRICS, key="m", files=files, **FACTS)
    scores = {"accuracy": 0.95, "f1_macro": 0.9}
    facts: dict[str, Any] = {**FACTS, "choice": {"C": 1.0}, "synthetic": True, "seconds": 0.0}
    other = publish_baseline(experiment, "linear_svm", scores, key="b", **facts)
    # The filter and the order that the note on the experiment recommends.
    order = ["metrics.f1_macro DESC"]
    rows = experiment.client.search_runs([experiment.id], "metrics.accuracy >= 0", order_by=order)
    found = [(row.info.run_id, row.data.params["model"]) for row in rows]
    assert found == [(other, "linear_svm"), (run, "resnet50")]
    for row in rows:
        shared = {"cohort.source": "table", "cohort.table.unit": "TPM"}
        assert shared.items() <= row.data.params.items()
        assert TAGS.items() <= row.data.tags.items()
    data = rows[1].data
    # What the training says of itself, such as its head, stands above what was asked for.
    own = {"backbone": "resnet50", "depth": "2", "unfrozen_layers": "a, b", "head": "flatten"}
    assert own.items() <= data.params.items()
    expected = {"accuracy": 0.9, "accuracy_low": 0.85, "accuracy_high": 0.95, "validation_accuracy": 0.7}
    assert expected.items() <= data.metrics.items()
    assert "validation_f1_macro" not in data.metrics
    assert {file.path for file in experiment.client.list_artifacts(run)} == {"confusion.png", "curves"}
    digest = f"dataset.digest = '{DATASET.digest}'"
    assert len(experiment.client.search_runs([experiment.id], digest)) == 2
    assert publish_training(experiment, TRAINING, METRICS, key="m", **FACTS) == run
    assert publish_training(experiment, TRAINING, METRICS, key="n", **FACTS) != run


def test_epochs_of_before_a_run_was_gone_on_with_lie_at_its_beginning(experiment: Experiment) -> None:
    history = [{"epoch": 1, "loss": 2.0, "seconds": 1.0}, {"epoch": 2, "loss": 1.0, "seconds": 9.0}]
    training = {**TRAINING, "history": history}
    again = publish_training(experiment, training, METRICS, key="gone on", **FACTS)
    epochs = experiment.client.get_metric_history(again, "epoch/loss")
    info = experiment.client.get_run(again).info
    assert [point.timestamp for point in epochs] == [info.start_time, info.end_time]


def test_a_run_that_has_ended_takes_more_scores_and_shows_those_of_most(experiment: Experiment) -> None:
    run = publish_training(experiment, TRAINING, METRICS, key="s", **FACTS)
    before = experiment.client.get_run(run).info
    for n_splits, mean in ((5, 0.9), (10, 0.8), (5, 0.9)):
        add_metrics(experiment, run, {"accuracy_mean": mean, "depth": float("nan")}, n_splits)
    found = experiment.client.get_run(run)
    assert found.data.metrics["accuracy_mean"] == 0.8
    assert "depth" not in found.data.metrics
    assert (found.info.status, found.info.end_time) == (before.status, before.end_time)
    assert len(experiment.client.get_metric_history(run, "accuracy_mean")) == 2


def test_provenance_names_commit_and_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "tune")
    monkeypatch.setenv("DVC_EXP_NAME", "")
    monkeypatch.setenv("LOGNAME", "ann")
    found = read_provenance(tmp_path)
    versions = {f"environment.{name}" for name in ("expressionist", "python", "tensorflow", "keras")}
    assert set(found) == {"DVC_STAGE", "mlflow.user", "package", *versions}
    assert (found["DVC_STAGE"], found["mlflow.user"]) == ("tune", "ann")
    (tmp_path / "requirements.lock").write_text("keras==3\n")
    assert read_provenance(tmp_path)["environment.lock"] == md5(tmp_path / "requirements.lock")
    monkeypatch.delenv("DVC_STAGE")
    assert read_provenance(tmp_path)["DVC_STAGE"].startswith("none: run outside DVC")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "dvc.yaml").write_text("a")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *arguments], check=True)
    clean = read_provenance(tmp_path)
    assert len(clean["git_commit"]) == 40
    assert clean["git_dirty"] == "false"
    (tmp_path / "dvc.yaml").write_text("b")
    assert read_provenance(tmp_path)["git_dirty"] == "true"


def contender(version: str, **changes: Any) -> Candidate:
    facts = {"accuracy": 0.9, "f1_macro": 0.8, "dataset": "d", "split": "s"}
    return Candidate(**{"version": version, **facts, "synthetic": "no", "weights": "imagenet", **changes})


@pytest.mark.parametrize(
    ("challenger", "present", "passed", "reason"),
    [
        ({}, None, True, "accuracy is 0.9000, at least 0.8000."),
        ({"accuracy": 0.79}, None, False, "accuracy is 0.7900, below 0.8000."),
        ({"f1_macro": float("nan")}, None, False, "f1_macro is nan, below 0.7000."),
        ({}, {}, True, "f1_macro beside version 1 on the same test samples is 0.8000, at least 0.8000."),
        ({"f1_macro": 0.75}, {}, False, "beside version 1 on the same test samples is 0.7500, below 0.8000."),
        ({}, {"f1_macro": float("nan")}, False, "below nan"),
        ({}, {"dataset": "e"}, False, "has another dataset, by digest:"),
        ({}, {"dataset": "e", "split": "t"}, False, "has another dataset and split, by digest:"),
        ({"synthetic": "SYNTHETIC"}, None, False, "Its samples are SYNTHETIC, and only a person"),
        ({"weights": "RANDOM"}, None, False, "Its weights are RANDOM, and only a person"),
        ({"weights": ""}, None, False, "Its weights are of unknown origin"),
        ({}, {"synthetic": "SYNTHETIC", "weights": "RANDOM"}, True, "Its weights are not RANDOM."),
    ],
)
def test_the_gate(challenger: dict, present: dict | None, passed: bool, reason: str) -> None:  # noqa: FBT001
    rival = None if present is None else contender("1", **present)
    checks = judge(contender("2", **challenger), rival, GATE)
    assert all(check.passed for check in checks) is passed
    assert reason in " ".join(check.said for check in checks)


def passes(*given: Any) -> bool:
    return all(check.passed for check in judge(*given))


def test_across_data_the_thresholds_alone_decide() -> None:
    rival, waivers = contender("1", dataset="e", f1_macro=0.99), Waivers(across_data=True)
    assert passes(contender("2"), rival, GATE, waivers)
    assert not passes(contender("2", accuracy=0.1), rival, GATE, waivers)
    assert not passes(contender("2"), contender("1", f1_macro=0.99), GATE, waivers)


def test_each_waiver_lets_through_what_it_names_and_nothing_else() -> None:
    simulated, both = {"synthetic": "SYNTHETIC"}, {"synthetic": "SYNTHETIC", "weights": "RANDOM"}
    assert passes(contender("2", **simulated), None, GATE, Waivers(synthetic=True))
    for waivers in (Waivers(synthetic=True), Waivers(random_weights=True), Waivers(across_data=True)):
        assert not passes(contender("2", **both), None, GATE, waivers)
    allowed = Waivers(synthetic=True, random_weights=True)
    assert passes(contender("2", **both), None, GATE, allowed)
    assert not passes(contender("2", **both, accuracy=0.1), None, GATE, allowed)


@pytest.fixture(scope="module")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    import keras

    from expressionist.network.layers import Temperature

    def make(seed: int) -> Path:
        folder = tmp_path_factory.mktemp("model")
        inputs = keras.Input((3,))
        layer = keras.layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(seed=seed))
        logits = Temperature(name="temperature")(layer(inputs))
        keras.Model(inputs, keras.layers.Softmax()(logits)).save(folder / "model.keras")
        genes = pd.DataFrame({"symbol": list("XYZ"), "fill": 1.0}, index=pd.Index(list("123"), name="gene"))
        return seal_network(folder, genes)

    return make


def register(experiment: Experiment, folder: Path, f1_macro: float = 0.8, **changes: Any) -> str:
    metrics = {"test": {"accuracy": 0.9, "f1_macro": f1_macro}, "validation": {}}
    run = publish_training(experiment, TRAINING, metrics, key=folder.name, **FACTS)
    tags = {"synthetic": "SYNTHETIC", "weights": "RANDOM", "cohort": "toy"}
    facts: dict[str, Any] = {"key": folder.name, "run_id": run, "digests": DIGESTS, "tags": tags}
    facts |= {"when": NOW, "card": "# A card"}
    return register_version(experiment, "tumour-type", folder, metrics=metrics["test"], **facts, **changes)


def cut_off(*_: Any) -> None:
    raise KeyboardInterrupt


TABLE = pd.DataFrame({"sample": ["a", "b"], "Z": [3.0, 1.0], "1": [0.5, 2.0], "2": [1.0, 1.0]})
EXPRESSION = np.float32([[0.5, 1.0, 3.0], [2.0, 1.0, 1.0]])


@pytest.mark.timeout(300)
def test_the_life_of_a_model(tmp_path: Path, root: Path, make_model: Callable[[int], Path]) -> None:
    """Register, gate, promote, serve as JSON, serve without the package, move the checkout, go on."""
    shutil.copytree(root / "mlruns", tmp_path / "old" / "mlruns")
    store = open_store(tmp_path / "old")
    experiment = open_experiment(store, "toy")
    before = os.environ.get("MLFLOW_TRACKING_URI")

    with pytest.raises(RegistryError, match="tumour-type must be registered"):
        promote(store, "tumour-type", gate=GATE, who="me", when=NOW)
    report, attributions = tmp_path / "report.html", tmp_path / "attributions"
    report.write_text("<html></html>")
    attributions.mkdir()
    (attributions / "top_genes.tsv").write_text("gene")
    folders = [make_model(seed) for seed in range(2)]
    # Cut off before there is a version: the next one starts anew, and what was left goes.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("expressionist.tracking.registry._create_version", cut_off)
        with pytest.raises(KeyboardInterrupt):
            register(experiment, folders[0], artifacts=[report, attributions])
    assert register(experiment, folders[0], artifacts=[report, attributions]) == "1"
    assert register(experiment, folders[0]) == "1"

    version = store.client.get_model_version("tumour-type", "1")
    model_id = version.source.removeprefix("models:/")
    assert [each.model_id for each in store.client.search_logged_models([experiment.id])] == [model_id]
    assert [path.name for path in (tmp_path / "old/mlruns/artifacts/toy/models").iterdir()] == [model_id]
    shown = {file.path for file in store.client.list_logged_model_artifacts(model_id)}
    assert {"report.html", "attributions", "MLmodel"} <= shown
    hung = {file.path for file in store.client.list_artifacts(version.run_id)}
    assert {"report.html", "attributions"} <= hung
    scores = {
        (each.key, each.value, each.dataset_digest)
        for each in store.client.get_logged_model(model_id).metrics
    }
    assert scores == {("accuracy", 0.9, DATASET.digest), ("f1_macro", 0.8, DATASET.digest)}

    # Its tags say that it is neither, which anybody may write there.
    for tag, value in (("synthetic", "no"), ("weights", "imagenet")):
        store.client.set_model_version_tag("tumour-type", "1", tag, value)
    refused = promote(store, "tumour-type", gate=GATE, who="me", when=NOW)
    assert not refused.passed
    assert [(check.what, check.found) for check in refused.checks if not check.passed] == [
        ("samples", "SYNTHETIC"),
        ("weights", "RANDOM"),
    ]
    allowed = Waivers(synthetic=True, random_weights=True)
    first = promote(store, "tumour-type", gate=GATE, who="me", when=NOW, waivers=allowed)
    assert (first.passed, first.version, first.from_version) == (True, "1", None)
    assert promote(store, "tumour-type", gate=GATE, who="me", when=NOW).checks == ()
    assert register(experiment, folders[1], f1_macro=0.75) == "2"
    second = promote(store, "tumour-type", gate=GATE, who="you", when=NOW, waivers=allowed)
    assert not second.passed
    versions = list_versions(store, "tumour-type").set_index("version")
    assert versions["aliases"].to_dict() == {1: "staging", 2: "challenger"}
    assert versions["f1_macro"].to_dict() == {1: 0.8, 2: 0.75}
    tags = [store.client.get_model_version("tumour-type", number).tags for number in "12"]
    by = {"promoted_by": "me", "promoted_at": "2026-01-02T00:00:00+00:00", "promoted_from": "none"}
    by |= {"promoted_synthetic": "true", "promoted_random_weights": "true", "promoted_across_data": "false"}
    assert {**by, "validation_status": "passed"}.items() <= tags[0].items()
    assert tags[1]["validation_status"] == "failed"
    assert "0.7500, below 0.8000" in tags[1]["validation_reasons"]
    assert "promoted_by" not in tags[1]

    import keras

    expected = keras.saving.load_model(folders[0] / "model.keras").predict(EXPRESSION, verbose=0)
    predicted = predict_with(store, "models:/tumour-type@staging", TABLE)
    np.testing.assert_allclose(predicted[["p_A", "p_B"]], expected, rtol=1e-6)
    assert predicted["sample"].tolist() == ["a", "b"]
    # As a server is asked, through MLflow alone.
    distant = Store(store.uri, None)
    pd.testing.assert_frame_equal(list_versions(distant, "tumour-type"), versions.reset_index())
    pd.testing.assert_frame_equal(predict_with(distant, "models:/tumour-type@staging", TABLE), predicted)
    with pytest.raises(RegistryError, match="must be in the registry"):
        predict_with(distant, "models:/tumour-type@production", TABLE)
    with pytest.raises(RegistryError, match="2 are missing"):
        predict_with(store, "models:/tumour-type@staging", TABLE[["sample", "Z"]])
    with pytest.raises(RegistryError, match="must be in the registry"):
        predict_with(store, "models:/tumour-type@production", TABLE)
    assert os.environ.get("MLFLOW_TRACKING_URI") == before

    moved = (tmp_path / "old").rename(tmp_path / "moved")
    store = open_store(moved)
    predicted = predict_with(store, "models:/tumour-type@staging", TABLE)
    np.testing.assert_allclose(predicted[["p_A", "p_B"]], expected, rtol=1e-6)
    experiment = open_experiment(store, "toy")
    run = publish_training(experiment, TRAINING, METRICS, key="new", files=[report], **FACTS)
    assert len(store.client.list_artifacts(run)) == 1
    assert len(store.client.list_artifacts(version.run_id)) == 2
    assert register(experiment, folders[0]) == "1"
    assert not (tmp_path / "old").exists()
    location = store.client.get_logged_model(model_id).artifact_location
    assert location.startswith(f"{moved}/")
    check_scoring_server(location, expected)
    check_without_the_package(location, tmp_path, expected)


def check_scoring_server(location: str, expected: np.ndarray) -> None:
    # What `mlflow models serve` does with a request, without the ten seconds of starting a server.
    import mlflow
    from mlflow.pyfunc.scoring_server import invocations

    model = mlflow.pyfunc.load_model(location)
    told = mlflow.models.infer_signature(TABLE, model.predict(TABLE)).outputs
    assert model.metadata.signature.outputs == mlflow.types.Schema(
        [mlflow.types.ColSpec(each.type, each.name) for each in told]
    )
    assert (Path(location) / model.metadata.metadata["genes"]).is_file()
    assert (Path(location) / "MLmodel").stat().st_size < 4000
    bodies = [json.dumps({f"dataframe_{orient}": TABLE.to_dict(orient)}) for orient in ("split", "records")]
    for body in (*bodies, mlflow.models.convert_input_example_to_serving_input(TABLE)):
        answer = invocations(body, "application/json", model, model.metadata.get_input_schema())
        rows = pd.DataFrame(json.loads(answer.response)["predictions"])
        assert rows["sample"].tolist() == ["a", "b"]
        np.testing.assert_allclose(rows[["p_A", "p_B"]], expected, rtol=1e-5)
    lacking = json.dumps({"dataframe_split": TABLE[["sample", "Z"]].to_dict(orient="split")})
    with pytest.raises(mlflow.exceptions.MlflowException, match="^A table may lack 1 of the model's 3 genes"):
        invocations(lacking, "application/json", model, None)


def check_without_the_package(location: str, folder: Path, expected: np.ndarray) -> None:
    code = (
        "import sys, importlib.util\n"
        "sys.path = [path for path in sys.path if not path.rstrip('/').endswith('/src')]\n"
        "sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder)]\n"
        "assert getattr(importlib.util.find_spec('expressionist'), 'loader', None) is None\n"
        "import mlflow, pandas as pd\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "print(model.predict(pd.read_json(sys.argv[2])).to_json())\n"
        "import expressionist; assert sys.argv[1] in expressionist.__file__, expressionist.__file__\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    TABLE.to_json(folder / "table.json")
    environment = {**os.environ, "PYTHONPATH": "", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", code, location, folder / "table.json"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    rows = pd.DataFrame(json.loads(answer.stdout.splitlines()[0]))
    np.testing.assert_allclose(rows[["p_A", "p_B"]], expected, rtol=1e-5)
    assert "'anndata'" not in answer.stdout
    assert "'optuna'" not in answer.stdout


def test_versions_that_were_registered_otherwise_are_refused(tmp_path: Path, root: Path) -> None:
    """By hand, from any folder: without scores, tags, or what a model of ours consists of."""
    shutil.copytree(root, tmp_path / "store")
    store, name = open_store(tmp_path / "store"), "foreign"
    files = tmp_path / "files" / "artifacts" / "model"
    files.mkdir(parents=True)
    store.client.create_registered_model(name)
    version = store.client.create_model_version(name, str(tmp_path / "files")).version
    store.client.set_registered_model_alias(name, "challenger", version)
    gate = GateParams(0.5, 0.5, 0.0)
    with pytest.raises(RegistryError, match="must be a version of the stage register, but got version 1"):
        promote(store, name, gate=gate, who="me", when=datetime.now(UTC))
    model = f"models:/{name}@challenger"
    with pytest.raises(RegistryError, match="as the stage register leaves them, but do not"):
        find_version(store, model)
    (files / "model.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RegistryError, match="must have digests.json, to show that it is unchanged"):
        load_model(find_version(store, model).folder)
