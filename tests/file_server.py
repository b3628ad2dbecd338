"""A web server on this machine that serves files from memory, and misbehaves as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """How one request is answered; the default is what a good server does."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None  # bytes of the body after which the connection is closed
    lie: int = 0  # added to Content-Length
    ranges: bool = True
    start_lie: int = 0  # added to the start in Content-Range
    body: bytes | None = None
    stall: bool = False  # no further byte, and no end either


class FileServer:
    """Files by path, the answers to give before the good ones, and what was asked and sent."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: list[Answer] = []
        self.always: Answer = Answer()
        self.etag: str | None = '"v1"'
        self.modified: str | None = None
        self.pause = 0.0
        self.chunk = 1 << 16
        self.asked: list[dict[str, str]] = []
        self.n_sent = 0
        self.lock = threading.Lock()
        self.released = threading.Event()

    def take_answer(self) -> Answer:
        with self.lock:
            return self.answers.pop(0) if self.answers else self.always

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for headers in self.asked]


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        files: FileServer = self.server.files
        with files.lock:
            files.asked.append(dict(self.headers.items()))
        answer = files.take_answer()
        body = files.files.get(self.path)
        if answer.status is not None or body is None:
            # Unlike send_response, this adds no Date of its own.
            self.send_response_only(answer.status or 404)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send_file(files, answer, answer.body if answer.body is not None else body)

    def _send_file(self, files: FileServer, answer: Answer, body: bytes) -> None:
        asked = self.headers.get("Range") if answer.ranges else None
        validator = self.headers.get("If-Range")
        start = 0
        if asked and validator in (None, files.etag, files.modified):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                self.send_error(416)
                return
            self.send_response(206)
            told = start + answer.start_lie
            self.send_header("Content-Range", f"bytes {told}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if files.etag:
            self.send_header("ETag", files.etag)
        if files.modified:
            self.send_header("Last-Modified", files.modified)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) - start + answer.lie))
        self.end_headers()
        self._pour(files, body[start:] if answer.cut is None else body[start : start + answer.cut])
        if answer.stall:
            files.released.wait(30)

    def _pour(self, files: FileServer, body: bytes) -> None:
        for at in range(0, len(body), files.chunk):
            block = body[at : at + files.chunk]
            # Counted before it goes: whoever has got it may look at once.
            with files.lock:
                files.n_sent += len(block)
            try:
                self.wfile.write(block)
            except OSError:
                with files.lock:
                    files.n_sent -= len(block)
                return
            if files.pause:
                time.sleep(files.pause)


@contextmanager
def serve_files() -> Iterator[FileServer]:
    files = FileServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.files = files
    server.daemon_threads = True
    files.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield files
    finally:
        files.released.set()
        server.shutdown()
        server.server_close()
