import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import invocations

from expressionist.tracking.prediction_log import name_logged, read_log
from expressionist.tracking.served_model import TumourTypeModel
from small_version import seal_small_version

GENES = ["g1", "g2", "g3"]
TABLE = pd.DataFrame([[1234.5, 1.0, 2.0], [0.5, 1.0, 3.0]], columns=GENES)
TABLE.insert(0, "sample", ["PATIENT7", "PATIENT8"])


class Loaded:
    """The model as MLflow's server has it: predict takes the table and params."""

    def __init__(self, folder: Path, output: str = "table") -> None:
        self.context = SimpleNamespace(artifacts={"model": folder}, model_config={"output": output})
        self.model = TumourTypeModel()
        self.model.load_context(self.context)
        self.metadata = SimpleNamespace()

    def predict(self, data: object, params: dict | None = None) -> object:
        return self.model.predict(self.context, data, params)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seal_small_version(tmp_path_factory.mktemp("served"), GENES)


def ask(model: Loaded, table: object) -> str:
    split = table.to_dict(orient="split") if isinstance(table, pd.DataFrame) else table
    return invocations(json.dumps({"dataframe_split": split}), "application/json", model, None).response


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (TABLE[["sample", "g1"]], "2 are missing: g2, g3"),
        (TABLE.assign(g1=["PATIENT7", 1234.5]), "be numbers.*: g1"),
        (TABLE.assign(g1=[[1234.5], 1.0]), "be numbers.*: g1"),
        (TABLE.assign(g1=-1234.5), "not be negative.*: g1"),
        (TABLE.assign(g1=float("inf")), "be finite.*: g1"),
        (TABLE.iloc[:0], "must have samples and genes"),
        (TABLE[["sample"]], "must have samples and genes"),
        ({"columns": [*GENES, "g1"], "data": [[1234.5] * 4]}, "1 have more: g1 and g1"),
        ({"columns": ["sample", "sample", *GENES], "data": [["PATIENT7"] * 2 + [1234.5] * 3]}, "got 2"),
    ],
)
def test_a_refusal_does_not_send_the_table_back(folder: Path, table: object, said: str) -> None:
    model = Loaded(folder)
    assert "PATIENT7" in ask(model, TABLE)
    with pytest.raises(MlflowException, match=said) as refused:
        ask(model, table)
    answer = refused.value.serialize_as_json()
    assert refused.value.get_http_status_code() == 400
    assert json.loads(answer)["message"] == str(refused.value)
    assert "PATIENT" not in answer
    assert "1234.5" not in answer


def test_requests_at_the_same_time_each_get_their_own_answer(folder: Path) -> None:
    model, rng = Loaded(folder), np.random.default_rng(1)
    tables = []
    for client in range(16):
        table = pd.DataFrame(rng.gamma(2, size=(5, 3)), columns=GENES)[rng.permutation(GENES)]
        tables.append(table.assign(sample=[f"{client}-{row}" for row in range(5)]))
    expected = [json.loads(ask(model, table)) for table in tables]
    assert len({json.dumps(each) for each in expected}) == len(tables)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda table: json.loads(ask(model, table)), tables * 4))
    for answer, wanted in zip(found, expected * 4, strict=True):
        rows, own = pd.DataFrame(answer["predictions"]), pd.DataFrame(wanted["predictions"])
        pd.testing.assert_frame_equal(rows, own, rtol=1e-5)


def test_what_is_no_table_is_refused_without_it(folder: Path) -> None:
    with pytest.raises(MlflowException, match="gene names, but got ndarray") as refused:
        invocations(json.dumps({"inputs": [[1234.5] * 3]}), "application/json", Loaded(folder), None)
    assert "1234.5" not in refused.value.serialize_as_json()


def test_of_the_output_that_was_asked_for_there_is_one_column(folder: Path) -> None:
    whole = Loaded(folder).predict(TABLE)
    assert Loaded(folder, "tumour_type").predict(TABLE).tolist() == whole["tumour_type"].tolist()
    with pytest.raises(mlflow.MlflowException, match="table or one of its columns, but got 'label'"):
        Loaded(folder, "label").predict(TABLE)


def test_predictions_are_logged_only_if_asked_for(folder, tmp_path, monkeypatch) -> None:
    model = Loaded(folder)
    model.predict(TABLE)
    monkeypatch.setenv("EXPRESSIONIST_PREDICTION_LOG", str(tmp_path / "log"))
    answered = model.predict(TABLE)
    log, _ = read_log(tmp_path / "log")
    assert log["probability"].tolist() == pytest.approx(answered["probability"].tolist())
    assert set(log["model"]) == {name_logged(folder)}
    with pytest.raises(MlflowException):
        model.predict(TABLE[["sample", "g1"]])
    assert len(read_log(tmp_path / "log")[0]) == 2


def test_what_cannot_be_logged_is_not_answered(folder, tmp_path, monkeypatch) -> None:
    (tmp_path / "log").write_text("a file")
    monkeypatch.setenv("EXPRESSIONIST_PREDICTION_LOG", str(tmp_path / "log"))
    with pytest.raises(MlflowException, match="log of predictions must be writable") as refusal:
        Loaded(folder).predict(TABLE)
    assert refusal.value.get_http_status_code() == 500
