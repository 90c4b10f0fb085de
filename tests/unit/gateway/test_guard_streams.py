"""Streamed answers: what comes out is what a whole answer would have become, as early as it can."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import JsonObject, ManualClock
from zirkel.core.guardrails import GuardrailsSpec
from zirkel.gateway.guardrails import Guardrails, GuardSession, compile_guardrails
from zirkel.gateway.guardrails.session import OutputOutcome


class NoPorts:
    """Nobody to ask: none of these guardrails asks."""

    async def ask_model(self, model: str, prompt: str) -> str:
        raise AssertionError(model)

    async def post_json(self, url: str, body: object, timeout_s: float) -> dict[str, object]:
        raise AssertionError(url)


def compiled(*sections: str) -> Guardrails:
    toml = "".join(f'[[guardrail]]\nname = "g{index}"\n{text}\n' for index, text in enumerate(sections))
    return compile_guardrails(msgspec.toml.decode(toml, type=GuardrailsSpec))


PII = 'kind = "pii"\nstage = "both"\naction = "mask"\nentities = ["email", "phone", "credit_card"]'
WORDS = 'kind = "words"\nstage = "output"\naction = "%s"\nwords = ["damn", "ann"]'
REGEX = 'kind = "regex"\nstage = "output"\naction = "%s"\npatterns = ["[ab]{2,5}c", "(?i)EMAIL"]'
SECRETS = 'kind = "secrets"\nstage = "output"\naction = "%s"'
LENGTH = 'kind = "length"\nstage = "output"\naction = "%s"\nmax_chars = 40'
RELEASES: dict[str, Guardrails] = {
    "pii": compiled(PII),
    "everything masked": compiled(PII, SECRETS % "mask", WORDS % "mask", REGEX % "mask"),
    "everything flagged": compiled(PII, SECRETS % "flag", WORDS % "flag", REGEX % "flag", LENGTH % "flag"),
    "words refused": compiled(PII, WORDS % "refuse"),
    "patterns refused": compiled(REGEX % "refuse"),
    "secrets refused": compiled(SECRETS % "refuse", LENGTH % "refuse"),
    "input only": compiled(PII.replace("both", "input")),
}
PIECES = [
    "ann@example.org", "bob@example.org", "[EMAIL_1]", "[EMAIL_2]", "[PHONE_1]", "4111 1111 1111 1111", "damn", "aabc",
    "sk-a1B2a1B2a1B2a1B2a1B2", " ", "\n", "[", "]", '"', "é", "a", "@", "+49 ",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


def new_session(guards: Guardrails) -> GuardSession:
    session = guards.session(NoPorts(), ManualClock())
    asyncio.run(session.check_input([{"role": "user", "content": "I am ann@example.org, +49 170 1234567"}]))
    return session


def chunk(delta: JsonObject, finish: str | None = None, index: int = 0, **more: object) -> JsonObject:
    choice: JsonObject = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def pieces_of(text: str, data: st.DataObject) -> list[str]:
    ends = data.draw(st.lists(st.integers(0, len(text)), max_size=len(text)).map(sorted))
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def tool_delta(index: int, arguments: str, **more: object) -> JsonObject:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}, **more}]}


def deltas_of(choice: object) -> JsonObject:
    assert isinstance(choice, dict)
    delta = choice["delta"]
    assert isinstance(delta, dict)
    return delta


def choices_of(chunks: list[JsonObject]) -> list[JsonObject]:
    found: list[JsonObject] = []
    for one in chunks:
        choices = one["choices"]
        assert isinstance(choices, list)
        found += choices
    return found


def joined(chunks: list[JsonObject]) -> dict[str, str]:
    """Return the whole texts of a stream's answer by their place."""
    whole: dict[str, str] = {}
    for choice in choices_of(chunks):
        delta = deltas_of(choice)
        for name in ("reasoning_content", "content"):
            if isinstance(text := delta.get(name), str):
                whole[name] = whole.get(name, "") + text
        calls = delta.get("tool_calls", [])
        assert isinstance(calls, list)
        for call in calls:
            name = f"tool {call['index']}"
            whole[name] = whole.get(name, "") + str(call["function"].get("arguments", ""))
    return {name: text for name, text in whole.items() if text}


def whole_texts(outcome: OutputOutcome) -> dict[str, str]:
    assert outcome.message is not None
    calls = outcome.message["tool_calls"]
    assert isinstance(calls, list)
    texts = {name: str(outcome.message[name]) for name in ("reasoning_content", "content")}
    texts |= {f"tool {index}": call["function"]["arguments"] for index, call in enumerate(calls)}
    return {name: text for name, text in texts.items() if text}


@pytest.mark.parametrize("name", RELEASES)
@given(reasoning=texts, content=texts, arguments=st.lists(texts, max_size=2), data=st.data())
def test_a_stream_says_what_the_whole_answer_would_say(
    name: str, reasoning: str, content: str, arguments: list[str], data: st.DataObject
) -> None:
    calls = [
        {"id": str(i), "type": "function", "function": {"name": "f", "arguments": a}} for i, a in enumerate(arguments)
    ]
    message: JsonObject = {
        "role": "assistant", "reasoning_content": reasoning, "content": content, "tool_calls": calls,
    }  # fmt: skip
    at_once = new_session(RELEASES[name])
    expected = asyncio.run(at_once.check_output(message))

    streamed = new_session(RELEASES[name])
    stream = streamed.output_stream()
    sent = [chunk({"role": "assistant", "content": ""})]
    sent += [chunk({"reasoning_content": piece}) for piece in pieces_of(reasoning, data)]
    sent += [chunk({"content": piece}) for piece in pieces_of(content, data)]
    for index, text in enumerate(arguments):
        sent.append(chunk(tool_delta(index, "", id=str(index), type="function")))
        sent += [chunk(tool_delta(index, piece)) for piece in pieces_of(text, data)]
    sent.append(chunk({}, "stop"))
    received = [out for one in sent for out in stream.feed(one)] + stream.finish()

    assert (stream.refusal is None) == (expected.refusal is None)
    if expected.refusal is None:
        assert joined(received) == whole_texts(expected)
        assert streamed.verdicts == at_once.verdicts
        assert choices_of(received)[-1]["finish_reason"] == "stop"
    else:
        assert [v.action for v in streamed.verdicts if v.stage == "output"].count("refuse") == 1


@given(content=texts, data=st.data())
def test_nothing_that_is_refused_leaves_before_the_refusal(content: str, data: st.DataObject) -> None:
    stream = new_session(compiled(WORDS % "refuse")).output_stream()
    sent = [chunk({"content": piece}) for piece in pieces_of(content, data)]
    received = joined([out for one in [*sent, chunk({}, "stop")] for out in stream.feed(one)]).get("content", "")
    again = asyncio.run(
        new_session(compiled(WORDS % "refuse")).check_output({"role": "assistant", "content": received + "\n"})
    )
    assert again.refusal is None
    assert content.startswith(received)


def test_text_goes_on_as_soon_as_it_can_be_no_match() -> None:
    stream = new_session(RELEASES["pii"]).output_stream()
    assert joined(stream.feed(chunk({"content": "Hello [EMA"}))) == {"content": "Hello "}
    assert stream.feed(chunk({"content": "IL_1"})) == []
    assert joined(stream.feed(chunk({"content": "]! Ok"}))) == {"content": "ann@example.org! "}


def test_a_flagged_stream_is_not_held_back() -> None:
    stream = new_session(compiled(SECRETS % "flag", WORDS % "flag")).output_stream()
    assert joined(stream.feed(chunk({"content": "a sk-a1B2"}))) == {"content": "a sk-a1B2"}


def test_what_is_held_back_comes_before_the_finish_and_before_another_text_begins() -> None:
    stream = new_session(RELEASES["everything masked"]).output_stream()
    out = stream.feed(chunk({"content": "let me loo"}))
    out += stream.feed(chunk({"content": "k"}))
    out += stream.feed(chunk(tool_delta(0, "", id="t", type="function")))
    out += stream.feed(chunk(tool_delta(0, '{"to": "x')))
    out += stream.feed(chunk({}, "tool_calls"))
    kinds = [next(iter(deltas_of(choice)), "finish") for choice in choices_of(out)]
    assert kinds == sorted(kinds, key=["content", "tool_calls", "finish"].index)
    assert joined(out) == {"content": "let me look", "tool 0": '{"to": "x'}
    assert stream.finish() == []


def test_a_last_chunk_with_text_and_finish_reason_has_all_of_its_text() -> None:
    stream = new_session(RELEASES["pii"]).output_stream()
    (last,) = choices_of(stream.feed(chunk({"content": "bye ann"}, "stop")))
    assert (deltas_of(last), last["finish_reason"]) == ({"content": "bye ann"}, "stop")


def test_several_answers_in_one_stream_are_kept_apart() -> None:
    session = new_session(RELEASES["pii"])
    stream = session.output_stream()
    out: list[JsonObject] = []
    for index, text in [(0, "[EMA"), (1, "[PHO"), (0, "IL_1]"), (1, "NE_1]")]:
        out += stream.feed(chunk({"content": text}, index=index))
    out += stream.finish()
    whole = {i: "".join(str(deltas_of(c)["content"]) for c in choices_of(out) if c["index"] == i) for i in (0, 1)}
    assert whole == {0: "ann@example.org", 1: "+49 170 1234567"}
    assert [verdict.stage for verdict in session.verdicts] == ["input", "output", "output"]


def test_chunks_without_choices_and_unknown_members_pass_unchanged() -> None:
    stream = new_session(RELEASES["pii"]).output_stream()
    usage: JsonObject = {"id": "c1", "choices": [], "usage": {"prompt_tokens": 1}}
    assert stream.feed(usage) == [usage]
    odd = chunk({"audio": {"data": "x"}}, obfuscation="zz")
    assert stream.feed(odd) == [odd]


def test_a_usage_beside_text_that_is_held_back_is_not_lost() -> None:
    stream = new_session(RELEASES["pii"]).output_stream()
    (out,) = stream.feed({**chunk({"content": "[EMAIL"}), "usage": {"prompt_tokens": 1}})
    assert (out["usage"], out["choices"]) == ({"prompt_tokens": 1}, [])


def test_token_probabilities_are_left_out_since_they_repeat_the_text() -> None:
    stream = new_session(RELEASES["pii"]).output_stream()
    (choice,) = choices_of(stream.feed(chunk({"content": "hi "}, logprobs={"content": [{"token": "hi"}]})))
    assert choice["logprobs"] is None


def test_after_a_refusal_nothing_more_comes_out() -> None:
    session = new_session(RELEASES["words refused"])
    stream = session.output_stream()
    stream.feed(chunk({"content": "well, "}))
    assert stream.feed(chunk({"content": "damn it all"})) == []
    assert stream.refusal is not None
    assert stream.refusal.guardrail == "g1"
    assert stream.feed(chunk({"content": "more"})) == []
    assert stream.finish() == []
    assert [(v.guardrail, v.action) for v in session.verdicts if v.stage == "output"] == [
        ("g0", "pass"),
        ("g1", "refuse"),
    ]
