"""Items of a dataset, made of traces."""

import msgspec
from msgspec.structs import replace

from zirkel.core import Span, SpanKind
from zirkel.observe.dataset_items import collect_items, input_digest

CALL = Span(
    project_id="p",
    trace_id="1" * 32,
    span_id="a" * 16,
    name="service:triage",
    kind=SpanKind.CALL,
    source="gateway",
    start_ns=1_790_000_000_000_000_000,
    end_ns=1_790_000_001_000_000_000,
    service="triage",
    release="r" * 64,
    session_id="s1",
    user_id="alice",
    input='{"review":"good kettle"}',
    output='"positive"',
)


def test_a_call_of_a_service_gives_its_variables_and_says_where_they_came_from() -> None:
    attempt = replace(CALL, span_id="b" * 16, kind=SpanKind.CHAT, input='[{"role":"user","content":"rendered"}]')
    (item,) = collect_items([attempt, CALL]).items
    assert item.input == {"review": "good kettle"}
    assert item.expected is None
    assert item.cluster == "s1"
    assert item.metadata["output"] == '"positive"'
    provenance = msgspec.convert(item.metadata["provenance"], dict[str, str])
    assert (provenance["trace_id"], provenance["release"]) == (CALL.trace_id, CALL.release)
    assert provenance["time"].startswith("2026-09-21T")


def test_the_same_input_comes_once_however_its_json_is_written() -> None:
    again = replace(CALL, trace_id="2" * 32, input='{ "review": "good kettle" }')
    found = collect_items([CALL, again])
    assert (len(found.items), found.duplicates) == (1, 1)
    known = [input_digest({"review": "good kettle"})]
    assert collect_items([CALL], known).duplicates == 1


def test_a_program_that_calls_a_model_by_itself_gives_its_last_user_message() -> None:
    messages = '[{"role":"user","content":"old"},{"role":"user","parts":[{"type":"text","content":"new"}]}]'
    span = replace(CALL, kind=SpanKind.CHAT, source="otlp", service="", input=messages)
    (item,) = collect_items([span], variable="question").items
    assert item.input == {"question": "new"}


def test_traces_without_a_usable_input_are_named_with_the_reason() -> None:
    tool = replace(CALL, trace_id="3" * 32, kind=SpanKind.TOOL)
    blank = replace(CALL, trace_id="4" * 32, input="")
    image = replace(CALL, trace_id="5" * 32, input='[{"role":"user","content":[{"type":"image_url"}]}]')
    found = collect_items([tool, blank, image])
    assert not found.items
    assert [(one.trace_id[0], "no model call" in one.reason) for one in found.unusable] == [
        ("3", True), ("4", False), ("5", False),
    ]  # fmt: skip
