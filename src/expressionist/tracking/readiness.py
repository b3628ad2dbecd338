"""Whether a server lives, which it does once its port is open, and is ready: its model has predicted."""

import os
import signal
import traceback
from collections.abc import Callable
from threading import Thread

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

NOT_READY = "A model must be loaded before it is asked, but is not yet. Wait until GET /ready answers 200."


class Readiness:
    """Stand in for an application while a thread makes it: until then all but ``/health`` answers 503."""

    def __init__(self, make: Callable[[], ASGIApp], model: str) -> None:
        self.app: ASGIApp | None = None
        self.model = model
        self.making = Thread(target=self._make, args=(make,), daemon=True)
        self.making.start()

    def _make(self, make: Callable[[], ASGIApp]) -> None:
        try:
            self.app = make()
        except Exception:  # noqa: BLE001 - whatever it is, a server that will never be ready must not live on
            traceback.print_exc()
            os.kill(os.getpid(), signal.SIGTERM)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            raise NotImplementedError(f"Nothing is done at {scope['type']}.")
        if scope["path"] == "/health":
            answer: ASGIApp = JSONResponse({"alive": True})
        elif self.app is None:
            answer = JSONResponse({"message": NOT_READY}, 503)
        elif scope["path"] == "/ready":
            answer = JSONResponse({"ready": True, "model": self.model})
        else:
            answer = self.app
        await answer(scope, receive, send)
