"""Headers that nobody sends by accident: refused like any unknown key, and never written to a log."""

import json
import logging
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from zirkel.core import Json

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

BODY: Json = {"model": "stub/good", "messages": [{"role": "user", "content": "Hi"}]}
MARK = b"topsecretmark"
KEYS = {
    "very long": [b"authorization: Bearer " + MARK * 5000],
    "binary": [b"authorization: Bearer \xff\xfe" + MARK + b"\x80\xc3"],
    "no UTF-8 in x-api-key": [b"x-api-key: \xff" + MARK],
    "another scheme": [b"authorization: Basic " + MARK],
    "empty": [b"authorization: Bearer ", b"x-api-key: "],
    "only blanks": [b"authorization: Bearer    ", b"x-api-key:    "],
    "two, the first is good": [b"authorization: Bearer call-key", b"authorization: Bearer " + MARK],
    "two, the second is good": [b"authorization: Bearer " + MARK, b"authorization: Bearer call-key"],
    "twice the same": [b"authorization: Bearer call-key", b"authorization: Bearer call-key"],
    "two in one": [b"authorization: Bearer call-key, Bearer call-key"],
    "two keys of another header": [b"x-api-key: call-key", b"x-api-key: " + MARK],
    "a bad bearer beside a good key": [b"authorization: Bearer " + MARK, b"x-api-key: call-key"],
}
HOSTS = {
    "very long": [b"host: " + MARK * 5000],
    "binary": [b"host: \xff\xfe" + MARK],
    "several": [b"host: a", b"host: " + MARK],
    "an address": [b"host: http://evil.example/" + MARK],
}


@pytest.fixture
def log(stage: "Stage", caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """All that any logger says, the server's own included, which goes nowhere else."""
    caplog.set_level(logging.DEBUG)
    server = logging.getLogger("uvicorn")
    server.addHandler(caplog.handler)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        caplog.set_level(logging.DEBUG, name)
    yield caplog
    server.removeHandler(caplog.handler)


@pytest.mark.parametrize("headers", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/v1/messages", b"/metrics"])
def test_a_hostile_key_is_unauthenticated_and_leaves_no_trace(
    stage: "Stage", log: pytest.LogCaptureFixture, headers: list[bytes], path: bytes
) -> None:
    status, answer = _send(stage, path, [b"host: x", *headers])

    assert status == 401
    assert MARK not in answer
    assert MARK.decode() not in log.text
    assert "call-key" not in log.text
    assert stage.upstream.requests == []
    assert stage.sink.payloads == []


@pytest.mark.parametrize("headers", HOSTS.values(), ids=HOSTS)
def test_a_hostile_host_changes_nothing(stage: "Stage", log: pytest.LogCaptureFixture, headers: list[bytes]) -> None:
    unknown, _ = _send(stage, b"/v1/chat/completions", [*headers, b"authorization: Bearer nobody"])
    known, _ = _send(stage, b"/v1/chat/completions", [*headers, b"authorization: Bearer call-key"])

    assert (unknown, known) == (401, 200)
    assert MARK.decode() not in log.text + json.dumps(stage.upstream.headers)


@pytest.mark.parametrize("path", [b"/v1/\xff", b"/providers/\xff/x", b"/providers/%ff/x", b"/v1/models/%ff%fe"])
def test_a_path_of_odd_bytes_is_refused(stage: "Stage", path: bytes) -> None:
    status, _ = _send(stage, path, [b"host: x", b"authorization: Bearer call-key"], method=b"GET")

    assert status in (400, 404)


def _send(stage: "Stage", path: bytes, headers: list[bytes], *, method: bytes = b"") -> tuple[int, bytes]:
    """Send a request over a bare connection; return the answer's status and all of its bytes."""
    body = b"" if path == b"/metrics" or method else json.dumps(BODY).encode()
    method = method or (b"POST" if body else b"GET")
    head = [method + b" " + path + b" HTTP/1.1", *headers, b"connection: close", b"content-length: %d" % len(body)]
    with socket.create_connection(("127.0.0.1", stage.port), timeout=20) as connection:
        connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return int(answer.split(b" ", 2)[1]), answer
