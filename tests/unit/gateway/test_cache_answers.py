"""The exact cache: a hit only for what asks the same, until the time is over, and only for good answers."""

import copy
from decimal import Decimal
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.memory_state import MemoryState
from zirkel.core import JsonObject, Overloaded, Usage
from zirkel.gateway.cache import AnswerCache, BoundedMap, CachedAnswer, is_cacheable, request_key
from zirkel.gateway.cache.answers import TRANSPORT_MEMBERS

SECOND_NS = 1_000_000_000
REQUEST: JsonObject = {
    "model": "service:triage",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}],
    "temperature": 0.2,
}


def make_answer(text: str = "An answer.", **changes: object) -> CachedAnswer:
    body = {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": text}}], **changes}
    return CachedAnswer(
        answer=msgspec.json.encode(body),
        usage=Usage(input_tokens=5, output_tokens=3),
        cost_usd=Decimal("0.000125"),
        created_ns=7,
        upstream="openai",
        model="gpt-4o",
    )


def make_cache(state: MemoryState | None = None) -> AnswerCache:
    return AnswerCache(BoundedMap(state or MemoryState(), max_bytes=1 << 20))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=3000))
def test_an_answer_comes_back_as_it_was_put(text: str) -> None:
    cache, answer = make_cache(), make_answer(text)
    assert cache.put(b"k" * 32, answer, 60, 0)
    assert cache.get(b"k" * 32, 60 * SECOND_NS - 1) == answer
    assert cache.get(b"k" * 32, 60 * SECOND_NS) is None


def test_a_cost_that_is_unknown_stays_unknown() -> None:
    cache = make_cache()
    cache.put(b"k", msgspec.structs.replace(make_answer(), cost_usd=None), 60, 0)
    found = cache.get(b"k", 0)
    assert found is not None
    assert found.cost_usd is None


def test_a_long_answer_takes_less_room_than_its_length() -> None:
    state = MemoryState()
    make_cache(state).put(b"k", make_answer("the same words again and again " * 200), 60, 0)
    assert sum(map(len, state._values.values())) < 1000


def test_a_state_that_is_full_is_a_miss_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    state = MemoryState()
    cache = make_cache(state)
    state.is_full = True
    assert [cache.put(b"k", make_answer(), 60, 0) for _ in range(3)] == [False] * 3
    assert cache.failures == 3
    assert len(caplog.records) == 2
    state.is_full = False
    assert cache.put(b"k", make_answer(), 60, 0)


def test_an_entry_that_is_damaged_is_a_miss(caplog: pytest.LogCaptureFixture) -> None:
    state = MemoryState()
    entries = BoundedMap(state, max_bytes=1 << 20)
    with entries.edit(0) as edit:
        edit.put(b"ak", b"\xc1", 10)
    assert AnswerCache(entries).get(b"k", 0) is None
    assert caplog.records


def test_a_state_that_cannot_be_read_is_a_miss(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryState):
        def get(self, key: bytes) -> bytes | None:
            raise Overloaded("too many readers")

    cache = make_cache(Broken())
    assert cache.get(b"k", 0) is None
    assert caplog.records


def key(request: JsonObject, project: str = "p", target: str = "t") -> bytes:
    return request_key(project, target, request)


def test_a_stream_and_a_whole_answer_share_an_entry() -> None:
    stream = {**REQUEST, "stream": True, "stream_options": {"include_usage": True}}
    assert key(stream) == key(REQUEST)


@pytest.mark.parametrize("name", sorted(TRANSPORT_MEMBERS))
def test_what_is_not_asked_makes_no_difference(name: str) -> None:
    assert key({**REQUEST, name: "anything"}) == key(REQUEST)


def test_order_and_nulls_and_single_text_parts_make_no_difference() -> None:
    messages = cast(list[JsonObject], REQUEST["messages"])
    parts = [{"type": "text", "text": "What is it?"}]
    other: JsonObject = {
        "temperature": 0.2,
        "tools": None,
        "messages": [messages[0], {"content": parts, "role": "user", "name": None}],
    }
    assert key(other) == key(REQUEST)


def test_a_part_that_says_more_than_its_text_makes_a_difference() -> None:
    marked = copy.deepcopy(REQUEST)
    part = {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}}
    cast(list[JsonObject], marked["messages"])[1]["content"] = [part]
    assert key(marked) != key(REQUEST)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.3},
        {"max_tokens": 5},
        {"n": 2},
        {"seed": 1},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": "What is it?"}]},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "what is it?"}]},
    ],
)
def test_whatever_is_asked_makes_a_difference(change: JsonObject) -> None:
    assert key({**REQUEST, **change}) != key(REQUEST)


def test_projects_and_targets_share_nothing() -> None:
    keys = {key(REQUEST, project, target) for project in ("a", "b", "ab") for target in ("b", "c", "bc", "")}
    assert len(keys) == 12


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("abé", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner, max_size=3),
    max_leaves=6,
)


@given(first=json_values, second=json_values)
def test_only_equal_requests_have_equal_keys(first: object, second: object) -> None:
    one: JsonObject = {"messages": [], "extra_body": [first]}
    two: JsonObject = {"messages": [], "extra_body": [second]}
    assert (key(one) == key(two)) == (
        msgspec.json.encode(one, order="sorted") == msgspec.json.encode(two, order="sorted")
    )


def whole(finish_reason: object = "stop", **message: object) -> JsonObject:
    return {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}]}


def test_an_answer_that_ended_by_itself_may_be_used_again() -> None:
    assert is_cacheable(whole(content="Yes."))
    assert is_cacheable(whole("tool_calls", content=None, tool_calls=[{"id": "1"}]))


@pytest.mark.parametrize(
    "answer",
    [
        whole("length", content="Ye"),
        whole("content_filter", content="Ye"),
        whole(None, content="Ye"),
        whole(content=""),
        whole(content=None),
        whole(content=None, refusal="I cannot."),
        {"choices": []},
        {},
        {"choices": [None]},
        {"error": {"message": "no"}, **whole(content="Yes.")},
        {
            "choices": [
                *cast(list[object], whole(content="Yes.")["choices"]),
                {"message": None, "finish_reason": "stop"},
            ]
        },
    ],
)
def test_what_is_cut_off_empty_refused_or_broken_may_not(answer: JsonObject) -> None:
    assert not is_cacheable(answer)
