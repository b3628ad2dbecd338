import json

import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI, Request
from mlflow.pyfunc.scoring_server import infer_and_parse_data
from starlette.responses import JSONResponse

from expressionist.tracking.split_table import hasten, read_split
from tracking.asgi import ask

ROWS = [["S1", 1.5, 2], ["S2", 0, 1e-3]]


def write(columns, data, **more):
    return json.dumps({"dataframe_split": {"columns": columns, "data": data}, **more}).encode()


@pytest.mark.parametrize("place", [0, 1, 2, None])
def test_a_table_is_that_of_mlflow(place):
    columns, rows = ["g1", "g2"], [row[1:] for row in ROWS]
    if place is not None:
        columns.insert(place, "sample")
        rows = [[*row[:place], name, *row[place:]] for row, name in zip(rows, ["S1", "S2"], strict=True)]
    body = write(columns, rows)
    expected = infer_and_parse_data(json.loads(body))
    if place is not None:
        expected = expected.set_index("sample").rename_axis(None)
    pd.testing.assert_frame_equal(read_split(body), expected.astype(float))


@pytest.mark.parametrize(
    "body",
    [
        write(["sample", "g1"], [["S1", None]]),
        write(["sample", "g1"], [["S1", "1.5"]]),
        write(["sample", "g1"], [["S1", True], ["S2", 1.5]]),
        write(["sample", "g1"], [["S1", [1.5]]]),
        write(["sample", "g1"], [["S1", float("nan")]]),
        write(["sample", "g1"], [["S1", 1.5], ["S2"]]),
        write(["sample", "g1"], [["S1", 1.5, 2.5]]),
        write(["sample", "g1"], [[1, 1.5]]),
        write(["sample", "g1"], []),
        write(["sample", "g1"], {}),
        write(["sample", 1], [["S1", 1.5]]),
        write(["sample", "sample"], [["S1", "S2"]]),
        write("sample", [["S1"]]),
        write(["g1"], [["S1"]]),
        write(["g1"], [10**30]),
        write(["g1"], [1.5], params={}),
        b'{"dataframe_split": {"columns": ["g1"], "data": [[1.5]], "index": [0]}}',
        b'{"dataframe_records": {"columns": ["g1"], "data": [[1.5]]}}',
        b'{"dataframe_split": null}',
        b"[1.5]",
        b"{",
        b"\xff",
    ],
)
def test_all_else_is_left_to_mlflow(body):
    assert read_split(body) is None


def test_what_can_be_read_fast_is_and_the_rest_goes_where_it_went():
    class Model:
        def predict(self, table):
            return pd.DataFrame({"sample": table.index, "sum": table.sum(axis=1).to_numpy()})

    app = FastAPI()

    @app.post("/invocations")
    async def slow(request: Request):
        return JSONResponse("slow")

    hasten(app, Model())
    body = write(["sample", "g1", "g2"], ROWS)
    status, found = ask(app, "/invocations", "POST", body)
    assert (status, [row["sample"] for row in found["predictions"]]) == (200, ["S1", "S2"])
    np.testing.assert_allclose([row["sum"] for row in found["predictions"]], [3.5, 1e-3])
    assert ask(app, "/invocations", "POST", b"{") == (200, "slow")
    assert ask(app, "/invocations", "POST", body, "text/csv") == (200, "slow")
