"""A kept answer as a stream: put together again, it is the answer."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import JsonObject
from zirkel.gateway.cache import hub_chunks

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def join(chunks: list[JsonObject]) -> JsonObject:
    """Put chunks together as a client does."""
    choices: dict[object, JsonObject] = {}
    usage: object = None
    for chunk in chunks:
        usage = chunk.get("usage", usage)
        for part in cast(list[JsonObject], chunk["choices"]):
            choice = choices.setdefault(part["index"], {"index": part["index"], "message": {}, "finish_reason": None})
            message = cast(JsonObject, choice["message"])
            for name, value in cast(JsonObject, part["delta"]).items():
                if name == "tool_calls":
                    calls = cast(list[JsonObject], message.setdefault(name, []))
                    for call in cast(list[JsonObject], value):
                        assert call["index"] == len(calls)
                        calls.append({key: inner for key, inner in call.items() if key != "index"})
                elif isinstance(value, str) and name != "role":
                    message[name] = cast(str, message.get(name, "")) + value
                else:
                    message[name] = value
            choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]
            if "logprobs" in part:
                choice["logprobs"] = part["logprobs"]
    found: JsonObject = {"choices": list(choices.values())}
    return found if usage is None else found | {"usage": usage}


tool_calls = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text("ab", min_size=1, max_size=3),
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": st.just("f"), "arguments": st.just('{"x":1}')}),
        }
    ),
    min_size=1,
    max_size=3,
)
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": st.text(max_size=20)},
    optional={
        "reasoning_content": st.text(min_size=1, max_size=9),
        "tool_calls": tool_calls,
        "annotations": st.just([{"type": "url_citation"}]),
    },
)


@given(
    answers=st.lists(st.tuples(messages, st.sampled_from(["stop", "tool_calls"])), min_size=1, max_size=3),
    has_usage=st.booleans(),
)
def test_the_chunks_put_together_are_the_answer(answers: list[tuple[JsonObject, str]], has_usage: bool) -> None:
    choices = [
        {"index": index, "message": message, "finish_reason": reason} for index, (message, reason) in enumerate(answers)
    ]
    answer: JsonObject = {"id": "x", "choices": choices} | ({"usage": USAGE} if has_usage else {})
    assert {"id": "x"} | join(hub_chunks(answer)) == answer


def test_each_chunk_names_the_answer_and_the_usage_comes_last() -> None:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
        "logprobs": {"c": 1},
    }
    answer: JsonObject = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": USAGE,
    }
    chunks = hub_chunks(answer)
    assert {(c["id"], c["object"], c["created"], c["model"]) for c in chunks} == {
        ("x", "chat.completion.chunk", 1, "m")
    }
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == USAGE
    first = cast(list[JsonObject], chunks[0]["choices"])[0]
    assert first["delta"] == {"role": "assistant", "content": ""}
    assert first["logprobs"] == {"c": 1}


def test_content_that_is_null_is_not_said() -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    chunks = hub_chunks({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    deltas = [cast(list[JsonObject], chunk["choices"])[0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": ""}, {"tool_calls": [{"index": 0, "id": "1"}]}, {}]
