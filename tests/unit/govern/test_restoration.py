"""Counters against the telemetry: what is missing is put back, and nothing counts twice."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.govern.limits_world import Attempt, MemoryCounters, MemoryRecords, put_document, put_key
from zirkel.core import Budget, Json, KeyPolicy, Limits, ManualClock, ProjectRecord
from zirkel.core.windows import window_bounds
from zirkel.govern.restoration import Restoration
from zirkel.store.metadata import Metadata

DAY_2: Json = {"budget": [{"window": "day", "hard_usd": "2"}]}
POLICY = KeyPolicy(limits=Limits(budget=[Budget(window="month", hard_usd="20")]))
KEY = "default/key/k"


@pytest.fixture
def counters() -> MemoryCounters:
    return MemoryCounters()


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def restoration(
    metadata: Metadata, records: MemoryRecords, counters: MemoryCounters, clock: ManualClock
) -> Restoration:
    with metadata.transaction() as tx:
        for name in ("default", "other"):
            tx.projects.add(ProjectRecord(name, name, 1))
    return Restoration(metadata, records, counters, clock)


@pytest.fixture
def limited(metadata: Metadata, restoration: Restoration) -> Metadata:
    """A project with limits."""
    put_document(metadata, {"limits": DAY_2})
    return metadata


def amounts(*usd: str) -> list[Decimal]:
    return list(map(Decimal, usd))


def test_lost_counters_get_back_what_each_window_knows_for_every_subject(
    metadata: Metadata, restoration: Restoration, records: MemoryRecords, counters: MemoryCounters, clock: ManualClock
) -> None:
    put_key(metadata, clock, "k", POLICY)
    put_key(metadata, clock, "of-ann", KeyPolicy(user="ann", limits=POLICY.limits))
    document: dict[str, Json] = {
        "limits": DAY_2,
        "limit": [
            {"user": "*", "limits": DAY_2},
            {"user": "free", "limits": {}},
            {"user": "ann", "limits": DAY_2},
            {"service": "s", "limits": DAY_2},
        ],
    }
    put_document(metadata, document)
    put_document(metadata, {"limits": DAY_2}, "other")
    hour_ns, day_ns, month_ns = (window_bounds(name, clock.now_ns())[0] for name in ("hour", "day", "month"))
    records.attempts = [
        Attempt(Decimal("0.1"), "k", "bob", "s", start_ns=hour_ns),
        Attempt(Decimal("0.02"), "k", "ann", start_ns=day_ns),
        Attempt(Decimal("0.003"), "of-ann", "bob", start_ns=month_ns),
        Attempt(Decimal("0.0004"), "k", "free", "t", start_ns=hour_ns),
        Attempt(Decimal(9), "k", "bob", "s", start_ns=month_ns - 1),
        Attempt(Decimal(7), "k", "bob", "s", "other", start_ns=hour_ns),
    ]
    assert restoration.run() == 7
    assert {name: counters.spent(name) for name in counters.counts} == {
        KEY: amounts("0.1004", "0.1204", "0.1204"),
        "default/key/of-ann": amounts("0", "0", "0.003"),
        "default/user/bob": amounts("0.1", "0.1", "0.1"),
        "default/user/ann": amounts("0", "0.02", "0.023"),
        "default/service/s": amounts("0.1", "0.1", "0.1"),
        "default/project": amounts("0.1004", "0.1204", "0.1234"),
        "other/project": amounts("7", "7", "7"),
    }
    assert restoration.run() == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(counted=st.integers(0, 20), held=st.integers(0, 20), recorded=st.integers(0, 20))
def test_a_counter_is_raised_by_what_is_missing_beyond_what_is_reserved_and_never_lowered(
    limited: Metadata, clock: ManualClock, counted: int, held: int, recorded: int
) -> None:
    counters, records = MemoryCounters(), MemoryRecords([Attempt(Decimal(recorded), start_ns=clock.now_ns())])
    counters.set("default/project", str(counted), str(held))
    raised = Restoration(limited, records, counters, clock).run()
    expected = max(counted, recorded - held)
    assert counters.spent("default/project") == [Decimal(expected)] * 3
    assert raised == (expected > counted)


def test_it_is_due_when_somebody_gets_limits_who_could_spend_before(
    metadata: Metadata, restoration: Restoration, clock: ManualClock
) -> None:
    restoration.run()
    assert not restoration.is_due()
    clock.advance(1)
    put_key(metadata, clock, "k", KeyPolicy())
    assert not restoration.is_due()
    clock.advance(1)
    change_policy(metadata, POLICY)
    assert restoration.is_due()
    assert restoration.is_due()
    restoration.run()
    assert not restoration.is_due()
    put_document(metadata, {"limit": [{"user": "*", "limits": DAY_2}]})
    assert restoration.is_due()
    restoration.run()
    assert not restoration.is_due()


def test_a_key_that_was_made_with_its_limits_needs_nothing_put_back(
    metadata: Metadata, restoration: Restoration, clock: ManualClock
) -> None:
    restoration.run()
    clock.advance(1)
    put_key(metadata, clock, "k", POLICY)
    assert not restoration.is_due()
    clock.advance(1)
    assert not restoration.is_due()


def test_limits_that_were_taken_away_and_come_back_count_what_was_spent_between(
    metadata: Metadata, restoration: Restoration, clock: ManualClock
) -> None:
    put_key(metadata, clock, "k", POLICY)
    clock.advance(1)
    restoration.run()
    change_policy(metadata, KeyPolicy())
    assert not restoration.is_due()
    change_policy(metadata, POLICY)
    assert restoration.is_due()


def change_policy(metadata: Metadata, policy: KeyPolicy) -> None:
    """Give the key ``k`` another policy."""
    with metadata.transaction() as tx:
        held = tx.keys.hold("default", "k")
        assert held is not None
        tx.keys.put(replace(held, policy=policy))
