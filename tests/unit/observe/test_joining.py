import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import LogRecord, Span, SpanKind
from zirkel.lib.otlp import Notes, decode_traces, read_logs
from zirkel.observe.joining import SpanContent, content_of_logs, event_name, is_content, join_content, join_logs
from zirkel.observe.normalise import normalise_span
from zirkel.observe.signals import log_record

FIXTURES = Path(__file__).parents[2] / "fixtures" / "otlp"
TRACE, SPAN = "a" * 32, "b" * 16
SYSTEM = {"role": "system", "parts": [{"type": "text", "content": "You are a geography assistant."}]}
PARIS = {"type": "text", "content": "Paris is the capital of France."}


def logs_of(*captures: str) -> list[LogRecord]:
    found: list[LogRecord] = []
    for capture in captures:
        body = (FIXTURES / f"{capture}-logs.pb").read_bytes()
        found += [log_record(log, project_id="p1") for log in read_logs(body, "protobuf", Notes())]
    return found


def spans_of(capture: str) -> list[Span]:
    decoded = decode_traces((FIXTURES / f"{capture}-traces.pb").read_bytes(), "protobuf")
    return [normalise_span(span, project_id="p1") for span in decoded.spans]


def log(
    name: str,
    body: object = None,
    attributes: Mapping[str, object] | None = None,
    *,
    time_ns: int = 0,
    in_attribute: bool = False,
) -> LogRecord:
    named: dict[str, object] = {"event.name": name} if in_attribute else {}
    return LogRecord(
        project_id="p1",
        log_id=f"{name} {body} {time_ns}",
        trace_id=TRACE,
        span_id=SPAN,
        time_ns=time_ns,
        event_name="" if in_attribute else name,
        body="" if body is None else json.dumps(body),
        attributes={key: json.dumps(value) for key, value in {**named, **(attributes or {})}.items()},
    )


def span(**fields: str) -> Span:
    return Span(
        project_id="p1", trace_id=TRACE, span_id=SPAN, name="chat", kind=SpanKind.CHAT, source="otlp", dialect="genai",
        start_ns=0, end_ns=1, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def test_events_of_one_message_each_become_the_messages_of_their_spans() -> None:
    spans = spans_of("openai_v2_2_1b0_legacy_events-001")
    assert not any(one.input or one.output for one in spans), "the spans themselves have no content"
    joined = join_logs(spans, logs_of("openai_v2_2_1b0_legacy_events-003"))
    first, streamed, asks_tool, has_result, failed = joined
    assert json.loads(first.input)[0] == SYSTEM
    assert [one["role"] for one in json.loads(first.input)] == ["system", "user"]
    assert json.loads(first.output) == [{"role": "assistant", "parts": [PARIS], "finish_reason": "stop"}]
    assert json.loads(streamed.output)[0]["parts"] == [PARIS]
    assert (streamed.finish_reason, asks_tool.finish_reason) == ("stop", "tool_call")
    (call,) = json.loads(asks_tool.output)[0]["parts"]
    assert (call["type"], call["name"], call["arguments"]) == ("tool_call", "get_weather", {"city": "Paris"})
    roles = [one["role"] for one in json.loads(has_result.input)]
    assert roles == ["user", "assistant", "tool"]
    result = json.loads(has_result.input)[2]["parts"][0]
    assert (result["type"], result["id"]) == ("tool_call_response", "call_fake_1")
    assert (json.loads(failed.input)[0]["role"], failed.output) == ("user", "")


@pytest.mark.parametrize(
    ("traces", "logs"),
    [("openai_v2_latest-002", ["openai_v2_latest-001"]), ("openlit-002", ["openlit-001", "openlit-004"])],
)
def test_the_event_of_a_whole_call_says_what_its_span_says(traces: str, logs: list[str]) -> None:
    """Content as JSON text on the span equals content as a structure on the event."""
    contents = {one.span_id: content_of_logs([one]) for one in logs_of(*logs)}
    spans = [one for one in spans_of(traces) if one.span_id in contents and one.dialect]
    assert len(spans) >= 5
    for one in spans:
        said = contents[one.span_id]
        assert json.loads(said.output or "0") == json.loads(one.output or "0")
        assert json.loads(said.input or "[0]")[-1] == json.loads(one.input or "[0]")[-1]
        assert join_content(one, said) == msgspec.structs.replace(one, tools=one.tools or said.tools)
        bare = msgspec.structs.replace(one, input="", output="", tools="")
        joined = join_content(bare, said)
        assert (joined.input, joined.output, joined.tools) == (said.input, said.output, said.tools)


def test_an_event_that_names_the_span_around_its_call_does_not_become_that_spans_content() -> None:
    spans = spans_of("openlit-002")
    root = next(one for one in spans if not one.parent_span_id)
    logs = [one for one in logs_of("openlit-001", "openlit-004") if one.span_id == root.span_id]
    assert logs
    assert join_logs([root], logs) == [root]


@pytest.mark.parametrize("in_attribute", [False, True])
def test_messages_are_in_the_order_of_their_time_and_choices_of_their_index(in_attribute: bool) -> None:
    def event(name: str, body: object, time_ns: int) -> LogRecord:
        return log(name, body, time_ns=time_ns, in_attribute=in_attribute)

    content = content_of_logs(
        [
            event("gen_ai.choice", {"index": 1, "finish_reason": "stop", "message": {"content": "two"}}, 5),
            event("gen_ai.choice", {"index": 0, "finish_reason": "length", "message": {"content": "one"}}, 6),
            event("gen_ai.user.message", {"content": "hi"}, 3),
            event("gen_ai.system.message", {"content": "Be terse."}, 1),
        ]
    )
    assert [one["role"] for one in json.loads(content.input)] == ["system", "user"]
    assert [one["parts"][0]["content"] for one in json.loads(content.output)] == ["one", "two"]
    assert content.finish_reason == "length"


def test_a_whole_call_comes_before_its_messages_and_brings_parameters_and_tools() -> None:
    message = {"role": "user", "parts": [{"type": "text", "content": "whole"}]}
    content = content_of_logs(
        [
            log("gen_ai.user.message", {"content": "single"}),
            log(
                "gen_ai.client.inference.operation.details",
                attributes={
                    "gen_ai.operation.name": "chat",
                    "gen_ai.input.messages": [message],
                    "gen_ai.request.temperature": 0.5,
                    "gen_ai.tool.definitions": [{"type": "function", "name": "f"}],
                },
            ),
        ]
    )
    assert json.loads(content.input) == [message]
    assert (content.parameters, json.loads(content.tools)[0]["name"]) == ({"temperature": "0.5"}, "f")


def test_the_attributes_of_a_call_may_be_in_the_body() -> None:
    body = {"gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]}
    content = content_of_logs([log("gen_ai.client.inference.operation.details", body)])
    assert json.loads(content.input)[0]["role"] == "user"


def test_a_record_that_is_there_twice_counts_once() -> None:
    one = log("gen_ai.user.message", {"content": "hi"})
    assert content_of_logs([one, one]) == content_of_logs([one])
    assert len(json.loads(content_of_logs([one]).input)) == 1


@pytest.mark.parametrize(
    "record",
    [
        log("gen_ai.evaluation.result", attributes={"gen_ai.evaluation.name": "x"}),
        log("gen_ai.client.operation.exception", attributes={"exception.type": "x"}),
        log("shop.checkout", {"content": "hi"}),
        log("", {"content": "hi"}),
    ],
)
def test_other_records_carry_no_content(record: LogRecord) -> None:
    assert not is_content(record)
    assert content_of_logs([record]) == SpanContent()
    assert join_logs([span()], [record]) == [span()]


def test_a_record_without_a_span_belongs_to_none() -> None:
    lost = LogRecord(project_id="p1", log_id="1", time_ns=0, event_name="gen_ai.user.message", body='{"content":"hi"}')
    assert event_name(lost) == "gen_ai.user.message"
    assert not is_content(lost)


def test_what_a_span_says_itself_stays() -> None:
    content = SpanContent(input="1", output="2", tools="3", parameters={"seed": "7"}, finish_reason="stop")
    own = join_content(span(input='"mine"'), content)
    assert (own.input, own.output, own.tools, own.parameters) == ('"mine"', "2", "3", {"seed": "7"})


def test_only_the_spans_own_records_of_its_project_count() -> None:
    record = log("gen_ai.user.message", {"content": "hi"})
    other = Span(
        project_id="p2", trace_id=TRACE, span_id=SPAN, name="n", source="otlp", dialect="genai", start_ns=0, end_ns=1
    )
    mine, foreign = join_logs([span(), other], [record])
    assert mine.input
    assert foreign == other


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "parts", "message", "index", "id"]), inner, max_size=4)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["gen_ai.user.message", "gen_ai.choice", "gen_ai.content.prompt", "gen_ai.client.inference.operation.details", "x"]
)
KEYS = st.sampled_from(["gen_ai.input.messages", "gen_ai.prompt", "gen_ai.request.seed", "event.name", "x"])


@given(
    st.lists(
        st.builds(
            LogRecord,
            project_id=st.just("p1"),
            log_id=st.uuids().map(str),
            trace_id=st.just(TRACE),
            span_id=st.just(SPAN),
            time_ns=st.integers(0, 9),
            event_name=NAMES,
            body=JSON.map(json.dumps) | st.text(max_size=5),
            attributes=st.dictionaries(KEYS, JSON.map(json.dumps) | st.text(max_size=5), max_size=3),
        ),
        max_size=4,
    )
)
def test_any_records_give_content_that_is_json_and_joining_twice_changes_nothing(logs: list[LogRecord]) -> None:
    content = content_of_logs(logs)
    assert all(json.loads(text) is not None for text in (content.input, content.output, content.tools) if text)
    assert content == content_of_logs(logs + logs)
    once = join_logs([span()], logs)
    assert join_logs(once, logs) == once
