"""The guardrails of a call: what goes to the model, what comes back, and what is recorded."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Corrupt, Json, JsonObject, ManualClock
from zirkel.core.guardrails import GuardrailsSpec
from zirkel.gateway.guardrails import GuardSession, InputOutcome, OutputOutcome, Verdict, compile_guardrails
from zirkel.gateway.ports import UpstreamBroken

PII = """
[[guardrail]]
name = "pii"
kind = "pii"
stage = "both"
action = "mask"
entities = ["email", "phone"]
"""
CASES = "[guardrail.schema]\ntype = 'object'\nrequired = ['label']\n"
SCHEMA = f'[[guardrail]]\nname = "form"\nkind = "json_schema"\naction = "refuse"\nrepair = true\n{CASES}'


@dataclass
class StubPorts:
    """Answers what it is given; an exception is raised, and ``None`` never answers."""

    answer: str | Mapping[str, object] | Exception | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def ask_model(self, model: str, prompt: str) -> str:
        self.asked.append((model, prompt))
        answer = await self._answer()
        assert isinstance(answer, str)
        return answer

    async def post_json(self, url: str, body: Mapping[str, Json], timeout_s: float) -> Mapping[str, object]:
        self.asked.append((url, json.dumps(body)))
        answer = await self._answer()
        assert isinstance(answer, Mapping)
        return answer

    async def _answer(self) -> str | Mapping[str, object]:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is None:
            await asyncio.Event().wait()
        assert self.answer is not None
        return self.answer


def open_session(toml: str, ports: StubPorts | None = None) -> GuardSession:
    spec = msgspec.toml.decode(toml, type=GuardrailsSpec)
    return compile_guardrails(spec, service="triage", release="ab12").session(ports or StubPorts(), ManualClock())


def user(content: object) -> JsonObject:
    return {"role": "user", "content": content}


def said(content: str | None, **more: object) -> JsonObject:
    return {"role": "assistant", "content": content, **more}


def check_input(session: GuardSession, *messages: JsonObject) -> InputOutcome:
    return asyncio.run(session.check_input(list(messages)))


def check_output(session: GuardSession, message: JsonObject) -> OutputOutcome:
    return asyncio.run(session.check_output(message))


def summary(session: GuardSession) -> list[tuple[str, str, str, dict[str, int]]]:
    return [(v.guardrail, v.stage, v.action, dict(v.found)) for v in session.verdicts]


def test_the_model_sees_placeholders_and_the_caller_the_originals() -> None:
    session = open_session(PII)
    messages = [user("I am ann@example.org (+49 170 1234567)"), user("Again: ann@example.org")]
    outcome = check_input(session, *messages)
    assert [m["content"] for m in outcome.messages] == ["I am [EMAIL_1] ([PHONE_1])", "Again: [EMAIL_1]"]
    assert messages[1] == user("Again: ann@example.org"), "the caller's own messages are not changed"
    answer = check_output(session, said("Hello [EMAIL_1], not bob@example.org or [EMAIL_9]."))
    assert answer.message == said("Hello ann@example.org, not [EMAIL_2] or [EMAIL_9].")
    assert summary(session) == [
        ("pii", "input", "mask", {"email": 2, "phone": 1}),
        ("pii", "output", "mask", {"email": 1}),
    ]


def test_masked_values_come_back_within_the_arguments_of_a_tool_call() -> None:
    session = open_session(PII)
    check_input(session, user("mail ann@example.org"))
    call = {"id": "1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "[EMAIL_1]"}'}}
    message = check_output(session, said(None, tool_calls=[call])).message
    assert message is not None
    assert message["tool_calls"] == [{**call, "function": {"name": "mail", "arguments": '{"to": "ann@example.org"}'}}]


def test_what_a_tool_was_called_with_is_masked_again_in_the_next_turn() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "mail", "arguments": '{"to": "ann@example.org"}'}}
    tool: JsonObject = {"role": "tool", "tool_call_id": "1", "content": "sent to ann@example.org"}
    outcome = check_input(open_session(PII), said(None, tool_calls=[call]), tool)
    assert "ann@example.org" not in json.dumps(outcome.messages)
    assert outcome.messages[0]["content"] is None


def test_only_parts_of_text_are_touched() -> None:
    image: JsonObject = {"type": "image_url", "image_url": {"url": "https://ann@example.org/x.png"}}
    outcome = check_input(open_session(PII), user([{"type": "text", "text": "ann@example.org"}, image]))
    assert outcome.messages == [user([{"type": "text", "text": "[EMAIL_1]"}, image])]


@given(
    st.lists(st.sampled_from(["ann@a.org", "bob@b.org", "[EMAIL_1]", "[EMAIL_2]", "[", " ", "é", '"', "x\n"])).map(
        "".join
    )
)
def test_masking_and_then_unmasking_is_the_identity(text: str) -> None:
    session = open_session(PII)
    (masked,) = check_input(session, user(text)).messages
    assert "ann@a.org" not in str(masked["content"])
    back = check_output(session, said(str(masked["content"]))).message
    assert back == said(text)


def test_irreversible_masks_stay() -> None:
    session = open_session(PII + "reversible = false\n")
    assert check_input(session, user("ann@example.org")).messages == [user("[EMAIL_1]")]
    assert not open_session(PII.replace("both", "input")).touches_output
    assert check_output(session, said("Hello [EMAIL_1]")).message == said("Hello [EMAIL_1]")


def test_without_anything_masked_an_unchecked_answer_is_not_touched() -> None:
    session = open_session(PII.replace('"both"', '"input"'))
    check_input(session, user("nothing"))
    assert not session.touches_output
    check_input(session, user("ann@example.org"))
    assert session.touches_output


WORDS = '[[guardrail]]\nname = "tone"\nkind = "words"\nstage = "both"\naction = "refuse"\nwords = ["damn"]\n'


def test_a_refusal_says_which_guardrail_and_never_the_text() -> None:
    session = open_session(WORDS)
    outcome = check_input(session, user("Damn, my number is 42"))
    assert outcome.messages == []
    assert outcome.refusal is not None
    assert (outcome.refusal.guardrail, outcome.refusal.kind, outcome.refusal.stage) == ("tone", "words", "input")
    assert outcome.refusal.message == "guardrail 'tone' (words) refuses the input: it contains words"
    assert summary(session) == [("tone", "input", "refuse", {"words": 1})]


def test_guardrails_run_in_their_order_and_none_after_a_refusal() -> None:
    mask = '[[guardrail]]\nname = "first"\nkind = "regex"\nstage = "input"\naction = "mask"\npatterns = ["dam."]\n'
    assert check_input(open_session(mask + WORDS), user("damn")).refusal is None
    session = open_session(WORDS + mask)
    assert check_input(session, user("damn")).refusal is not None
    assert [verdict.guardrail for verdict in session.verdicts] == ["tone"]


def test_flagged_text_passes_and_is_counted_by_pattern() -> None:
    toml = "[[guardrail]]\nname = 'f'\nkind = 'regex'\nstage = 'output'\naction = 'flag'\npatterns = ['a+', 'b']\n"
    session = open_session(toml)
    assert check_output(session, said("aab ab", reasoning_content="b")).message == said("aab ab", reasoning_content="b")
    assert summary(session) == [("f", "output", "flag", {"patterns[0]": 2, "patterns[1]": 3})]


@pytest.mark.parametrize(("action", "is_refused"), [("refuse", True), ("flag", False)])
def test_length_counts_all_texts_but_the_reasoning(action: str, is_refused: bool) -> None:
    toml = f"[[guardrail]]\nname = 'l'\nkind = 'length'\nstage = 'both'\naction = '{action}'\nmax_chars = 6\n"
    for more, is_too_long in (("c", False), ("cd", True)):
        session = open_session(toml)
        outcome = check_input(session, user("äbc"), user([{"type": "text", "text": f"ab{more}"}]))
        assert (outcome.refusal is not None) == (is_too_long and is_refused)
        assert summary(session)[0][2:] == ((action, {"too_long": 1}) if is_too_long else ("pass", {}))
    assert check_output(open_session(toml), said("abc", reasoning_content="long" * 9)).refusal is None


def test_a_long_text_gives_way_to_other_calls() -> None:
    async def run() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            other = group.create_task(count())
            await open_session(PII).check_input([user("x " * 100_000)])
            other.cancel()
        return turns

    assert asyncio.run(run()) > 5


def test_an_answer_that_breaks_the_schema_is_asked_for_once_more_and_then_refused() -> None:
    session = open_session(SCHEMA)
    first = check_output(session, said('{"lable": 1}'))
    assert (first.message, first.refusal) == (None, None)
    assert first.repair is not None
    assert first.repair[0] == said('{"lable": 1}')
    assert "$: 'label' is a required property" in str(first.repair[1]["content"])
    second = check_output(session, said("not JSON"))
    assert second.repair is None
    assert second.refusal is not None
    assert second.refusal.message.endswith("refuses the answer: it breaks 'json' of the schema at $")
    assert summary(session) == [
        ("form", "output", "repair", {"required": 1}),
        ("form", "output", "refuse", {"json": 1}),
    ]


def test_a_repaired_answer_passes() -> None:
    session = open_session(SCHEMA)
    check_output(session, said("{}"))
    assert check_output(session, said('{"label": 1}')).message == said('{"label": 1}')


def test_the_schema_judges_what_the_caller_gets() -> None:
    schema = f"{SCHEMA}[guardrail.schema.properties.label]\npattern = '@'\n"
    session = open_session(PII.replace("both", "input") + schema.replace("repair = true", ""))
    check_input(session, user("ann@example.org"))
    answer = check_output(session, said('{"label": "[EMAIL_1]"}'))
    assert answer.message == said('{"label": "ann@example.org"}')


def test_an_answer_of_tool_calls_alone_is_not_checked_against_the_schema() -> None:
    message = said(None, tool_calls=[{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}])
    assert check_output(open_session(SCHEMA), message).message == message
    assert check_output(open_session(SCHEMA), said(None)).repair is not None


HTTP = "[[guardrail]]\nname = 'hook'\nkind = 'http'\nstage = 'both'\nurl = 'http://hook/'\ntimeout_s = 0.01\n"
INJECTION = (
    "[[guardrail]]\nname = 'inj'\nkind = 'injection'\nstage = 'both'\naction = 'refuse'\nurl = 'http://inj/'\n"
    "threshold = 0.8\ntimeout_s = 0.01\n"
)
JUDGE = (
    "[[guardrail]]\nname = 'judge'\nkind = 'judge'\nstage = 'both'\naction = 'refuse'\nmodel = 'local/small'\n"
    "question = 'Is it rude?'\ntimeout_s = 0.01\n"
)


def test_a_hook_is_told_stage_text_service_and_release_and_what_is_new_only() -> None:
    ports = StubPorts({"verdict": "pass"})
    session = open_session(HTTP, ports)
    check_input(session, {"role": "system", "content": "S"}, user("old"), said("A"), user("new"))
    assert [(url, json.loads(body)) for url, body in ports.asked] == [
        ("http://hook/", {"stage": "input", "text": "new", "service": "triage", "release": "ab12"})
    ]
    assert summary(session) == [("hook", "input", "pass", {})]


def test_without_a_user_message_the_prompt_itself_is_asked_about() -> None:
    ports = StubPorts({"verdict": "pass"})
    check_input(open_session(HTTP, ports), {"role": "system", "content": "S"})
    assert [json.loads(body)["text"] for _, body in ports.asked] == ["S"]


@pytest.mark.parametrize(
    ("answer", "content", "action"),
    [
        ({"verdict": "mask", "text": "****", "extra": 1}, "****", "mask"),
        ({"verdict": "flag"}, "text", "flag"),
        ({"verdict": "pass"}, "text", "pass"),
    ],
)
def test_a_hook_decides(answer: Mapping[str, object], content: str, action: str) -> None:
    session = open_session(HTTP, StubPorts(answer))
    assert check_output(session, said("text")).message == said(content)
    assert summary(session) == [("hook", "output", action, {} if action == "pass" else {action: 1})]


def test_a_hooks_reason_is_told_to_the_caller_and_not_recorded() -> None:
    session = open_session(HTTP, StubPorts({"verdict": "refuse", "reason": "mentions Ann"}))
    refusal = check_output(session, said("text")).refusal
    assert refusal is not None
    assert refusal.message == "guardrail 'hook' (http) refuses the answer: mentions Ann"
    assert "Ann" not in repr(session.verdicts)


@pytest.mark.parametrize(("score", "is_refused"), [(0.79, False), (0.8, True), (1, True), (0, False)])
def test_a_classifier_refuses_from_its_threshold_on(score: float, is_refused: bool) -> None:
    outcome = check_input(open_session(INJECTION, StubPorts({"score": score})), user("text"))
    assert (outcome.refusal is not None) == is_refused


@pytest.mark.parametrize(("answer", "is_refused"), [("Yes.", True), ("**yes**, it is", True), ("no", False)])
def test_a_judge_refuses_if_it_says_yes(answer: str, is_refused: bool) -> None:
    ports = StubPorts(answer)
    outcome = check_input(open_session(JUDGE, ports), user('say "no"\n'))
    assert (outcome.refusal is not None) == is_refused
    ((model, prompt),) = ports.asked
    assert model == "local/small"
    assert "Is it rude?" in prompt
    assert r'"say \"no\"\n"' in prompt, "the text is one JSON string, so it cannot end early"


@pytest.mark.parametrize("toml", [HTTP, INJECTION, JUDGE])
@pytest.mark.parametrize(("on_error", "action"), [("refuse", "refuse"), ("pass", "pass")])
@pytest.mark.parametrize(
    ("answer", "error"), [(None, "timeout"), (UpstreamBroken("http_500", "HTTP 500"), "http_500"), ("bad", "unusable")]
)
def test_who_cannot_be_asked_counts_as_the_guardrail_says(
    toml: str, on_error: str, action: str, answer: object, error: str
) -> None:
    bad: str | Mapping[str, object] = "maybe" if toml == JUDGE else {"score": 2, "verdict": "perhaps"}
    given_answer = bad if answer == "bad" else answer
    assert given_answer is None or isinstance(given_answer, str | Mapping | Exception)
    session = open_session(f"{toml}on_error = '{on_error}'\n", StubPorts(given_answer))
    outcome = check_input(session, user("text"))
    assert (outcome.refusal is not None) == (on_error == "refuse")
    assert [(v.action, v.error, dict(v.found)) for v in session.verdicts] == [(action, error, {})]


@pytest.mark.parametrize(("toml", "needs"), [(PII, False), (WORDS, False), (SCHEMA, True), (HTTP, True), (JUDGE, True)])
def test_checks_that_judge_an_answer_as_a_whole_need_all_of_it(toml: str, needs: bool) -> None:
    spec = msgspec.toml.decode(toml, type=GuardrailsSpec)
    assert compile_guardrails(spec).needs_whole_output == needs


def test_checks_of_the_input_do_not_keep_an_answer_from_streaming() -> None:
    spec = msgspec.toml.decode(HTTP.replace("both", "input"), type=GuardrailsSpec)
    assert not compile_guardrails(spec).needs_whole_output


def test_a_release_whose_pattern_does_not_compile_is_corrupt() -> None:
    toml = "[[guardrail]]\nname = 'f'\nkind = 'regex'\nstage = 'output'\naction = 'flag'\npatterns = ['(']\n"
    with pytest.raises(Corrupt, match="guardrail 'f' of release"):
        compile_guardrails(msgspec.toml.decode(toml, type=GuardrailsSpec))


def test_a_verdict_has_the_time_that_was_spent() -> None:
    clock = ManualClock()

    class Slow(StubPorts):
        async def _answer(self) -> Mapping[str, object]:
            clock.advance(2)
            return {"verdict": "pass"}

    spec = msgspec.toml.decode(HTTP, type=GuardrailsSpec)
    session = compile_guardrails(spec).session(Slow(), clock)
    asyncio.run(session.check_output(said("text")))
    assert session.verdicts == [Verdict("hook", "http", "output", "pass", {}, 2_000_000_000)]
