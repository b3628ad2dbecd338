"""Requests as uvicorn hands them to an application."""

import asyncio
import json


def ask(app, path, method="GET", body=b"{}", kind="application/json"):
    """Send a request, and return status and answer."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "root_path": ""}
    scope |= {"headers": [(b"content-type", kind.encode())], "http_version": "1.1", "scheme": "http"}
    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])
