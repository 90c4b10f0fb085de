"""What the server's answers mean for a record, against a real HTTP server on this machine."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from zirkel.client.http_sender import HttpSender
from zirkel.client.sending import Later, Outcome, Refused, Sent
from zirkel.client.spool import Record, RecordKind

SPANS = Record(RecordKind.SPANS, gzip.compress(b"x"))
SCORES = Record(RecordKind.SCORES, b"[]")


@dataclass
class Answer:
    """What the server answers, and what it got."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def answer() -> Answer:
    return Answer()


@pytest.fixture
def sender(answer: Answer) -> Iterator[HttpSender]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made = HttpSender(f"http://127.0.0.1:{server.server_port}", "zk_key")
    yield made
    made.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_go_as_otlp_and_scores_to_the_rest_api(sender: HttpSender, answer: Answer) -> None:
    assert [sender.send(SPANS), sender.send(SCORES)] == [Sent(), Sent()]
    (path, headers, body), (score_path, score_headers, score_body) = answer.requests
    assert (path, score_path) == ("/v1/traces", "/api/v1/scores")
    assert (headers["content-type"], headers["content-encoding"]) == ("application/x-protobuf", "gzip")
    assert score_headers["content-type"] == "application/json"
    assert headers["authorization"] == score_headers["authorization"] == "Bearer zk_key"
    assert (body, score_body) == (SPANS.body, SCORES.body)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused),
        (401, Later),
        (403, Refused),
        (404, Refused),
        (408, Later),
        (413, Refused),
        (429, Later),
        (502, Later),
        (503, Later),
        (504, Later),
    ],
)
def test_a_status_says_whether_trying_again_makes_sense(
    sender: HttpSender, answer: Answer, status: int, expected: type[Outcome]
) -> None:
    answer.status = status
    outcome = sender.send(SPANS)
    assert type(outcome) is expected
    assert not (isinstance(outcome, Later) and outcome.is_faulty)


def test_a_server_that_breaks_on_a_record_is_noted_as_that(sender: HttpSender, answer: Answer) -> None:
    answer.status, answer.body = 500, b"oops"
    assert sender.send(SCORES) == Later("HTTP 500: oops", is_faulty=True)


@pytest.mark.parametrize(("header", "wait_s"), [("3", 3), ("1e9", 0), ("100000", 60), ("soon", 0), ("", 0)])
def test_a_server_is_not_asked_before_it_wants_to_be(
    sender: HttpSender, answer: Answer, header: str, wait_s: float
) -> None:
    answer.status, answer.headers = 503, {"retry-after": header}
    outcome = sender.send(SPANS)
    assert isinstance(outcome, Later)
    assert outcome.wait_s == wait_s


def test_what_was_not_taken_of_a_batch_is_told(sender: HttpSender, answer: Answer) -> None:
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 2
    partial.partial_success.error_message = "no trace id"
    answer.body = partial.SerializeToString()
    assert sender.send(SPANS) == Sent("2 spans were rejected: no trace id")
    refused = {"score_id": None, "outcome": "refused", "error": {"code": "invalid", "message": "name: empty"}}
    taken = {"score_id": "s", "outcome": "accepted"}
    answer.body = json.dumps({"scores": [taken, refused], "refused": 1}).encode()
    assert sender.send(SCORES) == Sent("1 scores were refused; the first: name: empty")


@pytest.mark.parametrize("body", [b"\xff\xff", b"{", b'{"scores": 3}', b"\xff"])
def test_an_odd_answer_to_what_was_taken_is_still_a_yes(sender: HttpSender, answer: Answer, body: bytes) -> None:
    answer.body = body
    assert [sender.send(SPANS), sender.send(SCORES)] == [Sent(), Sent()]


def test_a_server_that_is_not_there_is_asked_again_later() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        sender = HttpSender(f"http://127.0.0.1:{unused.getsockname()[1]}", "zk_key")
    assert isinstance(sender.send(SPANS), Later)
    sender.close()
