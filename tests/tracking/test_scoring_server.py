import asyncio
import json

import pytest

from expressionist.tracking.scoring_server import Guard

SENT = b"PATIENT7,1234.5"


def ask(app, body=SENT, *, method="POST", part=10, limit=1):
    """Send a request in parts through the guard, and return status and answer."""
    parts = [body[at : at + part] for at in range(0, len(body), part)] or [b""]
    messages, sent = iter(enumerate(parts, start=1)), []

    async def receive():
        number, content = next(messages)
        return {"type": "http.request", "body": content, "more_body": number < len(parts)}

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    asyncio.run(Guard(app, limit)({"type": "http", "method": method, "headers": headers}, receive, send))
    assert next(messages, None) is None, "the request was not read to its end"
    headers = dict(sent[0]["headers"])
    assert headers[b"content-length"] == str(len(sent[1]["body"])).encode()
    return sent[0]["status"], sent[1]["body"]


def answering(status, answer=None):
    """Make an application that answers so, by default with all that it was sent."""

    async def app(scope, receive, send):
        body = (await receive())["body"]
        content = body if answer is None else answer
        length = (b"content-length", str(len(content)).encode())
        await send({"type": "http.response.start", "status": status, "headers": [length]})
        await send({"type": "http.response.body", "body": content})

    return app


def test_an_answer_goes_through_as_it_is():
    assert ask(answering(200)) == (200, SENT)
    assert ask(answering(404, b"none"), b"", method="GET") == (404, b"none")


@pytest.mark.parametrize(
    ("status", "said"),
    [(400, "dataframe_split"), (415, "text/csv"), (504, "fewer samples"), (500, "must hold")],
)
def test_what_the_server_says_of_a_request_that_it_cannot_read_is_said_without_it(status, said):
    told = json.dumps({"message": f"Failed to predict data {SENT!r}"}).encode()
    for answer in (None, told, b"[]"):
        found, body = ask(answering(status, answer))
        assert found == status
        assert said in json.loads(body)["message"]
        assert b"PATIENT7" not in body


def test_a_refusal_of_the_model_is_passed_on():
    told = {"message": "Expression must be finite.", "refused": True, "stack_trace": "PATIENT7"}
    status, body = ask(answering(400, json.dumps(told).encode()))
    assert (status, json.loads(body)) == (400, {"message": "Expression must be finite."})


def test_a_request_that_is_too_large_is_read_to_its_end_and_refused():
    assert ask(answering(200), b"x" * 1_000_000, part=300_000)[0] == 200
    status, body = ask(answering(200), b"x" * 1_000_001, part=300_000)
    assert status == 413
    assert "1 MB" in json.loads(body)["message"]


def test_json_that_is_nested_too_deeply_is_a_bad_request():
    async def app(scope, receive, send):
        raise RecursionError

    assert ask(app)[0] == 400
