"""MLflow's scoring server for one registered model, behind a guard: no table too large, none sent back."""

import json
import os
import sys
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from expressionist.errors import Refusal
from expressionist.tracking.model_folder import check_seal
from expressionist.tracking.readiness import NOT_READY, Readiness
from expressionist.tracking.registry import find_version
from expressionist.tracking.sent_table import refuse_misread
from expressionist.tracking.serving import predict
from expressionist.tracking.store import Store, find_store, import_mlflow

_MEGABYTE = 1_000_000
_SAID = {
    413: "A table must fit into {limit} MB, but this one is larger. Send fewer samples at a time.",
    415: "A table must come as application/json, text/csv or application/vnd.apache.parquet, in UTF-8.",
    503: NOT_READY,
    504: "A table must be answered within MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT. Send fewer samples.",
}
_SAID_OTHERWISE = (
    "A request must hold a table of samples × genes that can be read: JSON with one of dataframe_split and "
    "dataframe_records, a CSV or a Parquet file, with params of their kind. See docs/serving.md."
)


class Guard:
    """Stand before the scoring server: refuse what is too large, and keep refusals free of what was sent."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        body = await _read(receive, self.limit * _MEGABYTE)
        if body is None:
            status, answer = 413, b""
        else:
            status, answer = await _ask(self.app, scope, body, self.limit * _MEGABYTE)
        if status >= 400:
            answer = json.dumps({"message": self._say(status, answer)}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _say(self, status: int, answer: bytes) -> str:
        """Keep what a refusal of the model says; MLflow's own words may hold parts of the table."""
        try:
            told = json.loads(answer)
        except ValueError:
            told = None
        if isinstance(told, dict) and told.get("refused") is True:
            return str(told["message"])
        return _SAID.get(status, _SAID_OTHERWISE).format(limit=self.limit)


async def _read(receive: Receive, most: int) -> bytes | None:
    """Read a request to its end; None if it is larger than so many bytes."""
    body, size, more = bytearray(), 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        # The rest is taken, and let go: who is cut off while sending does not read why.
        if size <= most:
            body += part
        more = message.get("more_body", False)
    return bytes(body) if size <= most else None


async def _ask(app: ASGIApp, scope: Scope, body: bytes, most: int) -> tuple[int, bytes]:
    """Give an application a request, and return its status and answer."""
    kind = dict(scope.get("headers", ())).get(b"content-type")
    if kind is None:
        return 415, b""
    try:
        refuse_misread(body, kind.decode("latin-1").strip().lower(), most)
    except Refusal as refusal:
        return 400, json.dumps({"message": str(refusal), "refused": True}).encode()
    status = 500
    parts: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except (RecursionError, ValueError):  # JSON nested a thousandfold, or with a number of 5,000 digits
        return 400, b""
    return status, b"".join(parts)


def make_app() -> Guard:
    """Make what uvicorn serves: the version that EXPRESSIONIST_MODEL names, of the store that is set up.

    A request may have EXPRESSIONIST_REQUEST_MEGABYTES, 100 if that is not said.
    """
    try:
        store = find_store(Path(), os.environ.get("MLFLOW_TRACKING_URI"))
        version = find_version(store, os.environ["EXPRESSIONIST_MODEL"])
        check_seal(version.folder)
    except Refusal as refusal:
        sys.exit(f"expressionist: {refusal}")
    # Not the alias, which may be moved while the model is loaded.
    model = f"models:/{version.name}/{version.number}"
    limit = int(os.environ.get("EXPRESSIONIST_REQUEST_MEGABYTES", "100"))
    return Guard(Readiness(lambda: _load(store, model), model), limit)


def _load(store: Store, model: str) -> ASGIApp:
    """Make MLflow's server for a model that has predicted once: the first time takes seconds."""
    mlflow = import_mlflow()
    from mlflow.pyfunc import scoring_server

    from expressionist.tracking.split_table import hasten

    mlflow.set_tracking_uri(store.uri)
    loaded = mlflow.pyfunc.load_model(model)
    served, network, novelty = loaded.unwrap_python_model().model
    predict(served, network, novelty, served.genes[["fill"]].T)
    app: ASGIApp = hasten(scoring_server.init(loaded), loaded)
    return app
