"""``@observe``: what becomes a span, what it says, and that it never gets in the way."""

import asyncio
import contextvars
import inspect
import json
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, assert_type

import pytest
from opentelemetry.trace import StatusCode

from zirkel.client import observe, update_current
from zirkel.client.sdk import current_trace_id

if TYPE_CHECKING:
    from tests.unit.client.conftest import Seen


@observe
def add(a: int, b: int = 2) -> int:
    """Add."""
    return a + b


@observe(kind="tool", name="double")
async def double(number: int) -> int:
    await asyncio.sleep(0)
    return add(number, number)


@observe
def count(until: int) -> Generator[int, int | None, str]:
    for number in range(until):
        add(number)
        yield number
    return "done"


@observe(kind="agent", name="speaker")
async def speak(question: str) -> AsyncIterator[str]:
    yield "It is "
    await double(2)
    yield "so."


def test_a_function_keeps_its_name_its_signature_and_its_type() -> None:
    assert_type(add(1), int)
    assert add.__name__ == "add"
    assert add.__doc__ == "Add."
    assert list(inspect.signature(add).parameters) == ["a", "b"]
    assert inspect.iscoroutinefunction(double)
    assert inspect.isgeneratorfunction(count)
    assert inspect.isasyncgenfunction(speak)


def test_a_call_is_a_span_with_arguments_and_result(seen: "Seen") -> None:
    assert add(1) == 3
    attributes = seen.attributes("add")
    assert json.loads(str(attributes["zirkel.input"])) == {"a": 1}
    assert attributes["zirkel.output"] == "3"
    assert attributes["zirkel.kind"] == "span"


def test_spans_nest_as_calls_do_over_await_and_iteration(seen: "Seen") -> None:
    async def run() -> list[str]:
        return [piece async for piece in speak("why")]

    assert asyncio.run(run()) == ["It is ", "so."]
    speaker, tool, inner = seen.named("speaker"), seen.named("double"), seen.named("add")
    assert speaker.parent is None
    assert (tool.parent, inner.parent) == (speaker.context, tool.context)
    assert [span.name for span in seen.spans()] == ["add", "double", "speaker"]


def test_nothing_of_a_generator_is_current_between_its_items(seen: "Seen") -> None:
    numbers = count(2)
    assert not seen.spans()
    assert next(numbers) == 0
    assert current_trace_id() == ""
    add(100)
    assert list(numbers) == [1]
    outside = next(span for span in seen.spans() if '"a":100' in str((span.attributes or {})["zirkel.input"]))
    assert outside.parent is None
    assert seen.attributes("count")["zirkel.output"] == "[0,1]"


def test_a_generator_is_driven_as_if_nobody_observed_it() -> None:
    def plain(log: list[object]) -> Generator[int, str | None, str]:
        try:
            log.append((yield 1))
            try:
                yield 2
            except KeyError as error:
                log.append(error)
            yield 3
            return "end"
        finally:
            log.append("closed")

    def drive(generator: Generator[int, str | None, str]) -> list[object]:
        found: list[object] = [next(generator), generator.send("sent"), generator.throw(KeyError("thrown"))]
        with pytest.raises(StopIteration) as stopped:
            next(generator)
        return [*found, stopped.value.value]

    logs: tuple[list[object], list[object]] = ([], [])
    assert drive(plain(logs[0])) == drive(observe(plain)(logs[1]))
    assert [str(entry) for entry in logs[0]] == [str(entry) for entry in logs[1]]


@pytest.mark.parametrize("is_observed", [False, True])
def test_a_generator_that_is_left_early_cleans_up_and_its_span_is_no_error(seen: "Seen", is_observed: bool) -> None:
    log: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            log.append("closed")

    generator = observe(endless)() if is_observed else endless()
    next(generator)
    assert isinstance(generator, Generator)
    generator.close()
    assert log == ["closed"]
    if is_observed:
        assert seen.named("endless").status.status_code is StatusCode.UNSET


def test_an_asynchronous_generator_that_is_left_early_cleans_up(seen: "Seen") -> None:
    log: list[str] = []

    @observe
    async def endless() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def run() -> None:
        generator = endless()
        assert await anext(aiter(generator)) == 1
        assert hasattr(generator, "aclose")
        await generator.aclose()

    asyncio.run(run())
    assert log == ["closed"]
    assert seen.named("endless").status.status_code is StatusCode.UNSET


class OutOfStock(Exception):
    """A user's own error."""


def test_an_exception_is_recorded_and_goes_on(seen: "Seen") -> None:
    @observe
    def fail() -> None:
        raise OutOfStock("no kettle")

    @observe
    async def fail_later() -> None:
        raise OutOfStock("no kettle")

    @observe
    def fail_amid() -> Iterator[int]:
        yield 1
        raise OutOfStock("no kettle")

    with pytest.raises(OutOfStock, match="no kettle"):
        fail()
    with pytest.raises(OutOfStock):
        asyncio.run(fail_later())
    with pytest.raises(OutOfStock):
        list(fail_amid())
    for name in ("fail", "fail_later", "fail_amid"):
        span = seen.named(name)
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no kettle")
        assert seen.attributes(name)["error.type"] == f"{OutOfStock.__module__}.OutOfStock"
        assert [event.name for event in span.events] == ["exception"]


def test_what_cannot_be_captured_never_reaches_the_caller(seen: "Seen") -> None:
    class Unreadable(dict[str, int]):
        def items(self) -> object:  # type: ignore[override]
            raise RuntimeError("do not look")

    @observe
    def give(value: object) -> object:
        return value

    given = Unreadable(a=1)
    assert give(given) is given
    assert "zirkel.input" not in seen.attributes("give")
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        add()  # type: ignore[call-arg]


def test_arguments_and_result_can_be_left_out(seen: "Seen") -> None:
    @observe(capture_input=False, capture_output=False)
    def secret(password: str) -> str:
        return password

    @observe(capture_output=False)
    def pieces(number: int) -> Iterator[str]:
        yield "secret"

    secret("hunter2")
    list(pieces(1))
    assert set(seen.attributes("secret")) == {"zirkel.kind"}
    assert set(seen.attributes("pieces")) == {"zirkel.kind", "zirkel.input"}


def test_the_object_of_a_method_is_not_an_argument(seen: "Seen") -> None:
    class Shop:
        @observe
        def find(self, article: str) -> str:
            return article

        @classmethod
        @observe
        def open(cls, place: str) -> str:
            return place

    Shop().find("kettle")
    Shop.open("Bern")
    assert seen.attributes("Shop.find")["zirkel.input"] == '{"article":"kettle"}'
    assert seen.attributes("Shop.open")["zirkel.input"] == '{"place":"Bern"}'


def test_genai_names_are_used_where_there_are_any(seen: "Seen") -> None:
    @observe(kind="agent", name="shop")
    def answer(question: str) -> str:
        return f"{question}!"

    @observe(kind="chat")
    def chat(messages: list[dict[str, str]]) -> dict[str, int]:
        return {"tokens": 1}

    @observe(kind="retriever")
    def search(query: str, limit: int = 3) -> list[str]:
        return [query]

    answer("why")
    chat([{"role": "user", "content": "hi"}])
    search("kettle", limit=1)
    agent, spoken, found = seen.attributes("shop"), seen.attributes("chat"), seen.attributes("search")
    assert (agent["gen_ai.operation.name"], agent["gen_ai.agent.name"]) == ("invoke_agent", "shop")
    assert json.loads(str(agent["gen_ai.output.messages"])) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "why!"}]}
    ]
    assert json.loads(str(spoken["gen_ai.input.messages"]))[0]["parts"] == [{"type": "text", "content": "hi"}]
    assert spoken["zirkel.output"] == '{"tokens":1}'
    assert found["gen_ai.operation.name"] == "retrieval"
    assert json.loads(str(found["zirkel.input"])) == {"query": "kettle", "limit": 1}


def test_a_function_can_say_what_its_input_and_output_are(seen: "Seen") -> None:
    @observe
    def rewrite(text: str) -> str:
        update_current(input="in", output="out", session_id="s-1", user_id="u-1", tags=["a", "b"])
        return text

    rewrite("x")
    attributes = seen.attributes("rewrite")
    assert (attributes["zirkel.input"], attributes["zirkel.output"]) == ('"in"', '"out"')
    assert (attributes["session.id"], attributes["user.id"], attributes["zirkel.tags"]) == ("s-1", "u-1", ("a", "b"))


def test_a_thread_with_the_context_of_its_starter_continues_the_trace(seen: "Seen") -> None:
    @observe
    def start() -> None:
        copied = contextvars.copy_context()
        thread = threading.Thread(target=copied.run, args=(add, 1))
        thread.start()
        thread.join()

    start()
    assert seen.named("add").parent == seen.named("start").context


def test_tasks_that_run_at_once_keep_their_own_parents(seen: "Seen") -> None:
    @observe
    async def one(number: int) -> None:
        await double(number)

    async def run() -> None:
        await asyncio.gather(*(one(number) for number in range(10)))

    asyncio.run(run())
    parents = {span.context.span_id: span for span in seen.spans() if span.name.endswith("one") and span.context}
    tools = [span for span in seen.spans() if span.name == "double"]
    assert len(tools) == len(parents) == 10
    for tool in tools:
        assert tool.parent is not None
        own, parent = dict(tool.attributes or {}), dict(parents[tool.parent.span_id].attributes or {})
        assert own["gen_ai.tool.call.arguments"] == parent["zirkel.input"]
