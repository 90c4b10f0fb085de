"""Budgets to the last decimal over real processes: what is admitted, what is paid, what a crash leaves."""

import http.client
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.flows.harness import Stack, Upstream, is_alive, objects, wait_for
from tests.flows.money import MODEL, Reply, Till, at_once, calls_by_worker, cost, money, policy, state
from tests.flows.service_files import ServiceFolder
from zirkel.app.supervisor import answers

pytestmark = pytest.mark.flow

ANSWER_USD = Decimal("0.1")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """The upstream of every till."""
    started = Upstream.start(tmp_path_factory.mktemp("bank"), "bank")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose processes these tests kill; each waits until all run again, and has a project of its own."""
    started = Stack.start(tmp_path_factory.mktemp("house"))
    yield started
    started.stop()


@pytest.fixture
def till(house: Stack, bank: Upstream, request: pytest.FixtureRequest) -> Iterator[Till]:
    """A project named after the test."""
    yield Till.open(house, bank, request.node.name.removeprefix("test_").replace("_", " ")[:60])
    bank.control(delay_s=0, stream_pause_s=0, status=200, usage_factor=1)


def _wait_for_restart(stack: Stack, killed: int) -> None:
    wait_for(lambda: not is_alive(killed), "the worker is gone")
    with stack.worker_connections():
        pass


def test_of_200_calls_at_once_a_hard_budget_admits_those_that_fit_and_no_other(till: Till, bank: Upstream) -> None:
    key_id, key = till.make_key(policy("1"))
    bank.control(delay_s=0.3)
    replies: list[Reply] = []
    with calls_by_worker(till.stack) as workers:

        def ask(connection: http.client.HTTPConnection | None) -> None:
            replies.append(till.call(key, connection=connection))

        connections = [*workers.values(), *[None] * 198]
        at_once([threading.Thread(target=ask, args=(connection,)) for connection in connections])
    assert Counter(reply.status for reply in replies) == {200: 10, 402: 190}
    for reply in replies:
        if reply.status == 402:
            assert reply.headers["x-zirkel-limit"] == "key.budget.month"
            assert int(reply.headers["retry-after"]) >= 1
    row = till.wait_for_quiet()[f"key {key_id}"]
    attempts = till.attempts(10)
    assert money(row) == sum(map(cost, attempts)) == Decimal(1)
    assert (row["state"], state(row, "month")) == ("hard", "hard")
    assert money(till.limits_by_command()[f"key {key_id}"]) == Decimal(1)


def test_calls_that_run_hold_what_they_may_cost_at_most_until_they_are_settled(till: Till, bank: Upstream) -> None:
    key_id, key = till.make_key(policy("1"))
    bank.control(stream_pause_s=60)
    # Each may cost 0.5 and will cost 0.1.
    streams = [till.stream(key, max_tokens=20) for _ in range(2)]
    row = till.limits()[f"key {key_id}"]
    assert (money(row, "held_usd"), money(row), row["running"]) == (Decimal(1), Decimal(0), 2)
    refused = till.call(key, max_tokens=1)
    assert (refused.status, refused.headers["retry-after"]) == (402, "1")
    bank.control(stream_pause_s=0)
    row = till.wait_for_quiet()[f"key {key_id}"]
    assert money(row) == sum(map(cost, till.attempts(2))) == 2 * ANSWER_USD
    assert till.call(key, max_tokens=20).status == 200
    for stream in streams:
        stream.leave()


def test_every_way_a_call_can_end_is_settled_exactly_once(till: Till, bank: Upstream) -> None:
    till.prices = {MODEL: ("1000", "25000")}
    till.apply("total_s = 1.5")
    key_id, key = till.make_key(policy("1000"))
    ends: dict[str, str] = {}

    def call(end: str) -> None:
        ends[end] = till.call(key, max_tokens=20).trace_id

    call("whole")
    bank.control(stream_pause_s=60)
    left = till.stream(key, max_tokens=20)
    ends["left"] = left.trace_id
    left.leave()
    # Else the rest of the answer might come before the gateway knows that nobody wants it.
    till.wait_for_quiet()
    bank.control(stream_pause_s=0, status=500)
    call("failed")
    bank.control(status=200, delay_s=3)
    call("late")
    bank.control(delay_s=0, usage_factor=0)
    call("zeros")
    bank.control(usage_factor=10**6)
    call("absurd")

    row = till.wait_for_quiet()[f"key {key_id}"]
    attempts = {str(span["trace_id"]): span for span in till.attempts(len(ends))}
    found = {end: attempts[trace_id] for end, trace_id in ends.items()}
    assert {end: span["settlement"] for end, span in found.items()} == {
        "whole": "reported",
        "left": "counted",
        "failed": "free",
        "late": "counted",
        "zeros": "counted",
        "absurd": "counted",
    }
    assert found["left"]["error_type"] == "client_disconnected"
    assert cost(found["failed"]) == 0
    # Of the stream a part had come, of the late answer nothing; the question is paid all the same.
    assert 0 < cost(found["late"]) < cost(found["left"]) < cost(found["zeros"]) == cost(found["absurd"])
    assert all(cost(span) <= Decimal(str(span["reserved_usd"])) for span in attempts.values())
    assert money(row) == sum(map(cost, attempts.values()))


def test_a_killed_workers_open_attempts_keep_their_reservation_and_are_recorded_once(
    till: Till, bank: Upstream
) -> None:
    key_id, key = till.make_key(policy("10", concurrency=3))
    bank.control(stream_pause_s=60)
    with till.stack.worker_connections() as workers, till.stack.worker_connections() as more:
        doomed = [till.stream(key, connections["gateway-0"]) for connections in (workers, more)]
        other = till.stream(key, workers["gateway-1"])
        assert till.call(key).status == 429
        _wait_for_restart(till.stack, till.stack.kill("gateway-0"))
        row = till.limits()[f"key {key_id}"]
        assert (money(row), money(row, "held_usd"), row["running"]) == (2 * ANSWER_USD, ANSWER_USD, 1)
        for stream in doomed:
            call, attempt = till.spans(stream.trace_id, 2)
            assert call["is_provisional"]
            assert (attempt["is_provisional"], attempt["settlement"]) == (True, "reserved")
            assert (attempt["cost_usd"], cost(attempt)) == (None, ANSWER_USD)
        # The same worker again, which has nothing open, and the other one.
        _wait_for_restart(till.stack, till.stack.kill("gateway-0"))
        _wait_for_restart(till.stack, till.stack.kill("gateway-1"))
        other.leave()
    bank.control(stream_pause_s=0)
    row = till.wait_for_quiet()[f"key {key_id}"]
    attempts = till.attempts(3)
    assert money(row) == sum(map(cost, attempts)) == 3 * ANSWER_USD
    assert {span["settlement"] for span in attempts} == {"reserved"}
    assert till.call(key).status == 200


def test_the_sum_over_both_workers_is_exact_to_the_last_decimal(till: Till) -> None:
    till.prices = {MODEL: ("0.0375", "0.300007")}
    till.apply('[limits]\nrequests_per_minute = 100000\n[[limit]]\nuser = "ann"\nlimits = {concurrency = 100}')
    key_id, key = till.make_key(policy(soft="1", user="ann"))
    per_thread = 20
    with calls_by_worker(till.stack, least=2 * per_thread) as workers, till.stack.worker_connections() as more:

        def ask(connection: http.client.HTTPConnection) -> None:
            for number in range(per_thread):
                assert till.call(key, connection=connection, user=f"somebody {number}").status == 200

        at_once([threading.Thread(target=ask, args=(c,)) for c in [*workers.values(), *more.values()]])
    rows = till.wait_for_quiet()
    total = sum(map(cost, till.attempts(4 * per_thread)))
    assert total == 4 * per_thread * (4 * Decimal("0.0375") + 4 * Decimal("0.300007")) / 10**6
    # The key is ann's: its calls are hers, whomever they name.
    assert {name: money(row) for name, row in rows.items()} == {
        f"key {key_id}": total,
        "user ann": total,
        f"project {till.project}": total,
    }


def test_a_rotated_keys_secrets_share_one_budget_and_a_revoked_key_is_refused_at_once(till: Till) -> None:
    key_id, first = till.make_key(policy("0.3"))

    def rotate(overlap_s: int) -> str:
        with till.client() as client:
            made = client.post(f"/api/v1/keys/{key_id}/rotate", {"overlap_s": overlap_s})
        till.stack.secrets.append(str(made["key"]))
        return str(made["key"])

    with till.stack.worker_connections() as workers:

        def statuses(*keys: str) -> list[int]:
            return [till.call(key, connection=workers[name]).status for key in keys for name in sorted(workers)]

        second = rotate(3600)
        assert statuses(first, second) == [200, 200, 200, 402]
        third = rotate(1)
        assert statuses(first) == [401, 401]
        wait_for(lambda: statuses(second) == [401, 401], "the overlap ends")
        assert statuses(third) == [402, 402]
        with till.client() as client:
            client.delete(f"/api/v1/keys/{key_id}")
        assert statuses(third) == [401, 401]


def test_each_users_and_the_projects_budgets_hold_and_a_soft_one_warns(till: Till) -> None:
    till.apply(
        """
[[limits.budget]]
window = "day"
soft_usd = "0.65"
hard_usd = "0.8"
[[limit]]
user = "*"
limits = {budget = [{window = "month", hard_usd = "0.2"}]}
[[limit]]
user = "ann"
limits = {budget = [{window = "month", hard_usd = "0.3"}]}
"""
    )
    _, key = till.make_key()
    replies = [till.call(key, user=user) for user in ("bob", "bob", "bob", "carl", "ann", "ann", "ann", "ann", "", "")]
    assert [reply.status for reply in replies] == [200, 200, 402, 200, 200, 200, 200, 402, 200, 200]
    limits = [reply.headers.get("x-zirkel-limit") for reply in replies if reply.status == 402]
    assert limits == ["user.budget.month"] * 2
    warned = [n for n, reply in enumerate(replies) if reply.headers.get("x-zirkel-budget-warning")]
    assert [(n, replies[n].headers["x-zirkel-budget-warning"]) for n in warned] == [(8, "project.budget.day")]
    refused = till.call(key)
    assert (refused.status, refused.headers["x-zirkel-limit"]) == (402, "project.budget.day")
    till.attempts(8)
    rows = till.limits_by_command()
    assert {name: (str(money(row)), row["state"]) for name, row in rows.items()} == {
        "user ann": ("0.3", "hard"),
        "user bob": ("0.2", "hard"),
        "user carl": ("0.1", "ok"),
        f"project {till.project}": ("0.8", "hard"),
    }


def test_a_soft_budget_is_seen_as_passed_while_calls_go_on(till: Till) -> None:
    key_id, key = till.make_key(policy("1", soft="0.15"))
    replies = [till.call(key) for _ in range(3)]
    assert [reply.status for reply in replies] == [200] * 3
    warnings = [reply.headers.get("x-zirkel-budget-warning") for reply in replies]
    assert warnings == [None, "key.budget.month", None]
    assert till.limits()[f"key {key_id}"]["state"] == "soft"
    calls = [till.spans(reply.trace_id, 2)[0] for reply in replies]
    events = [[event["name"] for event in objects(call["events"])] for call in calls]
    assert events == [[], ["zirkel.budget.soft_passed"], []]
    shown = till.stack.command("limits", "--over", key=till.admin)
    assert shown.output.startswith("soft  key      till")
    assert "month: 0.3 of 1 USD spent, 0 reserved, 30% used, alert at 0.15" in shown.output


def test_a_services_budget_counts_what_its_releases_cost(till: Till, service: ServiceFolder) -> None:
    budget = '[[limit]]\nservice = "{}"\nlimits = {{budget = [{{window = "day", hard_usd = "{}"}}]}}'
    till.apply(budget.format(service.name, "1"))
    till.adopt(service)
    _, key = till.make_key()
    assert till.call(key, model=f"service:{service.name}").status == 200
    (attempt,) = till.attempts(1)
    assert cost(attempt) > 0
    assert money(till.limits()[f"service {service.name}"], window="day") == cost(attempt)
    till.apply(budget.format(service.name, "0.000001"))
    refused = till.call(key, model=f"service:{service.name}")
    assert (refused.status, refused.headers["x-zirkel-limit"]) == (402, "service.budget.day")


def test_a_new_price_holds_from_the_next_call_on_and_not_for_one_that_runs(till: Till, bank: Upstream) -> None:
    key_id, key = till.make_key(policy("10"))
    bank.control(stream_pause_s=60)
    running = till.stream(key)
    till.prices = {MODEL: ("0", "50000")}
    till.apply()
    with till.stack.worker_connections() as workers:
        dearer = [till.call(key, connection=connection) for connection in workers.values()]
    bank.control(stream_pause_s=0)
    assert [Decimal(reply.headers["x-zirkel-cost-usd"]) for reply in dearer] == [2 * ANSWER_USD] * 2
    row = till.wait_for_quiet()[f"key {key_id}"]
    attempts = {str(span["trace_id"]): span for span in till.attempts(3)}
    old, new = attempts[running.trace_id], [attempts[reply.trace_id] for reply in dearer]
    assert (cost(old), [cost(span) for span in new]) == (ANSWER_USD, [2 * ANSWER_USD] * 2)
    assert len({old["price_digest"], *(span["price_digest"] for span in new)}) == 2
    assert money(row) == 5 * ANSWER_USD
    running.leave()


def test_without_the_core_budgets_go_on_being_kept(till: Till) -> None:
    key_id, key = till.make_key(policy("0.3"))
    stack = till.stack
    # The supervisor stands still, so that it does not start the core again meanwhile.
    os.kill(stack.process.pid, signal.SIGSTOP)
    try:
        stack.kill("core")
        with stack.worker_connections() as workers:
            statuses = [till.call(key, connection=c).status for _ in range(2) for c in workers.values()]
        assert not answers(f"{stack.core_url}/healthz")
    finally:
        os.kill(stack.process.pid, signal.SIGCONT)
    assert statuses == [200, 200, 200, 402]
    stack.wait_for_core()
    assert money(till.limits()[f"key {key_id}"]) == sum(map(cost, till.attempts(3))) == 3 * ANSWER_USD


def test_a_budget_that_is_set_later_counts_what_was_spent_before(till: Till) -> None:
    key_id, key = till.make_key()
    assert {till.call(key, user="ann").status for _ in range(3)} == {200}
    with till.client() as client:
        client.put(f"/api/v1/keys/{key_id}/policy", policy("0.35"))
    till.apply('[[limit]]\nuser = "*"\nlimits = {budget = [{window = "day", hard_usd = "0.5"}]}')
    rows = till.limits()
    assert {name: money(row) for name, row in rows.items()} == dict.fromkeys(
        (f"key {key_id}", "user ann"), 3 * ANSWER_USD
    )
    assert till.call(key).status == 402


@pytest.mark.timeout(180)
def test_what_was_spent_is_restored_when_the_counters_are_lost_between_two_runs(tmp_path: Path, bank: Upstream) -> None:
    folder = tmp_path / "stack"
    stack = Stack.start(folder)
    try:
        till = Till.open(stack, bank, "Restored")
        till.apply('[[limit]]\nuser = "*"\nlimits = {budget = [{window = "day", hard_usd = "0.4"}]}')
        key_id, key = till.make_key(policy("0.35"))
        assert {till.call(key, user="ann").status for _ in range(3)} == {200}
        expected = dict.fromkeys((f"key {key_id}", "user ann"), 3 * ANSWER_USD)
        till.attempts(3)
        assert {name: money(row) for name, row in till.wait_for_quiet().items()} == expected
        for lose in (shutil.rmtree, _damage):
            stack.stop()
            lose(folder / "data" / "limits")
            stack = till.stack = Stack.start(folder)
            assert {name: money(row) for name, row in till.limits().items()} == expected
            assert till.call(key, user="ann").headers["x-zirkel-limit"] == "key.budget.month"
        assert stack.output().count("put back from the telemetry") == 2
        assert "is damaged" in stack.output()
    finally:
        stack.stop()


def _damage(folder: Path) -> None:
    file = folder / "data.mdb"
    file.write_bytes(b"\xff" * file.stat().st_size)
