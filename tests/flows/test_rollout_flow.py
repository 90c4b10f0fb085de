"""Rollouts as callers see them, on both gateway workers."""

from collections import Counter
from typing import cast

import pytest

from tests.flows.harness import Object, Stack, ask_on
from tests.flows.service_files import ServiceFolder

pytestmark = pytest.mark.flow

UNITS = 200
WEIGHT = 0.3


def _start_rollout(stack: Stack, service: ServiceFolder, weight: float) -> tuple[str, str]:
    """Return the digests of the stable release and of the candidate."""
    shipped = ("ship", service.name, "--weight", str(weight), "--break-glass", "test", "--json")
    after = cast(Object, stack.run(*shipped).json()["after"])
    return str(after["stable_release"]), str(cast(Object, after["rollout"])["release"])


def test_units_are_split_by_weight_and_stay_in_their_arm_on_every_worker(stack: Stack, live: ServiceFolder) -> None:
    stable, candidate = _start_rollout(stack, live, WEIGHT)
    key = stack.make_key("call")
    units = [f"unit-{number}" for number in range(UNITS)]
    with stack.worker_connections() as workers:
        seen = {
            worker: [ask_on(connection, key, live.name, unit) for unit in units]
            for worker, connection in workers.items()
        }
    first, second = seen.values()

    assert [answer.arm for answer in first] == [answer.arm for answer in second]
    assert {(answer.arm, answer.release) for answer in first} == {("stable", stable), ("candidate", candidate)}
    # 200 units at 0.3: 60 expected, standard deviation 6.5; 5 of those are missed once in 2 million rollouts.
    assert 28 <= Counter(answer.arm for answer in first)["candidate"] <= 92


def test_the_very_next_requests_of_every_worker_see_a_rollback(stack: Stack, live: ServiceFolder) -> None:
    stable, candidate = _start_rollout(stack, live, 0.99)
    with stack.worker_connections() as workers, stack.client() as client:
        before = [ask_on(workers[name], stack.key, live.name, f"u{n}") for name in workers for n in range(10)]
        assert candidate in {answer.release for answer in before}

        client.post(f"/api/v1/services/{live.name}/rollback", {"environment": "production"})

        after = [ask_on(workers[name], stack.key, live.name, f"u{n}") for name in workers for n in range(10)]
    assert {(answer.arm, answer.release) for answer in after} == {("stable", stable)}
    assert stack.ledger("ship.rollback")[-1]["service"] == live.name
    refused = stack.command("rollback", live.name)
    assert refused.exit_code == 1


def test_a_promoted_candidate_serves_every_unit_and_can_be_rolled_back(stack: Stack, live: ServiceFolder) -> None:
    stable, candidate = _start_rollout(stack, live, 0.01)
    assert stack.command("ship", live.name, "--break-glass", "again").exit_code == 1
    with stack.worker_connections() as workers:
        stack.run("promote", live.name)
        after = [ask_on(workers[name], stack.key, live.name, f"u{n}") for name in workers for n in range(10)]
        assert {(answer.arm, answer.release) for answer in after} == {("stable", candidate)}

        stack.run("rollback", live.name)
        back = [ask_on(workers[name], stack.key, live.name, f"u{n}") for name in workers for n in range(10)]
        assert {answer.release for answer in back} == {stable}


def test_a_revoked_key_is_refused_by_the_very_next_request_of_every_worker(stack: Stack, live: ServiceFolder) -> None:
    with stack.worker_connections() as workers, stack.client() as client:
        made = client.post("/api/v1/keys", {"label": "short-lived", "roles": ["call"]})
        for connection in workers.values():
            ask_on(connection, str(made["key"]), live.name, "u")
        client.delete(f"/api/v1/keys/{made['key_id']}")
        for connection in workers.values():
            connection.request("POST", "/v1/chat/completions", b"{}", {"authorization": f"Bearer {made['key']}"})
            response = connection.getresponse()
            response.read()
            assert response.status == 401
