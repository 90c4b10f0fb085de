"""Asking the gateway as a judge, over real HTTP: whatever comes back is an answer or a failure, never a crash."""

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from zirkel.core import derived_trace_id, judging_trace_id
from zirkel.evaluate.chat import ChatAnswer, ChatMessage, ChatRequest
from zirkel.evaluate.tools_gateway import ChatFailure, GatewayChat

REQUEST = ChatRequest(
    "p",
    "openai/gpt-4o",
    (ChatMessage("system", "s"), ChatMessage("user", "ü")),
    {"temperature": 0.0, "model": "evil"},
    purpose="höflich",
    experiment_id="x",
    item_id="i 1",
    trial=3,
    subject_trace_id="ab" * 16,
)


class Stub(HTTPServer):
    """Answers every request with what it was told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers = {"x-zirkel-cost-usd": "0.25", "x-zirkel-trace-id": "cd" * 16}
        self.body: bytes | None = b""
        self.seen: list[tuple[dict[str, str], object]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
        if self.server.body is None:
            self.close_connection = True
            return
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the standard library)
        return


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def chat(stub: Stub) -> Iterator[GatewayChat]:
    opened = GatewayChat(f"http://127.0.0.1:{stub.server_port}", lambda project: f"key of {project}")
    yield opened
    opened.close()


def completion(content: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


def test_a_call_names_who_judges_what_in_a_trace_beside_the_answers_own(stub: Stub, chat: GatewayChat) -> None:
    stub.body = completion("good")
    assert chat.ask(REQUEST) == ChatAnswer("good", Decimal("0.25"), "cd" * 16)
    ((headers, body),) = stub.seen
    assert body == {
        "model": "openai/gpt-4o",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "ü"}],
        "temperature": 0.0,
    }
    assert headers["authorization"] == "Bearer key of p"
    assert headers["x-zirkel-evaluator"].encode("latin-1").decode() == "höflich"
    assert (headers["x-zirkel-experiment"], headers["x-zirkel-item"], headers["x-zirkel-trial"]) == ("x", "i 1", "3")
    version, trace_id, span_id, flags = headers["traceparent"].split("-")
    assert (version, trace_id, len(span_id), flags) == ("00", judging_trace_id("ab" * 16), 16, "01")


def test_an_experiments_answer_without_a_trace_has_the_one_that_experiments_derive(
    stub: Stub, chat: GatewayChat
) -> None:
    stub.body = completion("good")
    chat.ask(ChatRequest("p", "a/b", (), experiment_id="x", item_id="i", trial=1))
    chat.ask(ChatRequest("p", "a/b", (), purpose="line\nbreak"))
    (first, _), (second, _) = stub.seen
    assert first["traceparent"].split("-")[1] == judging_trace_id(derived_trace_id("x", "i", "1"))
    assert "traceparent" not in second
    assert (first["x-zirkel-evaluator"], second["x-zirkel-evaluator"]) == ("unnamed", "line%0Abreak")


@pytest.mark.parametrize("cost", ["unknown", "", "NaN", None])
def test_a_cost_that_is_not_told_is_unknown(stub: Stub, chat: GatewayChat, cost: str | None) -> None:
    stub.body = completion(None)
    stub.headers = {"x-zirkel-cost-usd": cost} if cost is not None else {}
    assert chat.ask(REQUEST) == ChatAnswer("", None, "")


@pytest.mark.parametrize(
    ("status", "body", "is_transient", "said"),
    [
        (429, b'{"error": {"message": "slow down"}}', True, "HTTP 429: slow down"),
        (502, b'{"error": "broken"}', True, 'HTTP 502: {"error": "broken"}'),
        (503, b"<html>", True, "HTTP 503: <html>"),
        (400, b'{"error": {"message": "no such parameter"}}', False, "HTTP 400: no such parameter"),
        (402, b'{"error": {"message": "the budget is spent"}}', True, "HTTP 402: the budget is spent"),
        (404, b"[]", False, "HTTP 404: []"),
        (200, b"", True, "the answer is no chat completion"),
        (200, b"[]", True, "the answer is no chat completion: []"),
        (200, b'{"choices": [{"message": null}]}', True, "the answer is no chat completion"),
        (200, b'{"choices": [{"message": {"content": [1]}}]}', True, "the answer is no text"),
    ],
)
def test_whatever_else_comes_back_is_a_failure(
    stub: Stub, chat: GatewayChat, status: int, body: bytes, is_transient: bool, said: str
) -> None:
    stub.status, stub.body = status, body
    failure = chat.ask(REQUEST)
    assert isinstance(failure, ChatFailure)
    assert failure.message.startswith(said)
    assert (failure.is_transient, failure.cost_usd) == (is_transient, Decimal("0.25"))


@pytest.mark.parametrize(
    ("told", "waits_s"), [("7", 7.0), ("0", 0.0), ("", 0.0), ("soon", 0.0), ("-1", 0.0), ("²", 0.0)]
)
def test_when_to_come_back_is_read_in_seconds(stub: Stub, chat: GatewayChat, told: str, waits_s: float) -> None:
    stub.status, stub.body, stub.headers = 429, b"{}", {"retry-after": told}
    failure = chat.ask(REQUEST)
    assert isinstance(failure, ChatFailure)
    assert failure.retry_after_s == waits_s


def test_a_lost_connection_may_have_cost_something_and_one_that_was_never_made_has_not(
    stub: Stub, chat: GatewayChat
) -> None:
    stub.body = None
    lost = chat.ask(REQUEST)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        port = unused.server_port
    nobody = GatewayChat(f"http://127.0.0.1:{port}", lambda _project: "key")
    refused = nobody.ask(REQUEST)
    nobody.close()
    assert isinstance(lost, ChatFailure)
    assert isinstance(refused, ChatFailure)
    assert (lost.is_transient, lost.cost_usd) == (True, None)
    assert (refused.is_transient, refused.cost_usd) == (True, Decimal(0))
