import asyncio
import os
import signal
import threading

import pytest
from starlette.responses import JSONResponse

from expressionist.tracking.readiness import Readiness
from expressionist.tracking.scoring_server import Guard
from tracking.asgi import ask


def test_until_its_model_has_predicted_a_server_lives_and_is_not_ready():
    go = threading.Event()

    def make():
        go.wait(10)
        return JSONResponse({"predictions": []})

    app = Guard(Readiness(make, "models:/toy/1"), 1)
    assert ask(app, "/health") == (200, {"alive": True})
    for path, method in (("/ready", "GET"), ("/ping", "GET"), ("/invocations", "POST")):
        status, answer = ask(app, path, method)
        assert status == 503
        assert "GET /ready" in answer["message"]
    go.set()
    app.app.making.join()
    assert ask(app, "/health") == (200, {"alive": True})
    assert ask(app, "/ready") == (200, {"ready": True, "model": "models:/toy/1"})
    assert ask(app, "/invocations", "POST") == (200, {"predictions": []})


def test_a_server_whose_model_cannot_be_loaded_ends(monkeypatch, capsys):
    killed = []
    monkeypatch.setattr(os, "kill", lambda *given: killed.append(given))

    def make():
        raise RuntimeError("cut off")

    app = Readiness(make, "models:/toy/1")
    app.making.join()
    assert killed == [(os.getpid(), signal.SIGTERM)]
    assert "cut off" in capsys.readouterr().err
    assert ask(app, "/ready")[0] == 503


def test_nothing_is_done_when_the_server_itself_starts():
    app = Readiness(lambda: None, "models:/toy/1")
    with pytest.raises(NotImplementedError):
        asyncio.run(app({"type": "lifespan"}, None, None))
