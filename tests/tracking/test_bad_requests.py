"""Hundreds of requests that no model can answer: none is the server's error, or comes back in its answer."""

import asyncio
import gzip
import io
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator

import mlflow
import numpy as np
import pandas as pd
import pytest
import uvicorn
from mlflow.pyfunc import scoring_server

from expressionist.tracking import served_model
from expressionist.tracking.scoring_server import Guard
from expressionist.tracking.split_table import hasten
from small_version import seal_small_version

GENES = ["g1", "g2", "g3"]
CANARY = "PATIENT7"
GOOD = {"dataframe_split": {"columns": ["sample", *GENES], "data": [[CANARY, 12.5, 1.0, 2.0]]}}
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
LIMIT = 1


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    """The server of a small model, as MLflow loads it, behind the guard."""
    folder = seal_small_version(tmp_path_factory.mktemp("model"), GENES)
    params = mlflow.types.ParamSchema(
        [mlflow.types.ParamSpec("explain", mlflow.types.DataType.boolean, default=False)]
    )
    saved = tmp_path_factory.mktemp("saved") / "model"
    mlflow.pyfunc.save_model(
        saved,
        python_model=served_model.__file__,
        artifacts={"model": str(folder)},
        signature=mlflow.models.ModelSignature(params=params),
        model_config={"output": "table"},
        pip_requirements=[],
    )
    loaded = mlflow.pyfunc.load_model(str(saved))
    return Guard(hasten(scoring_server.init(loaded), loaded), LIMIT)


def post(
    app: Guard, body: bytes, *headers: tuple[bytes, bytes], path: str = "/invocations"
) -> tuple[int, bytes]:
    """Send a request as uvicorn does, and return status and answer."""
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "root_path": ""}
    scope |= {"headers": list(headers), "http_version": "1.1", "scheme": "http"}
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


def encode(table: pd.DataFrame, kind: str) -> bytes:
    if kind == CSV:
        return table.to_csv(index=False).encode()
    if kind == JSON:
        return json.dumps({"dataframe_split": table.to_dict("split")}, default=str).encode()
    stream = io.BytesIO()
    table.to_parquet(stream)
    return stream.getvalue()


def list_tables() -> Iterator[tuple[bytes, str]]:
    """Tables that can be read, and are no expression of the model's genes."""
    row = {"sample": CANARY, "g1": 1234.5, "g2": 1.0, "g3": 2.0}
    cells = (
        -1234.5,
        float("inf"),
        -float("inf"),
        1e39,
        1e308,
        "text",
        "1,5",
        "",
        "=1+1",
        "<b>",
        "1234.5x",
        "\u0661x",
    )
    cells += (CANARY, "0x1F", "1_0", "--1", "1e", "\U0001f9ec", "\u202e1")
    for kind in (JSON, CSV, PARQUET):
        for cell in cells:
            table = pd.DataFrame([row, {**row, "g1": cell}])
            if not (kind == PARQUET and isinstance(cell, str)) and cell != "":
                yield encode(table, kind), kind
            if isinstance(cell, str) and cell:
                yield encode(pd.DataFrame([{**row, "g1": cell}]), kind), kind
        for lost in (["g1", "g2"], ["g1", "g2", "g3"], ["sample", "g2", "g3"]):
            yield encode(pd.DataFrame([row]).drop(columns=lost), kind), kind
        yield encode(pd.DataFrame([row]).iloc[:0], kind), kind
        yield (
            encode(
                pd.DataFrame([row]).rename(columns={"g1": "<b>", "g2": "\x1b[31m", "g3": "x" * 9999}), kind
            ),
            kind,
        )
    for nested in ([1234.5], {"a": 1234.5}, True, [[]], [None]):
        for cell in ([row | {"g1": nested}], [row | {"g1": nested, "g2": nested}]):
            yield json.dumps({"dataframe_records": cell}).encode(), JSON
    for extra in (["g1"], ["sample"], ["g1", "g2", "g3"]):
        columns = [*row, *extra]
        yield (
            json.dumps({"dataframe_split": {"columns": columns, "data": [[1234.5] * len(columns)]}}).encode(),
            JSON,
        )
        yield f"{','.join(columns)}\n{','.join(['1234.5'] * len(columns))}x\n".encode(), CSV


def list_shapes() -> Iterator[tuple[bytes, str]]:
    """JSON that is no table, or hardly JSON."""
    values = (
        None,
        0,
        -1,
        1e999,
        "",
        CANARY,
        [],
        {},
        [[]],
        [CANARY],
        {"a": CANARY},
        True,
        [[[1234.5]]],
        {"columns": []},
    )
    keys = (
        "dataframe_split",
        "dataframe_records",
        "instances",
        "inputs",
        "columns",
        "messages",
        "params",
        CANARY,
        "",
    )
    for key, value in itertools.product(keys, values):
        yield json.dumps({key: value}).encode(), JSON
    split = GOOD["dataframe_split"]
    for key, value in itertools.product(("columns", "data"), (None, 0, CANARY, [], [[]], {}, [[CANARY]])):
        yield json.dumps({"dataframe_split": {**split, key: value}}).encode(), JSON
    for params in (
        CANARY,
        [],
        1,
        {"explain": CANARY},
        {"explain": 1234.5},
        {"explain": [True]},
        {"explain": {}},
    ):
        yield json.dumps({**GOOD, "params": params}).encode(), JSON
    for both in itertools.combinations([key for key in keys if key != "dataframe_split"], 2):
        yield json.dumps(dict.fromkeys(both, split)).encode(), JSON


def list_bytes() -> Iterator[tuple[bytes, str]]:
    """What breaks off, is packed, deep, of another encoding or kind."""
    good = json.dumps(GOOD).encode()
    table = pd.DataFrame([{"sample": CANARY, "g1": 1234.5, "g2": 1.0, "g3": 2.0}])
    whole = {kind: encode(table, kind) for kind in (JSON, CSV, PARQUET)}
    for kind, body in whole.items():
        yield b"", kind
        yield b"\0" * 100, kind
        yield gzip.compress(body), kind
        yield b"\xff" + body, kind
        yield gzip.compress(b"[" * 10_000_000), kind
        yield body[: len(body) // 2], kind
        for other in set(whole) - {kind}:
            yield whole[other], kind
    for deep in (b"[", b'{"a":', b'{"dataframe_split":', b'{"dataframe_records":['):
        for n in (100, 3000, 100_000):
            yield deep * n, JSON
    yield b"[" * 900 + b"]" * 900, JSON
    yield b'{"dataframe_split": {"columns": ["g1","g2","g3"], "data": [[NaN, Infinity, -Infinity]]}}', JSON
    yield b'{"dataframe_split": {"columns": ["g1","g2","g3"], "data": [[1, 2, ' + b"9" * 5000 + b"]]}}", JSON
    yield b'{"dataframe_records": [{"sample": "\\ud800", "g1": -1}]}', JSON
    yield b'sample,g1\n"' + CANARY.encode(), CSV
    for row in (",1,2,3,4,5", ",1,2,3,", ",1,2,3,4\nS2,1,2,3", ",1,2,3\nS2,1,2,3,4", ",1,2,3\nS2,1,2,3,4,5"):
        yield f"sample,g1,g2,g3\n{CANARY}{row}\n".encode(), CSV
    many = pd.DataFrame({"g1": np.ones(LIMIT * 400_000), "g2": 1.0, "g3": 1.0})
    yield encode(many, PARQUET), PARQUET
    for kind in (
        "",
        "x",
        "text/html",
        "application/x-pickle",
        "multipart/form-data",
        "application/json; charset=latin-1",
    ):
        yield good, kind
    for kind in (f"{JSON}; {CANARY}=1", f"{JSON};charset", f"{CANARY}", "application/json, text/csv", "\0"):
        yield good, kind
    yield b" " * (LIMIT * 1_000_000) + good, JSON


REQUESTS = [*list_tables(), *list_shapes(), *list_bytes()]


def test_none_is_an_error_of_the_server_and_none_comes_back(
    app: Guard, capsys: pytest.CaptureFixture
) -> None:
    assert len(REQUESTS) > 300
    for body, kind in REQUESTS:
        status, answer = post(app, body, (b"content-type", kind.encode()))
        told = f"{kind}: {body[:200]!r} gave {status}: {answer[:200]!r}"
        assert status in (400, 413, 415), told
        assert len(json.loads(answer)["message"]) < 700, told
        for word in (CANARY, "1234.5"):
            assert word not in answer.decode(), told
    assert CANARY not in "".join(capsys.readouterr())
    assert post(app, json.dumps(GOOD).encode())[0] == 415
    status, answer = post(app, json.dumps(GOOD).encode(), (b"content-type", JSON.encode()))
    assert (status, json.loads(answer)["predictions"][0]["sample"]) == (200, CANARY)


@pytest.fixture
def address(app: Guard) -> Iterator[tuple[str, int]]:
    """The same behind a socket."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()
    finally:
        server.should_exit = True
        thread.join()


def talk(address: tuple[str, int], *parts: bytes) -> bytes:
    with socket.create_connection(address, timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b""
        while block := connection.recv(65536):
            answer += block
    return answer


def write_request(kind: str, *headers: str) -> bytes:
    lines = ["POST /invocations HTTP/1.1", "Host: x", f"Content-Type: {kind}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def test_the_socket_outlives_what_breaks_off_is_slow_huge_or_no_http(address: tuple[str, int]) -> None:
    good = json.dumps(GOOD).encode()
    whole = write_request(JSON, f"Content-Length: {len(good)}") + good
    with socket.create_connection(address) as slow, socket.create_connection(address) as cut:
        slow.sendall(whole[:-5])
        cut.sendall(whole[:-5])
        cut.close()
        block = b"8000\r\n" + b"1" * 0x8000 + b"\r\n"
        chunked = talk(address, write_request(CSV, "Transfer-Encoding: chunked"), *[block] * 40, b"0\r\n\r\n")
        assert chunked.startswith(b"HTTP/1.1 413")
        packed = gzip.compress(good)
        told = write_request(JSON, "Content-Encoding: gzip", f"Content-Length: {len(packed)}")
        assert talk(address, told, packed).startswith(b"HTTP/1.1 400")
        for broken in (b"\0" * 100, b"GET\r\n\r\n", whole.replace(b"Content-Length: ", b"Content-Length: -")):
            assert talk(address, broken + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert talk(address, whole).startswith(b"HTTP/1.1 200")
        slow.sendall(whole[-5:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
