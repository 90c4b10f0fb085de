"""Systems under test beside the gateway, over real HTTP and in this process."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Invalid, ManualClock
from zirkel.evaluate import Answer, Question, SystemUnderTest
from zirkel.evaluate.subject import ToolCall
from zirkel.evaluate.systems import FunctionSystem, HttpSystem, OpenAiSystem, load_function
from zirkel.evaluate.systems.http import parse_pointer, read_pointer
from zirkel.evaluate.systems.templates import fill, missing_places

QUESTION = Question("p", "e", "s", "r", "i1", 0, {"name": "Ann", "n": 3, "tags": ["x"]}, "ab" * 16)


class Stub(HTTPServer):
    """Answers every request with what it was told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"{}"
        self.seen: list[tuple[str, dict[str, str], object]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Stub

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
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


def ask(system: SystemUnderTest, question: Question = QUESTION) -> Answer:
    async def once() -> Answer:
        try:
            return await system.ask(question)
        finally:
            await system.close()

    return asyncio.run(once())


# OpenAI-compatible endpoints


def openai(stub: Stub) -> OpenAiSystem:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello {{ name }}, {{ n }}?"}]
    return OpenAiSystem(
        f"{stub.url}/v1/", "small", messages, ManualClock(), api_key="k", parameters={"temperature": 0.5}
    )


def test_an_endpoint_is_asked_with_the_inputs_variables(stub: Stub) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 12, "completion_tokens": 5}
    stub.body = json.dumps({"choices": [{"message": message}], "usage": usage}).encode()
    answer = ask(openai(stub))
    ((path, headers, body),) = stub.seen
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer k"
    assert headers["traceparent"].startswith(f"00-{'ab' * 16}-")
    assert body == {
        "model": "small",
        "temperature": 0.5,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello Ann, 3?"}],
    }
    assert (answer.output, answer.error, answer.cost_usd) == ("", "", None)
    assert answer.tool_calls == (ToolCall("search", '{"q": 1}', "c1"),)
    assert (answer.input_tokens, answer.output_tokens) == (12, 5)


@pytest.mark.parametrize(
    ("status", "retry_after", "is_retryable", "wait_s"),
    [
        (429, "3", True, 3.0),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", True, None),
        (503, "", True, None),
        (500, "", True, None),
        (400, "", False, None),
        (401, "", False, None),
        (404, "9", False, 9.0),
    ],
)
def test_a_refusal_says_whether_and_when_to_ask_again(
    stub: Stub, status: int, retry_after: str, is_retryable: bool, wait_s: float | None
) -> None:
    stub.status, stub.body = status, b'{"error": {"message": "no"}}'
    stub.headers = {"retry-after": retry_after} if retry_after else {}
    answer = ask(openai(stub))
    assert answer.error == f"HTTP {status}: no"
    assert (answer.is_retryable, answer.retry_after_s) == (is_retryable, wait_s)


# HTTP endpoints


def test_a_request_is_filled_and_the_answer_read_at_its_pointer(stub: Stub) -> None:
    stub.body = json.dumps({"data": [{"text": "hi"}], "docs": ["one", {"id": 2}]}).encode()
    request = {"who": "{{ name }}", "count": "{{ n }}", "deep": [{"all": "{{tags}} of {{ nobody }}"}]}
    system = HttpSystem(
        f"{stub.url}/ask",
        request,
        ManualClock(),
        answer="/data/0/text",
        contexts="/docs",
        headers={"x-api-key": "k"},
    )
    answer = ask(system)
    ((path, headers, body),) = stub.seen
    assert (path, headers["x-api-key"]) == ("/ask", "k")
    assert body == {"who": "Ann", "count": 3, "deep": [{"all": '["x"] of {{ nobody }}'}]}
    assert (answer.output, answer.contexts) == ("hi", ("one", '{"id": 2}'))


@pytest.mark.parametrize(
    ("status", "body", "pointer", "output", "error"),
    [
        (200, b"plain", "", "plain", ""),
        (200, b'{"a": {"b": 1}}', "/a", '{"b": 1}', ""),
        (200, b'{"a": {"b": 1}}', "", '{"a": {"b": 1}}', ""),
        (200, b'{"a": 1}', "/a/b", "", "the answer has no /a/b: {"),
        (200, b'{"a": [1]}', "/a/1", "", "the answer has no /a/1: {"),
        (200, b"plain", "/a", "", "HTTP 200 without JSON: plain"),
        (500, b'{"detail": "x"}', "/a", "", 'HTTP 500: {"detail": "x"}'),
    ],
)
def test_what_comes_back_is_an_answer_or_an_error(
    stub: Stub, status: int, body: bytes, pointer: str, output: str, error: str
) -> None:
    stub.status, stub.body = status, body
    answer = ask(HttpSystem(f"{stub.url}/ask", {}, ManualClock(), answer=pointer))
    assert answer.output == output
    assert answer.error.startswith(error)
    assert bool(answer.error) == bool(error)


def test_an_endpoint_that_is_not_there_is_an_error() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as unused:
        port = unused.server_port
    answer = ask(HttpSystem(f"http://127.0.0.1:{port}", {}, ManualClock()))
    assert answer.error.startswith("the endpoint could not be reached: NoConnection")
    assert answer.is_retryable


def test_a_pointer_without_a_slash_is_refused() -> None:
    with pytest.raises(Invalid, match="is no JSON pointer"):
        HttpSystem("http://localhost", {}, ManualClock(), answer="data")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_every_place_of_a_document_is_found_by_its_pointer(document: object) -> None:
    def walk(value: object, pointer: str) -> Iterator[tuple[str, object]]:
        yield pointer, value
        if isinstance(value, Mapping):
            for key, inner in value.items():
                yield from walk(inner, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
        if isinstance(value, list):
            for index, inner in enumerate(value):
                yield from walk(inner, f"{pointer}/{index}")

    for pointer, value in walk(document, ""):
        assert read_pointer(document, parse_pointer(pointer)) == value


@given(JSON)
def test_a_template_without_places_is_itself_and_one_place_is_the_value(document: object) -> None:
    assert fill({"x": "{{ v }}"}, {"v": document}) == {"x": document}
    assert missing_places({"x": "{{ v }} {{ w }}"}, {"v": document}) == {"w"}


# Functions


def call(function: object) -> Answer:
    return ask(FunctionSystem(function, ManualClock(), threads=2))  # type: ignore[arg-type]


def test_a_function_gets_the_input_and_its_answer_is_the_output() -> None:
    assert call(lambda given: f"hello {given['name']}").output == "hello Ann"


def test_an_asynchronous_function_is_awaited() -> None:
    async def answer(given: Mapping[str, object]) -> str:
        await asyncio.sleep(0)
        return str(given["n"])

    class Answering:
        async def __call__(self, given: Mapping[str, object]) -> str:
            return await answer(given)

    assert call(answer).output == "3"
    assert call(Answering()).output == "3"
    assert call(lambda given: answer(given)).output == "3"


def test_a_mapping_tells_more_than_the_output() -> None:
    said = {
        "output": {"label": "x"},
        "cost_usd": 0.25,
        "contexts": ["c"],
        "tool_calls": [{"name": "f", "arguments": {"a": 1}}],
        "input_tokens": 3,
    }
    answer = call(lambda _: said)
    assert (answer.output, answer.cost_usd, answer.contexts) == ('{"label": "x"}', Decimal("0.25"), ("c",))
    assert (answer.tool_calls, answer.input_tokens) == ((ToolCall("f", '{"a": 1}'),), 3)


@pytest.mark.parametrize(("said", "output"), [(3, "3"), (None, "null"), ({"a": 1}, '{"a": 1}'), (["ü"], '["ü"]')])
def test_what_is_no_text_is_json(said: object, output: str) -> None:
    assert call(lambda _: said).output == output


def test_what_a_function_raises_is_an_errored_answer() -> None:
    def broken(_given: Mapping[str, object]) -> str:
        raise KeyError("key")

    answer = call(broken)
    assert (answer.output, answer.error, answer.is_retryable) == ("", "KeyError: 'key'", False)


@pytest.mark.parametrize("path", ["nowhere:f", "json:nothing", "json", "json:", "json:decoder", ":f"])
def test_what_is_no_function_is_refused(path: str) -> None:
    with pytest.raises(Invalid) as raised:
        load_function(path)
    assert raised.value.path == "function"


def test_a_function_is_found_by_its_path() -> None:
    assert load_function("json:dumps") is json.dumps
    assert load_function("json:JSONEncoder.encode").__qualname__ == "JSONEncoder.encode"
