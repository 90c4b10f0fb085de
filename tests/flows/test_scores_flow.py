"""Scores and feedback through real processes: read back within moments, and there after a kill."""

import json
import secrets

import httpx
import pytest

from tests.flows.harness import Object, Stack, objects, wait_for

pytestmark = pytest.mark.flow

PAGE = "https://shop.example"


def _listed(stack: Stack, trace_id: str) -> list[Object]:
    return objects(stack.get(f"/api/v1/scores?trace_id={trace_id}")["scores"])


def _feedback_key(stack: Stack) -> str:
    made = json.loads(stack.run("keys", "create", "page", "--role", "feedback", "--origin", PAGE, "--json").output)
    stack.secrets.append(str(made["key"]))
    return str(made["key"])


def _give_feedback(stack: Stack, key: str, body: Object) -> httpx.Response:
    return httpx.post(f"{stack.core_url}/api/v1/feedback?key={key}", content=json.dumps(body), headers={"origin": PAGE})


def test_scores_of_people_judges_and_end_users_are_read_back_corrected_and_withdrawn(stack: Stack) -> None:
    trace_id = secrets.token_hex(16)
    key = _feedback_key(stack)
    feedback: Object = {"name": "thumb", "value": True, "trace_id": trace_id, "user_id": "u", "score_id": trace_id}
    answer = _give_feedback(stack, key, feedback)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "accepted")
    assert answer.headers["access-control-allow-origin"] == PAGE
    # At once, whether it could be read yet or not.
    assert _give_feedback(stack, key, feedback).json()["outcome"] == "unchanged"
    assert _give_feedback(stack, key, {**feedback, "value": False}).json()["outcome"] == "corrected"
    stack.run("scores", "add", "tone", "--trace", trace_id, "--value", "0.25", "--id", f"{trace_id}-tone")
    with stack.client(stack.make_key("ingest")) as client:
        judged: Object = {"name": "tone", "value": 0.5, "trace_id": trace_id, "origin": "judge", "evaluator": "tone@1"}
        outcomes = [row["outcome"] for row in client.add_scores([judged, {**judged, "value": 0.75}])]
    assert outcomes == ["accepted", "corrected"]

    wait_for(lambda: len(_listed(stack, trace_id)) == 3, "three scores are listed")
    assert {row["origin"]: row["value"] for row in _listed(stack, trace_id)} == {
        "end_user": 0.0,
        "person": 0.25,
        "judge": 0.75,
    }
    history = stack.get_list(f"/api/v1/scores/{trace_id}/history")
    assert [version["value"] for version in history] == [1.0, 0.0]

    stack.run("scores", "withdraw", f"{trace_id}-tone")
    wait_for(lambda: len(_listed(stack, trace_id)) == 2, "the withdrawn score is listed no more")
    assert "(withdrawn)" in stack.run("scores", "history", f"{trace_id}-tone").output


def test_a_feedback_key_opens_neither_the_core_nor_the_gateway(stack: Stack) -> None:
    key = _feedback_key(stack)
    authorization = {"authorization": f"Bearer {key}"}
    gateway = f"http://127.0.0.1:{stack.gateway_port}"
    paths = ("traces", "health", "scores", "keys", "services", "limits", "evidence/pack")
    answers = [httpx.get(f"{stack.core_url}/api/v1/{path}", headers=authorization) for path in paths]
    answers += [httpx.get(f"{gateway}{path}", headers=authorization) for path in ("/v1/models", "/metrics")]
    answers.append(httpx.post(f"{stack.core_url}/v1/traces", headers=authorization, json={}))
    assert [answer.status_code for answer in answers] == [403] * len(answers)


def test_what_was_accepted_is_there_once_after_the_core_was_killed(own_stack: Stack) -> None:
    trace_id, key = secrets.token_hex(16), _feedback_key(own_stack)
    bodies: list[Object] = [
        {"name": "thumb", "value": True, "trace_id": trace_id, "score_id": f"{trace_id}-{number}"}
        for number in range(20)
    ]
    for number, body in enumerate(bodies):
        if number == 10:
            own_stack.kill("core")
            own_stack.wait_for_core()
        assert _give_feedback(own_stack, key, body).json()["outcome"] == "accepted"
    own_stack.kill("core")
    own_stack.wait_for_core()
    wait_for(lambda: len(_listed(own_stack, trace_id)) == len(bodies), "every accepted score is listed")
    for body in bodies:
        assert _give_feedback(own_stack, key, body).json()["outcome"] == "unchanged"
        assert len(own_stack.get_list(f"/api/v1/scores/{body['score_id']}/history")) == 1
