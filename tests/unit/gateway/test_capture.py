"""How much of a call is kept: all of it, nothing that tells of people, or nothing of what was said."""

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import CaptureMode, Json, Resilience
from zirkel.gateway import SnapshotKey, SnapshotProject, SnapshotTarget
from zirkel.gateway.masking import mask_json, mask_text

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage

MAIL, TOKEN = "ann@example.org", "sk-ant-api03-" + "A1b2C3d4E5" * 9 + "-AA"
TEXT = f"Line one\n{MAIL} has\t{TOKEN}"
TOOLS: Json = [{"type": "function", "function": {"name": "send", "description": f"to {MAIL}", "parameters": {}}}]


def _capture(stage: "Stage", *, key: CaptureMode | None = None, project: CaptureMode = "on") -> None:
    keys: dict[str, SnapshotKey] = {
        secret: msgspec.structs.replace(found, capture=key) for secret, found in stage.source.snapshot.keys.items()
    }
    stage.configure(keys=keys, project=SnapshotProject(capture=project, resilience=Resilience(retries=0)))


def _echo(stage: "Stage") -> None:
    async def echo(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
        function: Json = {"name": "send", "arguments": json.dumps({"to": f"\n{MAIL}"})}
        calls: Json = [{"id": "c1", "type": "function", "function": function}]
        message: Json = {"role": "assistant", "content": f"I know\n{MAIL}", "tool_calls": calls}
        return web.json_response({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})

    async def refuse(request: web.Request, body: dict[str, Json]) -> web.StreamResponse:
        return web.json_response({"error": {"message": f"I do not like\n{MAIL}"}}, status=422)

    stage.upstream.handlers |= {"echo": echo, "refuse": refuse}


def _ask(stage: "Stage", model: str) -> None:
    members: dict[str, Json] = {"model": f"stub/{model}", "messages": [{"role": "user", "content": TEXT}]}
    members |= {"tools": TOOLS, "stop": [MAIL], "temperature": 0.5, "logprobs": True}
    members |= {"prediction": {"type": "content", "content": MAIL}}
    stage.ask(members)


def _recorded(stage: "Stage") -> str:
    return b"".join(stage.sink.payloads).decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("key", "project", "is_kept"), [(None, "on", True), ("off", "on", False), (None, "off", False), ("on", "off", True)]
)
def test_the_keys_setting_goes_before_the_projects(
    stage: "Stage", key: CaptureMode | None, project: CaptureMode, is_kept: bool
) -> None:
    _capture(stage, key=key, project=project)
    stage.ask_service()

    call, attempt = stage.only_call()
    assert ("Ünser" in call.input) == ("Ünser" in attempt.input) == is_kept
    assert ("rld" in call.output) == ("rld" in attempt.output) == is_kept


@pytest.mark.parametrize("model", ["echo", "refuse"])
def test_off_keeps_nothing_of_what_was_said(stage: "Stage", model: str) -> None:
    _capture(stage, key="off")
    _echo(stage)
    _ask(stage, model)

    recorded = _recorded(stage)
    assert [word for word in ("ann@", "Line one", "I know", "I do not like", "send", TOKEN) if word in recorded] == []
    call, attempt = stage.only_call()
    assert (call.input, call.output, attempt.input, attempt.output, attempt.tools) == ("", "", "", "", "")
    assert attempt.parameters == {"temperature": "0.5", "logprobs": "true"}
    assert attempt.usage.input_tokens is not None or attempt.settlement == "free"


def test_off_keeps_nothing_of_a_call_that_fails_early(stage: "Stage") -> None:
    _capture(stage, project="off")
    stage.ask({"model": "service:triage", "zirkel": {"variables": {"ticket": 7, TEXT: MAIL}}})
    stage.ask({"model": "service:none", "messages": [{"role": "user", "content": TEXT}]})

    assert len(stage.sink.payloads) == 2
    assert "ann@" not in _recorded(stage)
    assert "Line one" not in _recorded(stage)


@pytest.mark.parametrize("model", ["echo", "refuse"])
def test_masked_keeps_no_personal_datum_and_no_secret_in_clear(stage: "Stage", model: str) -> None:
    _capture(stage, key="masked")
    _echo(stage)
    _ask(stage, model)

    recorded = _recorded(stage)
    assert MAIL not in recorded
    assert TOKEN not in recorded
    _, attempt = stage.only_call()
    said = json.loads(attempt.input)[0]["content"]
    assert said.startswith("Line one\n[EMAIL] has\t[")
    assert json.loads(attempt.tools)[0]["function"]["description"] == "to [EMAIL]"
    assert json.loads(attempt.parameters["stop"]) == ["[EMAIL]"]
    if model == "echo":
        message = json.loads(attempt.output)
        assert message["content"] == "I know\n[EMAIL]"
        assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"to": "\n[EMAIL]"}


def test_masking_is_of_the_record_and_not_of_the_call(stage: "Stage") -> None:
    _capture(stage, key="masked")
    _echo(stage)
    reply = stage.ask({"model": "stub/echo", "messages": [{"role": "user", "content": TEXT}]})

    assert MAIL in reply.body.decode()
    assert MAIL in json.dumps(stage.upstream.requests)


def test_a_passage_is_captured_as_its_key_says(stage: "Stage") -> None:
    _capture(stage, key="off")
    body = json.dumps({"model": "good", "messages": [{"role": "user", "content": TEXT}]}).encode()
    stage.send("POST", "/providers/stub/chat/completions", body)

    assert "ann@" not in _recorded(stage)
    assert stage.only_call()[1].settlement == "reported"


@given(
    st.recursive(
        st.text(alphabet='\n\t"\\a@b.é', max_size=12) | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    )
)
def test_masked_json_is_json_of_the_same_shape(value: Json) -> None:
    masked = json.loads(mask_json(json.dumps(value), mask_text))

    assert isinstance(masked, list) == isinstance(value, list)
    assert isinstance(masked, dict) == isinstance(value, dict)
    if isinstance(value, list | dict):
        assert len(masked) == len(value)


@given(st.text(alphabet='\n\t"\\ ;,', max_size=3), st.integers(0, 2))
def test_a_mail_address_is_masked_behind_any_escape_however_deep(before: str, depth: int) -> None:
    text = f"{before}{MAIL}"
    for _ in range(depth):
        text = json.dumps({"inner": text})

    masked = mask_json(json.dumps({"text": text}), mask_text)
    assert MAIL not in masked
    found: Json = json.loads(masked)["text"]
    for _ in range(depth):
        found = json.loads(str(found))["inner"]
    assert found == f"{before}[EMAIL]"


def test_text_that_is_no_json_is_masked_as_it_is() -> None:
    assert mask_json(f"HTTP 422: {MAIL}", mask_text) == "HTTP 422: [EMAIL]"


def test_a_record_that_is_too_large_is_kept_without_what_was_said(stage: "Stage") -> None:
    stage.sink.largest_bytes = 4000
    stage.configure(SnapshotTarget("stub", "good"))
    stage.ask({"model": "stub/good", "messages": [{"role": "user", "content": "x" * 5000}]})

    call, attempt = stage.only_call()
    assert (call.input, attempt.input, attempt.settlement) == ("", "", "reported")
    assert attempt.cost_usd is not None
