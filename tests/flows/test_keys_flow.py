"""Keys from their making to their end, as the core and every gateway worker see them."""

import http.client
import json

import httpx
import pytest

from tests.flows.harness import Object, Stack, wait_for

pytestmark = pytest.mark.flow


def _make_key(stack: Stack, *options: str) -> tuple[str, str]:
    """Return id and text of a new key that may call and read."""
    made: Object = json.loads(
        stack.run("keys", "create", "app", "--role", "call", "--role", "read", *options, "--json").output
    )
    return str(made["key_id"]), _remember(stack, str(made["key"]))


def _remember(stack: Stack, text: str) -> str:
    stack.secrets.append(text.strip())
    return text.strip()


def _status_at_core(stack: Stack, key: str) -> int:
    return httpx.get(f"{stack.core_url}/api/v1/services", headers={"authorization": f"Bearer {key}"}).status_code


def _status_on(connection: http.client.HTTPConnection, key: str) -> int:
    connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
    response = connection.getresponse()
    response.read()
    return response.status


def _statuses(stack: Stack, workers: dict[str, http.client.HTTPConnection], key: str) -> set[int]:
    """Return what the core and each gateway worker answer a key with."""
    return {_status_at_core(stack, key), *(_status_on(connection, key) for connection in workers.values())}


def test_a_revoked_key_is_refused_by_every_process_at_once(stack: Stack) -> None:
    key_id, text = _make_key(stack)
    with stack.worker_connections() as workers:
        assert _statuses(stack, workers, text) == {200}
        stack.run("keys", "revoke", key_id)
        assert _statuses(stack, workers, text) == {401}
    assert stack.command("keys", "revoke", key_id).exit_code == 2
    assert [entry["label"] for entry in stack.ledger("key.revoked") if entry["key_id"] == key_id] == ["app"]


def test_a_rotated_keys_secrets_work_everywhere_until_the_overlap_ends(stack: Stack) -> None:
    key_id, first = _make_key(stack)
    with stack.worker_connections() as workers:
        second = _remember(stack, stack.run("keys", "rotate", key_id, "--overlap", "1h").output)
        assert [_statuses(stack, workers, text) for text in (first, second)] == [{200}, {200}]
        # Rotating again ends the first secret at once, and without an overlap the second too.
        third = _remember(stack, stack.run("keys", "rotate", key_id, "--overlap", "1h").output)
        assert [_statuses(stack, workers, text) for text in (first, second, third)] == [{401}, {200}, {200}]
        fourth = _remember(stack, stack.run("keys", "rotate", key_id, "--overlap", "0").output)
        assert [_statuses(stack, workers, text) for text in (second, third, fourth)] == [{401}, {401}, {200}]
        fifth = _remember(stack, stack.run("keys", "rotate", key_id, "--overlap", "1s").output)
        wait_for(lambda: _statuses(stack, workers, fourth) == {401}, "the overlap ends")
        assert _statuses(stack, workers, fifth) == {200}
        stack.run("keys", "revoke", key_id)
        assert _statuses(stack, workers, fifth) == {401}
    assert len([entry for entry in stack.ledger("key.rotated") if entry["key_id"] == key_id]) == 4


def test_a_keys_policy_is_shown_changed_and_recorded(stack: Stack) -> None:
    key_id, _ = _make_key(stack, "--user", "ann", "--rpm", "60", "--budget", "month=15:20", "--days", "30")
    stack.run("keys", "change", key_id, "--budget", "day=2", "--capture", "masked")
    shown: Object = json.loads(stack.run("keys", "show", key_id, "--json").output)
    policy = {
        "user": "ann",
        "limits": {
            "requests_per_minute": 60,
            "budget": [
                {"window": "day", "hard_usd": "2"},
                {"window": "month", "soft_usd": "15", "hard_usd": "20"},
            ],
        },
        "capture": "masked",
    }
    assert shown["policy"] == policy
    (line,) = [line for line in stack.run("keys", "list").output.splitlines() if line.startswith(key_id)]
    assert " valid, expires 20" in line
    assert line.endswith("day=2 month=15:20")
    assert [entry["policy"] for entry in stack.ledger("key.policy_changed") if entry["key_id"] == key_id] == [policy]
    refused = stack.command("keys", "change", key_id, "--budget", "day=3:2")
    assert refused.exit_code == 2
    assert "limits.budget[0].soft_usd" in refused.errors


def test_a_projects_keys_open_nothing_of_another_project(stack: Stack) -> None:
    with stack.client() as client:
        made = client.post("/api/v1/projects", {"name": "Keys Flow"})
    chief = _remember(stack, str(made["key"]))
    with stack.worker_connections() as workers:
        assert _statuses(stack, workers, chief) == {200}
    own: list[Object] = json.loads(stack.command("keys", "list", "--json", key=chief).output)
    assert [key["key_id"] for key in own] == [made["key_id"]]
    with stack.client(chief) as client:
        first = client.get_list("/api/v1/evidence")[0]
    assert (first["project_id"], first["sequence"], first["action"]) == ("keys-flow", 1, "project.created")
    assert {"project_id": "keys-flow", "name": "Keys Flow"} in stack.ledger("project.created")
    key_id, _ = _make_key(stack)
    assert stack.command("keys", "revoke", key_id, key=chief).exit_code == 2
