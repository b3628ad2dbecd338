"""What is registered, as others use it: evaluated, asked over HTTP, exported; and a folder that changed."""

import asyncio
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from expressionist.data.cohort_file import read_cohort
from expressionist.evaluation.predictions import read_predictions
from expressionist.files.store import read_json
from expressionist.tracking.registry import find_version
from expressionist.tracking.scoring_server import make_app
from expressionist.tracking.store import open_store
from pipeline.checkout import REGISTERED

CHALLENGER = "models:/tumour-type@challenger"


@pytest.fixture(scope="module")
def trained(published):
    """Test samples and the probabilities that the trained network gave them."""
    path = published / REGISTERED / "predictions.tsv"
    rows, probabilities, _, tumour_types = read_predictions(path, "test")
    return pd.DataFrame(probabilities, index=rows.index, columns=tumour_types)


@pytest.fixture(scope="module")
def cohort(published):
    return read_cohort(published / "data/cohort/cohort.h5ad")


@pytest.fixture(scope="module")
def table(cohort, trained):
    return pd.DataFrame(cohort.expression, cohort.samples.index, cohort.genes.index).loc[trained.index]


@pytest.fixture(scope="module")
def server(published):
    """The application that `make serve` runs; MLflow's store is what it was before."""
    import mlflow

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(published)
        patch.setenv("EXPRESSIONIST_MODEL", CHALLENGER)
        patch.setenv("EXPRESSIONIST_REQUEST_MEGABYTES", "1")
        app = make_app()
        app.app.making.join()
    mlflow.set_tracking_uri(None)
    return app


def post(app, body, kind="application/json"):
    """Send a request as uvicorn does, and return status and answer."""
    scope = {"type": "http", "method": "POST", "path": "/invocations", "query_string": b"", "root_path": ""}
    scope |= {"headers": [(b"content-type", kind.encode())], "http_version": "1.1", "scheme": "http"}
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_mlflow_evaluates_the_model(published, cohort, table, tmp_path):
    import mlflow

    own = shutil.copytree(published, tmp_path / "own")
    mlflow.set_tracking_uri(open_store(own).uri)
    try:
        with mlflow.start_run(experiment_id=mlflow.create_experiment("evaluated")):
            found = mlflow.models.evaluate(
                CHALLENGER,
                table.assign(tumour_type=cohort.samples["tumour_type"]),
                targets="tumour_type",
                model_type="classifier",
                model_config={"output": "tumour_type"},
            )
    finally:
        mlflow.set_tracking_uri(None)
    expected = read_json(published / REGISTERED / "metrics.json")["test"]["accuracy"]
    assert found.metrics["accuracy_score"] == pytest.approx(expected)


def test_the_server_answers_as_the_network_does(server, table, trained):
    status, answer = post(server, table.rename_axis("sample").to_csv().encode(), "text/csv")
    assert status == 200
    rows = pd.DataFrame(answer["predictions"])
    assert rows["sample"].tolist() == trained.index.tolist()
    np.testing.assert_allclose(rows[[f"p_{name}" for name in trained]], trained, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{PATIENT7: 1234.5", "application/json", 400),
        (b'"PATIENT7"', "application/json", 400),
        (b'{"PATIENT7": 1234.5}', "application/json", 400),
        (b'{"dataframe_records": [["PATIENT7", 1234.5]]}', "application/json", 400),
        (b'{"dataframe_split": {"columns": ["a"], "data": [["PATIENT7", 1234.5]]}}', "application/json", 400),
        (b'{"inputs": [["PATIENT7", 1234.5]]}', "application/json", 400),
        (b'{"messages": [{"role": "user", "content": "PATIENT7"}]}', "application/json", 400),
        (b'{"dataframe_records": [{"a": 1}], "params": {"explain": "PATIENT7"}}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff\xfePATIENT7", "text/csv", 400),
        (b"sample,TP53\nPATIENT7,1234.5,1,2\n", "text/csv", 400),
        (b"PAR1PATIENT7", "application/vnd.apache.parquet", 400),
        (b"PATIENT7", "text/html", 415),
        (b"PATIENT7" * 200_000, "text/csv", 413),
    ],
)
def test_a_bad_request_is_told_so_and_nothing_of_it(server, body, kind, status):
    found, answer = post(server, body, kind)
    assert (found, list(answer)) == (status, ["message"])
    assert "PATIENT7" not in answer["message"]
    assert "1234.5" not in answer["message"]


def test_an_export_gives_what_the_network_gave(published, table, trained, tmp_path, call):
    import tensorflow as tf

    code, printed, _ = call(published, "export", CHALLENGER, tmp_path / "exported")
    assert (code, printed.count("\n")) == (0, 1)
    genes = pd.read_csv(tmp_path / "exported/genes.tsv", sep="\t", dtype={"gene": str})["gene"]
    assert read_json(tmp_path / "exported/about.json")["tumour_types"] == list(trained)
    loaded = tf.saved_model.load(tmp_path / "exported")
    found = loaded.serve(table[genes].to_numpy(np.float32))
    np.testing.assert_allclose(found, trained, atol=1e-5)


def test_another_versions_folder_in_its_place_is_refused(published, table, tmp_path, call):
    own = shutil.copytree(published, tmp_path / "own")
    folder = find_version(open_store(own), CHALLENGER).folder
    table.head(2).to_csv(tmp_path / "two.tsv", sep="\t")
    (folder / "genes.tsv").write_text((folder / "genes.tsv").read_text().replace("\t0", "\t1", 1))
    code, _, said = call(own, "predict", "--model", CHALLENGER, tmp_path / "two.tsv")
    assert (code, said.count("\n")) == (2, 1)
    assert "but genes.tsv in" in said
    # Whole in itself, but not what was registered.
    digests = read_json(folder / "digests.json")
    (folder / "digests.json").write_text(json.dumps({**digests, "another.txt": "0"}))
    code, _, said = call(own, "predict", "--model", CHALLENGER, tmp_path / "two.tsv")
    assert (code, said.count("\n")) == (2, 1)
    assert "digests.json must be the one that was registered" in said
