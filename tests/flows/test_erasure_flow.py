"""What is masked never reaches the data directory, and what is erased is in it no more, byte by byte."""

import json
import secrets
import time
from typing import cast

import httpx
import pytest

from tests.flows.harness import Object, Stack, objects, wait_for
from tests.flows.service_files import ServiceFolder
from zirkel.core import Json

pytestmark = pytest.mark.flow

MAIL, CARD = "anna.meier@example.ch", "4111 1111 1111 1111"
ERASED = "the-whisper-of-0815"
OTHERS = "the-shout-of-others"
USER, OTHER_USER = "user-0815", "user-4711"
PRIVACY = """
datasets = true
[[mask]]
recogniser = "email"
[[mask]]
recogniser = "card"
[retention]
content_days = 30
spans_days = 400
"""


def files_with(stack: Stack, text: str) -> list[str]:
    """Return every file of the data directory whose bytes hold a text."""
    found = []
    for path in stack.data_dir.rglob("*"):
        try:
            if path.is_file() and text.encode() in path.read_bytes():
                found.append(str(path.relative_to(stack.data_dir)))
        except FileNotFoundError:
            # The engine removes parts while it works.
            continue
    return found


def send_span(stack: Stack, trace_id: str, text: str, user: str) -> None:
    """Send a trace of two spans as an exporter would; only the root says whose it is."""
    now_ns = time.time_ns()  # noqa: TID251 (as an exporter would)
    root, child = secrets.token_hex(8), secrets.token_hex(8)

    def span(span_id: str, parent: str, attributes: dict[str, str]) -> Object:
        values: Json = [{"key": name, "value": {"stringValue": value}} for name, value in attributes.items()]
        times: Object = {"startTimeUnixNano": str(now_ns), "endTimeUnixNano": str(now_ns + 10**6)}
        return {"traceId": trace_id, "spanId": span_id, "parentSpanId": parent, "name": "chat", **times} | {
            "attributes": values
        }

    spans: Json = [
        span(root, "", {"user.id": user, "session.id": f"session-of-{user}", "note": text}),
        span(child, root, {"gen_ai.operation.name": "chat", "note": f"{text} {MAIL} {CARD}"}),
    ]
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "flow"}, "spans": spans}]}]}
    headers = {"authorization": f"Bearer {stack.key}"}
    answer = httpx.post(f"{stack.core_url}/v1/traces", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text


def call(stack: Stack, text: str, user: str) -> None:
    """Ask a model through the gateway."""
    with stack.sdk() as sdk:
        sdk.chat.completions.create(
            model="alpha/stub-1", messages=[{"role": "user", "content": f"{text} {MAIL}"}], user=user
        )


def give_score(stack: Stack, trace_id: str, text: str, user: str) -> None:
    """Give a score on a trace."""
    body: Json = {
        "name": "tone",
        "kind": "text",
        "label": f"{text} {MAIL}",
        "trace_id": trace_id,
        "comment": text,
        "user_id": user,
        "origin": "person",
    }
    with stack.client() as client:
        client.post("/api/v1/scores", body)


@pytest.fixture
def masked_stack(own_stack: Stack, service: ServiceFolder) -> Stack:
    """A stack that masks, with something of two users in every store."""
    with own_stack.client() as client:
        client.put("/api/v1/privacy", {"toml": PRIVACY, "version": 0})
    for number, (text, user) in enumerate([(ERASED, USER), (OTHERS, OTHER_USER)]):
        trace_id = f"{number + 1:032x}"
        send_span(own_stack, trace_id, text, user)
        call(own_stack, text, user)
        give_score(own_stack, trace_id, text, user)
    item = {
        "id": "theirs",
        "input": {"review": f"{ERASED} {MAIL}"},
        "metadata": {"provenance": {"trace_id": f"{1:032x}", "user_id": USER}},
    }
    path = service.folder / "datasets" / "golden.jsonl"
    path.write_text(path.read_text() + json.dumps(item) + "\n")
    own_stack.adopt(service)
    for number in (1, 2):
        own_stack.wait_for_spans(f"{number:032x}", 2)
    return own_stack


def test_what_is_masked_never_reaches_a_disk_and_what_is_erased_is_gone_from_it(
    masked_stack: Stack, service: ServiceFolder
) -> None:
    stack = masked_stack
    assert files_with(stack, MAIL) == []
    assert files_with(stack, CARD) == []
    assert any(path.startswith("spool/") for path in files_with(stack, ERASED))
    assert any(path.startswith("blobs/") for path in files_with(stack, ERASED))

    dry = json.loads(stack.run("erase", "--user", USER, "--dry-run", "--json").output)
    assert files_with(stack, ERASED) != []
    done = json.loads(stack.run("erase", "--user", USER, "--yes", "--json").output)
    places = {str(place["place"]): cast(Object, place["removed"]) for place in objects(done["places"])}
    assert done["traces"] == dry["traces"] == 2
    assert places["telemetry"]["scores"] == 1
    assert cast(int, places["telemetry"]["spans"]) >= 4
    assert places["experiments"]["items"] == 1

    wait_for(lambda: not files_with(stack, ERASED), "nothing of the erased text is left in the data directory")
    assert stack.spans(f"{1:032x}") == []
    assert len(stack.spans(f"{2:032x}")) == 2
    (entry,) = stack.ledger("privacy.erased")
    assert USER not in json.dumps(entry)
    assert entry["subject_hash"] == done["subject_hash"]

    # The release still opens and answers; what was erased cannot be pushed again.
    with stack.client() as client:
        client.post(f"/api/v1/services/{service.name}/ship", {"weight": 0.5, "break_glass": "test"})
    assert stack.command("push", str(service.folder)).exit_code == 1


def test_retention_and_the_document_are_at_hand_on_the_command_line(own_stack: Stack) -> None:
    document = own_stack.folder / "privacy.toml"
    document.write_text(PRIVACY)
    assert "2 masking rules" in own_stack.run("privacy", "check", str(document)).output
    assert "version 1" in own_stack.run("privacy", "apply", str(document)).output
    assert own_stack.run("privacy", "show").output.strip() == PRIVACY.strip()
    assert "content" in own_stack.run("privacy", "retain").output
    assert "nothing" in own_stack.run("privacy", "retain", "--now").output
    document.write_text('[[mask]]\npattern = "("\n')
    refused = own_stack.command("privacy", "check", str(document))
    assert (refused.exit_code, "mask[0].pattern" in refused.errors) == (2, True)
    assert len(json.loads(own_stack.run("privacy", "history", "--json").output)) == 1
