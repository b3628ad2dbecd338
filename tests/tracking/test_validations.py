"""Validations on other cohorts: published once, told by the version, and read by the gate."""

from pathlib import Path

import pytest

from expressionist.params.sections import GateParams
from expressionist.tracking.catalogue import Version
from expressionist.tracking.gate import Candidate, Validation, judge
from expressionist.tracking.runs import Dataset
from expressionist.tracking.store import Store, open_experiment, open_store
from expressionist.tracking.validations import publish_validation, read_validations

GATE = GateParams(0.8, 0.7, 0.0, external={"accuracy": 0.8, "f1_macro": 0.5})
GOOD = Validation("good", {"accuracy": 0.8, "f1_macro": 0.6, "n_trained": 0})


def ask(*validations: Validation) -> tuple[bool, str]:
    candidate = Candidate("2", 0.9, 0.8, "d", "s", "no", "imagenet", validations)
    checks = judge(candidate, None, GATE)
    return all(check.passed for check in checks), " ".join(check.said for check in checks[4:])


@pytest.mark.parametrize(
    ("validations", "passed", "reason"),
    [
        ((), False, "it was validated on no other cohort. See `expressionist validate`."),
        ((GOOD,), True, "accuracy on good is 0.8000, at least 0.8000. f1_macro on good is 0.6000, at least"),
        (
            (Validation("x", {**GOOD.scores, "accuracy": 0.79}),),
            False,
            "accuracy on x is 0.7900, below 0.8000.",
        ),
        ((Validation("x", {"n_trained": 0}),), False, "accuracy on x is nan, below 0.8000."),
        ((Validation("x", {**GOOD.scores, "n_trained": 3}),), False, "3 samples of x are of patients who"),
        ((Validation("x", {"accuracy": 0.99, "f1_macro": 0.6}),), False, "nan samples of x are of patients"),
        ((Validation("x", {"accuracy": 0.1}), GOOD), True, "on good is"),
        # Each score on another cohort is not all of them on one.
        (
            (
                Validation("x", {"accuracy": 0.9, "f1_macro": 0.4, "n_trained": 0}),
                Validation("y", {"accuracy": 0.7, "f1_macro": 0.9, "n_trained": 0}),
            ),
            False,
            "f1_macro on x is 0.4000, below 0.5000.",
        ),
    ],
)
def test_the_gate_asks_for_all_scores_on_one_other_cohort(
    validations: tuple[Validation, ...], *, passed: bool, reason: str
) -> None:
    answer, reasons = ask(*validations)
    assert answer is passed
    assert reason in reasons


def test_nothing_is_asked_where_the_gate_says_nothing() -> None:
    candidate = Candidate("2", 0.9, 0.8, "d", "s", "no", "imagenet")
    checks = judge(candidate, None, GateParams(0.8, 0.7, 0.0))
    assert [check.what for check in checks] == ["samples", "weights", "accuracy", "f1_macro"]
    assert all(check.passed for check in checks)


@pytest.mark.parametrize(
    ("found", "passed", "reason"),
    [
        ({"gap_p95": 0.02, "shared_halves": 0.6}, True, "gap_p95 is 0.0200, at most 0.0500."),
        ({"gap_p95": 0.06, "shared_halves": 0.6}, False, "gap_p95 is 0.0600, not at most 0.0500."),
        ({"gap_p95": 0.02, "shared_halves": 0.4}, False, "shared_halves is 0.4000, below 0.5000."),
        ({"shared_halves": 0.6}, False, "gap_p95 is nan, not at most 0.0500."),
    ],
)
def test_the_gate_asks_for_completeness_and_stability(
    found: dict[str, float], *, passed: bool, reason: str
) -> None:
    candidate = Candidate("2", 0.9, 0.8, "d", "s", "no", "imagenet", explanation=found)
    gate = GateParams(0.8, 0.7, 0.0, explanation={"gap_p95": 0.05, "shared_halves": 0.5})
    checks = judge(candidate, None, gate)
    assert all(check.passed for check in checks) is passed
    assert reason in " ".join(check.said for check in checks)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def versions(store: Store, tmp_path_factory: pytest.TempPathFactory) -> list[Version]:
    """Two versions without any files."""
    experiment, client = open_experiment(store, "toy"), store.client
    client.create_registered_model("tumour-type")
    # MLflow looks the model up wherever its module-level functions point.
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    made = []
    for _ in range(2):
        run = client.create_run(experiment.id).info.run_id
        model = client.create_logged_model(experiment.id, "tumour-type", source_run_id=run)
        client.finalize_logged_model(model.model_id, "READY")
        version = client.create_model_version(
            "tumour-type", f"models:/{model.model_id}", run, model_id=model.model_id
        )
        made.append(Version("tumour-type", str(version.version), tmp_path_factory.mktemp("files")))
    monkeypatch.undo()
    return made


def publish(store: Store, version: Version, file: Path, key: str = "k", **scores: float) -> str:
    return publish_validation(
        store,
        version,
        cohort="toy",
        key=key,
        dataset=Dataset("hospital", "0123456789abcdef", "hospital.tsv"),
        params={"align": "none", "evaluation": {"level": 0.95}},
        metrics={"accuracy": 0.9, "f1_macro": 0.8, "n_known": 7, "n_samples": 9, "n_trained": 0, **scores},
        tags={"synthetic": "no"},
        files=[file],
    )


def test_a_validation_is_a_run_that_the_version_tells_and_the_gate_reads(
    store: Store, versions: list[Version], tmp_path: Path
) -> None:
    page = tmp_path / "validation.html"
    page.write_text("<p>", encoding="utf-8")
    run_id = publish(store, versions[0], page)
    run = store.client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("validate hospital", "FINISHED")
    assert run.data.metrics["external_accuracy"] == 0.9
    assert run.data.params == {"align": "none", "evaluation.level": "0.95"}
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("hospital", "0123456789abcdef")
    assert [tag.value for tag in dataset.tags] == ["validation"]
    assert [item.path for item in store.client.list_artifacts(run_id)] == ["validation.html"]
    told = store.client.get_model_version("tumour-type", versions[0].number).tags["external.0123456789ab"]
    assert told == f"hospital: accuracy 0.900, macro-F1 0.800 on 7 samples of known types (run {run_id})"
    (found,) = read_validations(store.client, "tumour-type", versions[0].number)
    assert found.cohort == "hospital"
    assert found.scores["accuracy"] == 0.9
    assert found.scores["n_trained"] == 0


def test_publishing_again_changes_nothing_and_another_key_is_another_run(
    store: Store, versions: list[Version], tmp_path: Path
) -> None:
    page = tmp_path / "validation.html"
    page.write_text("<p>", encoding="utf-8")
    first = publish(store, versions[1], page, accuracy=0.3)
    assert publish(store, versions[1], page, accuracy=0.5) == first
    assert publish(store, versions[1], page, key="other", accuracy=0.7) != first
    found = read_validations(store.client, "tumour-type", versions[1].number)
    assert sorted(each.scores["accuracy"] for each in found) == [0.3, 0.7]


def test_a_run_that_only_says_that_it_is_of_the_version_does_not_count(
    store: Store, versions: list[Version]
) -> None:
    before = read_validations(store.client, "tumour-type", versions[0].number)
    experiment = open_experiment(store, "toy")
    tags = {"kind": "validation", "model": f"models:/tumour-type/{versions[0].number}"}
    run = store.client.create_run(experiment.id, tags=tags).info.run_id
    store.client.log_metric(run, "external_accuracy", 1.0)
    store.client.set_terminated(run)
    assert read_validations(store.client, "tumour-type", versions[0].number) == before
