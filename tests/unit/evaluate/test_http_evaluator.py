"""The kind ``http``, against a real server: what may pass is tried again, the rest is an error at once."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.unit.evaluate.judged import judge_subject
from zirkel.core import DatasetItem, Errored, Invalid, JsonObject, Score, Scored, Unscored
from zirkel.evaluate.posting import Post, Poster
from zirkel.evaluate.subject import Subject
from zirkel.evaluate.tools import NoTools

SUBJECT = Subject(DatasetItem(id="1", input={}, expected="yes"), "yes")
Reply = tuple[int, dict[str, str], bytes]


class Address:
    """A web address with a script of answers; the last one stays."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[tuple[dict[str, str], object]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                owner.asked.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(body)))
                status, headers, answer = owner.replies.pop(0) if len(owner.replies) > 1 else owner.replies[0]
                self.send_response(status)
                for name, value in {"content-length": str(len(answer)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/judge"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Posting(NoTools):
    """Posts for real, and notes how long it would have waited."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.poster = Poster(self.waits.append)

    def post(self, post: Post) -> bytes:
        return self.poster.post(post)


Ask = Callable[..., Score]


@pytest.fixture
def address() -> Iterator[Address]:
    opened = Address()
    yield opened
    opened.close()


@pytest.fixture
def tools() -> Iterator[Posting]:
    opened = Posting()
    yield opened
    opened.poster.close()


def ask(address: Address, tools: Posting, options: JsonObject | None = None) -> Score:
    return judge_subject("http", SUBJECT, {"url": address.url, **(options or {})}, tools)


def ok(answer: str) -> Reply:
    return 200, {}, answer.encode()


def test_the_address_is_told_the_answer_and_its_judgement_is_the_score(address: Address, tools: Posting) -> None:
    address.replies = [ok('{"value": 0.5, "label": "so so", "reason": "short", "details": {"a": 1}}')]
    assert ask(address, tools, {"headers": {"x-team": "a"}}) == Scored(0.5, "so so", "short", {"a": 1})
    ((headers, told),) = address.asked
    assert headers["content-type"] == "application/json"
    assert headers["x-team"] == "a"
    assert isinstance(told, dict)
    assert (told["item"]["expected"], told["output"], told["context"]["trial"]) == ("yes", "yes", 0)


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("true", Scored(1.0)),
        ("3", Scored(3.0)),
        ('{"label": "good"}', Scored(1.0, "good")),
        ('{"label": "good", "value": 0.9}', Scored(0.9, "good")),
        ('{"unscored": "empty"}', Unscored("empty")),
    ],
)
def test_a_label_stands_for_a_value_and_a_bare_value_will_do(
    address: Address, tools: Posting, answer: str, score: Score
) -> None:
    address.replies = [ok(answer)]
    assert ask(address, tools, {"values": {"good": 1, "bad": 0}}) == score


@pytest.mark.parametrize(
    "answer", ["", "good", "[]", "{}", "null", '{"label": "ugly"}', '{"value": "1"}', '{"valu": 1}', '{"value": 1e999}']
)
def test_an_answer_of_another_form_is_an_error_and_no_score(address: Address, tools: Posting, answer: str) -> None:
    address.replies = [ok(answer)]
    assert isinstance(ask(address, tools, {"values": {"good": 1}}), Errored)


def test_what_may_pass_is_tried_again(address: Address, tools: Posting) -> None:
    address.replies = [(503, {}, b""), (429, {"retry-after": "7"}, b""), ok("1")]
    assert ask(address, tools) == Scored(1.0)
    assert tools.waits == [0.5, 7.0]


def test_what_does_not_pass_stays_an_error_that_says_so(address: Address, tools: Posting) -> None:
    address.replies = [(502, {"retry-after": "100000"}, b"")]
    score = ask(address, tools, {"attempts": 2})
    assert isinstance(score, Errored)
    assert "HTTP 502, in 2 attempts" in score.error
    assert len(address.asked) == 2
    assert tools.waits == [30.0]


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_a_refusal_is_not_tried_again(address: Address, tools: Posting, status: int) -> None:
    address.replies = [(status, {}, b"no")]
    score = ask(address, tools)
    assert isinstance(score, Errored)
    assert f"HTTP {status}" in score.error
    assert len(address.asked) == 1


def test_redirects_are_not_followed(address: Address, tools: Posting) -> None:
    address.replies = [(302, {"location": address.url}, b"")]
    score = ask(address, tools)
    assert isinstance(score, Errored)
    assert "HTTP 302" in score.error
    assert len(address.asked) == 1


def test_an_answer_that_is_too_large_is_not_read(address: Address, tools: Posting) -> None:
    address.replies = [ok(json.dumps({"value": 1, "reason": "x" * 70_000}))]
    score = ask(address, tools)
    assert isinstance(score, Errored)
    assert "larger than 65536" in score.error


def test_an_answer_that_is_compressed_unasked_is_not_read(address: Address, tools: Posting) -> None:
    address.replies = [(200, {"content-encoding": "gzip"}, b"\x1f\x8b")]
    score = ask(address, tools)
    assert isinstance(score, Errored)
    assert "compressed" in score.error
    assert address.asked[0][0]["accept-encoding"] == "identity"


def test_an_address_where_nobody_listens_is_a_failure_that_may_pass(tools: Posting) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        score = judge_subject("http", SUBJECT, {"url": f"http://127.0.0.1:{taken.getsockname()[1]}"}, tools)
    assert isinstance(score, Errored)
    assert "in 3 attempts" in score.error
    assert tools.waits == [0.5, 1.0]


def test_silence_is_a_failure_that_may_pass(tools: Posting) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        score = judge_subject("http", SUBJECT, {"url": url, "timeout_s": 0.05, "attempts": 2}, tools)
    assert isinstance(score, Errored)
    assert "ReadTimeout" in score.error
    assert len(tools.waits) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "ftp://a"}, "no http or https address"),
        ({"url": "https://"}, "no http or https address"),
        ({"url": "https://[::1"}, "url"),
        ({"url": "https://ann:pw@example.com"}, "credential"),
        ({"url": "https://example.com", "timeout_s": 0}, "timeout_s"),
        ({"url": "https://example.com", "attempts": 0}, "attempts"),
        ({}, "url"),
    ],
)
def test_a_mistake_is_told_before_anything_is_posted(options: JsonObject, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        judge_subject("http", SUBJECT, options)
