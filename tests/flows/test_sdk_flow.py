"""Programs with the SDK against a real server: what they record arrives once, whether the server is there or not."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tests.flows.harness import Object, Stack, wait_for
from tests.flows.service_files import ServiceFolder
from zirkel.app.config import clean_environment
from zirkel.client import Unreachable

pytestmark = pytest.mark.flow

PROGRAM = Path(__file__).with_name("sdk_program.py")
SPANS = 4
"""Of one answer: agent, tool, retriever, generator."""


def _command(program: str, folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(PROGRAM), program, str(folder), *arguments]


def _run(stack: Stack, program: str, folder: Path, *arguments: str, key: str | None = None) -> Object:
    done = subprocess.run(
        _command(program, folder, *arguments),
        capture_output=True,
        text=True,
        env=stack.environment(key),
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    return cast(Object, json.loads(done.stdout))


def _scores(stack: Stack, trace_id: str) -> list[Object]:
    with stack.client() as client:
        try:
            return cast("list[Object]", client.get("/api/v1/scores", {"trace_id": trace_id})["scores"])
        except Unreachable:
            return []


def _by_name(spans: list[Object]) -> dict[str, Object]:
    return {str(span["name"]): span for span in spans}


def _assert_stored_once(stack: Stack, trace_ids: list[str]) -> None:
    stack.wait_for_traces(trace_ids, SPANS)
    for trace_id in trace_ids:
        scores = wait_for(partial(_scores, stack, trace_id), f"the score of {trace_id}")
        assert len(scores) == 1


def _start_again(stack: Stack) -> None:
    """Start a stack that was killed, on its former ports."""
    ports = ("--core-port", stack.core_port, "--gateway-port", stack.gateway_port, "--otlp-port", stack.otlp_port)
    command = [sys.executable, "-m", "zirkel.app", "up", "--data-dir", str(stack.data_dir), *map(str, ports)]
    command += ["--otlp-grpc-port", str(stack.otlp_grpc_port)]
    with (stack.folder / "zirkel.log").open("ab") as log:
        stack.process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=clean_environment({}), start_new_session=True
        )
    stack.wait_for_core()


def test_decorated_functions_are_a_tree_of_spans_with_what_they_were_given_and_gave(
    stack: Stack, tmp_path: Path
) -> None:
    found = _run(stack, "traced", tmp_path, key=stack.make_key("ingest"))
    assert found["is_sent"] is True
    spans = stack.wait_for_spans(str(found["trace_id"]), SPANS)
    named = _by_name(spans)
    agent, tool, retriever, writer = (named[name] for name in ("shop", "price", "find", "write"))

    assert {name: span["parent_span_id"] for name, span in named.items()} == {
        "shop": "",
        "price": agent["span_id"],
        "find": tool["span_id"],
        "write": agent["span_id"],
    }
    assert [span["kind"] for span in (agent, tool, retriever, writer)] == ["agent", "tool", "retriever", "span"]
    assert [span["operation"] for span in (agent, tool, retriever)] == ["invoke_agent", "execute_tool", "retrieval"]
    for span in spans:
        assert (span["session_id"], span["user_id"]) == ("session-1", "user-1")
        assert (span["service"], span["environment"], span["tags"]) == ("shop", "staging", ["shop"])
    parts = [{"type": "text", "content": "kettle"}]
    assert json.loads(str(agent["input"])) == [{"role": "user", "parts": parts}]
    assert json.loads(str(tool["input"])) == {"article": "kettle"}
    assert json.loads(str(tool["output"])) == {"article": "kettle", "found": ["kettle is 40 CHF"]}
    assert json.loads(str(retriever["input"])) == "kettle"
    assert json.loads(str(retriever["output"])) == ["kettle is 40 CHF"]
    assert json.loads(str(writer["input"])) == {"found": {"article": "kettle", "found": ["kettle is 40 CHF"]}}
    assert json.loads(str(writer["output"])) == "It is kettle"

    (score,) = wait_for(lambda: _scores(stack, str(found["trace_id"])), "the score is stored")
    assert (score["name"], score["kind"], score["value"], score["comment"]) == ("helpful", "boolean", 1, "as asked")
    assert score["span_id"] == agent["span_id"]


def test_what_is_recorded_while_the_server_is_dead_arrives_once_when_it_is_back(
    own_stack: Stack, tmp_path: Path
) -> None:
    command = _command("outage", tmp_path / "kept")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own_stack.environment()
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None

        def told() -> Object:
            assert program.stdout is not None
            return cast(Object, json.loads(program.stdout.readline()))

        def go_on() -> None:
            assert program.stdin is not None
            program.stdin.write("\n")
            program.stdin.flush()

        first = told()
        assert (first["is_sent"], first["waiting"]) == (True, 0)
        own_stack.kill_all()
        go_on()
        second = told()
        assert (second["is_sent"], bool(second["waiting"])) == (False, True)
        assert list((tmp_path / "kept").rglob("*.record"))
        _start_again(own_stack)
        go_on()
        third = told()
        go_on()
        last = told()
        assert last["is_sent"] is True
        assert not list((tmp_path / "kept").rglob("*.record"))
    _assert_stored_once(own_stack, cast("list[str]", third["trace_ids"]))


def test_what_a_program_could_not_send_is_sent_by_the_next_one_of_its_service(own_stack: Stack, tmp_path: Path) -> None:
    own_stack.kill_all()
    trace_ids = cast("list[str]", _run(own_stack, "many", tmp_path / "kept", "3")["trace_ids"])
    trace_ids += cast("list[str]", _run(own_stack, "many", tmp_path / "kept", "2")["trace_ids"])
    _start_again(own_stack)
    both = [
        subprocess.Popen(
            _command("sending", tmp_path / "kept"), stdout=subprocess.PIPE, text=True, env=own_stack.environment()
        )
        for _ in range(2)
    ]
    for process in both:
        output, _ = process.communicate(timeout=60)
        assert json.loads(output)["is_sent"] is True
    _assert_stored_once(own_stack, trace_ids)


def test_a_forked_process_records_too_and_nothing_is_sent_by_both(stack: Stack, tmp_path: Path) -> None:
    found = _run(stack, "forked", tmp_path)
    assert (found["child"], found["is_sent"]) == (0, True)
    _assert_stored_once(stack, cast("list[str]", found["trace_ids"]))


def test_a_prompt_that_was_fetched_once_is_there_when_the_server_is_dead(
    own_stack: Stack, service: ServiceFolder, tmp_path: Path
) -> None:
    own_stack.adopt(service)
    key = own_stack.make_key("call")
    fetched = _run(own_stack, "prompted", tmp_path / "kept", service.name, key=key)
    own_stack.kill_all()
    kept = _run(own_stack, "prompted", tmp_path / "kept", service.name, key=key)
    assert (kept["version"], kept["messages"]) == (fetched["version"], fetched["messages"])
    assert cast("list[Object]", kept["messages"])[-1] == {"role": "user", "content": "Review: fine"}
    # For people; a benchmark holds the figure.
    print(f"\nprompt: {fetched['took_ms']} ms fetched, {kept['took_ms']} ms from disk with the server dead")


def test_the_prompt_route_knows_entity_tags_and_asks_for_a_role(stack: Stack, live: ServiceFolder) -> None:
    import httpx  # noqa: PLC0415 (only here)

    url = f"{stack.core_url}/api/v1/prompts/{live.name}"
    headers = {"authorization": f"Bearer {stack.make_key('call')}"}
    answer = httpx.get(url, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["variables"] == {"review": "string"}
    unchanged = httpx.get(url, headers={**headers, "if-none-match": answer.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    candidate = httpx.get(url, headers=headers, params={"release": "candidate"})
    assert candidate.json()["release"] != answer.json()["release"]
    assert httpx.get(url, headers=headers, params={"environment": "moon"}).status_code == 404
    assert httpx.get(url, headers={"authorization": f"Bearer {stack.make_key('ingest')}"}).status_code == 403


def test_a_call_through_the_gateway_is_in_the_trace_of_the_function_around_it(
    stack: Stack, live: ServiceFolder, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{stack.gateway_port}/v1"
    found = _run(stack, "asked", tmp_path, url, stack.key, live.name)
    spans = stack.wait_for_spans(str(found["trace_id"]), 3)
    own = next(span for span in spans if span["source"] == "otlp")
    call, attempt = (next(span for span in spans if span["kind"] == kind) for kind in ("call", "chat"))
    assert (call["parent_span_id"], attempt["parent_span_id"]) == (own["span_id"], call["span_id"])
    assert (own["prompt_name"], own["prompt_version"]) == (call["prompt_name"], call["prompt_version"])
    assert own["prompt_version"]
