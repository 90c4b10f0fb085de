"""The gateway as the system under test, over real HTTP: whatever comes back is an answer or an error, never a crash."""

import asyncio
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from zirkel.core import ManualClock
from zirkel.evaluate import Answer, GatewaySystem, Question, SystemUnderTest

QUESTION = Question("p", "e", "triage", "r" * 64, "i1", 3, {"review": "Nice", "n": 1}, "ab" * 16)


class StubGateway(HTTPServer):
    """Answers every request with what it was told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.seen: list[tuple[dict[str, str], object]] = []


class _Handler(BaseHTTPRequestHandler):
    server: StubGateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name in the standard library)
        return


@pytest.fixture
def stub() -> Iterator[StubGateway]:
    with StubGateway() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def system(stub: StubGateway) -> GatewaySystem:
    return GatewaySystem(f"http://127.0.0.1:{stub.server_port}", lambda project: f"key of {project}", ManualClock())


def ask(system: SystemUnderTest, question: Question) -> Answer:
    """Return one answer, over connections of its own."""

    async def once() -> Answer:
        try:
            return await system.ask(question)
        finally:
            await system.close()

    return asyncio.run(once())


def completion(content: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


def test_a_question_names_its_release_item_trial_and_trace(stub: StubGateway, system: GatewaySystem) -> None:
    stub.body = completion("good")
    stub.headers = {"x-zirkel-cost-usd": "0.00012", "x-zirkel-fallback": "0"}
    assert ask(system, QUESTION) == Answer("good", cost_usd=Decimal("0.00012"))
    ((headers, body),) = stub.seen
    assert body == {"model": "service:triage", "zirkel": {"variables": {"review": "Nice", "n": 1}}}
    assert headers["authorization"] == "Bearer key of p"
    assert headers["x-zirkel-release"] == "r" * 64
    assert (headers["x-zirkel-experiment"], headers["x-zirkel-item"], headers["x-zirkel-trial"]) == ("e", "i1", "3")
    version, trace_id, span_id, flags = headers["traceparent"].split("-")
    assert (version, trace_id, len(span_id), flags) == ("00", "ab" * 16, 16, "01")


@pytest.mark.parametrize("cost", [None, "unknown", ""])
def test_a_cost_that_is_not_told_is_unknown(stub: StubGateway, system: GatewaySystem, cost: str | None) -> None:
    stub.body = completion("good")
    stub.headers = {"x-zirkel-cost-usd": cost} if cost is not None else {}
    assert ask(system, QUESTION) == Answer("good", cost_usd=None)


def test_an_empty_answer_is_an_answer(stub: StubGateway, system: GatewaySystem) -> None:
    stub.body = completion(None)
    assert ask(system, QUESTION) == Answer("")


def test_an_answer_of_a_fallback_is_no_answer_of_the_release(stub: StubGateway, system: GatewaySystem) -> None:
    stub.body = completion("good")
    stub.headers = {"x-zirkel-fallback": "1", "x-zirkel-model": "azure/gpt-4o"}
    assert ask(system, QUESTION).error == "the release's own model failed; its fallback azure/gpt-4o answered"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (502, b'{"error": {"message": "no upstream answered"}}', "HTTP 502: no upstream answered"),
        (500, b'{"error": "broken"}', 'HTTP 500: {"error": "broken"}'),
        (500, b'["broken"]', 'HTTP 500: ["broken"]'),
        (503, b"<html>", "HTTP 503 without JSON"),
        (200, b"", "HTTP 200 without JSON"),
        (200, b"\xff\xfe", "HTTP 200 without JSON"),
        (200, b"[]", "the answer is no chat completion: []"),
        (200, b'{"choices": []}', "the answer is no chat completion"),
        (200, b'{"choices": [{"message": null}]}', "the answer is no chat completion"),
        (200, b'{"choices": [{"message": {"content": [1]}}]}', "the answer is no text"),
    ],
)
def test_whatever_else_comes_back_is_an_error(
    stub: StubGateway, system: GatewaySystem, status: int, body: bytes, said: str
) -> None:
    stub.status, stub.body = status, body
    answer = ask(system, QUESTION)
    assert answer.output == ""
    assert answer.error.startswith(said)


def test_a_gateway_that_is_not_there_is_an_error() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        port = unused.server_port
    system = GatewaySystem(f"http://127.0.0.1:{port}", lambda _project: "key", ManualClock())
    assert ask(system, QUESTION).error.startswith("the gateway could not be reached: NoConnection")
