"""What each subject of a project may use and has used, as everybody with the role read sees it."""

from decimal import Decimal

import pytest

from tests.unit.govern.limits_world import Attempt, Counts, MemoryCounters, MemoryRecords, Money, put_document, put_key
from zirkel.core import Budget, Forbidden, Json, KeyPolicy, Limits, ManualClock, Principal, Role
from zirkel.core.windows import window_bounds
from zirkel.govern.limit_subjects import Subject
from zirkel.govern.limits_view import LimitsOverview, LimitsView, view_limits
from zirkel.store.metadata import Metadata

DAY_2: Json = {"budget": [{"window": "day", "hard_usd": "2"}]}
POLICY = KeyPolicy(limits=Limits(requests_per_minute=60, budget=[Budget(window="month", hard_usd="20")]))


@pytest.fixture
def counters() -> MemoryCounters:
    return MemoryCounters()


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


@pytest.fixture
def overview(
    metadata: Metadata, records: MemoryRecords, counters: MemoryCounters, clock: ManualClock
) -> LimitsOverview:
    return LimitsOverview(metadata, records, counters, clock)


def view(budget: Budget | None, spent: str, held: str = "0") -> LimitsView:
    """Return the view of a project that spent and holds as much this month."""
    limits = Limits(budget=[budget] if budget else [])
    counts = Counts()
    windows = {**counts.windows, "month": Money(Decimal(spent), Decimal(held))}
    return view_limits(Subject("default", "project", "default", "default", limits), Counts(windows=windows), 0)


@pytest.mark.parametrize(
    ("spent", "held", "state", "share"),
    [("0", "0", "ok", 0.0), ("15", "0", "ok", 0.75), ("14", "2", "soft", 0.8), ("18", "2", "hard", 1.0)],
)
def test_the_state_is_that_of_spent_and_reserved_money_together(
    spent: str, held: str, state: str, share: float
) -> None:
    found = view(Budget(window="month", soft_usd="15", hard_usd="20"), spent, held)
    hour, day, month = found.windows
    assert (found.state, month.state, month.share) == (state, state, share)
    assert (hour.state, hour.share, day.hard_usd) == ("ok", None, None)


def test_a_budget_with_an_alert_only_is_shared_by_its_alert_and_never_hard() -> None:
    found = view(Budget(window="month", soft_usd="10"), "25")
    assert (found.state, found.windows[2].share) == ("soft", 2.5)


def test_of_a_budget_of_nothing_nothing_is_left() -> None:
    found = view(Budget(window="month", hard_usd="0"), "0")
    assert (found.state, found.windows[2].share) == ("hard", 1.0)


def test_everybody_with_limits_is_listed_once_and_nobody_else(
    metadata: Metadata,
    overview: LimitsOverview,
    counters: MemoryCounters,
    clock: ManualClock,
    reader: Principal,
) -> None:
    put_key(metadata, clock, "k-limited", POLICY)
    put_key(metadata, clock, "k-free", KeyPolicy(limits=Limits(models=["service:*"])))
    put_key(metadata, clock, "k-revoked", POLICY, revoked_ns=1)
    put_key(metadata, clock, "k-elsewhere", POLICY, project_id="other")
    document: dict[str, Json] = {
        "limits": {"concurrency": 5},
        "limit": [{"user": "ann", "limits": DAY_2}, {"user": "bob", "limits": {}}, {"service": "s", "limits": DAY_2}],
    }
    put_document(metadata, document)
    put_document(metadata, {"limits": {"concurrency": 1}}, "other")
    counters.set("default/key/k-limited", "12.5", "0.5")
    found = overview.page(reader)
    assert [(one.subject, one.kind, one.name) for one in found] == [
        ("default/key/k-limited", "key", "k-limited"),
        ("default/project", "project", "default"),
        ("default/service/s", "service", "s"),
        ("default/user/ann", "user", "ann"),
    ]
    key = found[0]
    month = key.windows[2]
    assert (key.label, key.running, key.requests_last_minute, key.requests_per_minute) == (
        "label of k-limited",
        1,
        2,
        60,
    )
    assert (month.window, month.spent_usd, month.held_usd, month.hard_usd) == (
        "month",
        Decimal("12.5"),
        Decimal("0.5"),
        "20",
    )
    assert month.ends_ns == window_bounds("month", clock.now_ns())[1]
    assert found[1].concurrency == 5
    assert [one.subject for one in overview.page(reader, "default/key/k-limited", 2)] == [
        "default/project",
        "default/service/s",
    ]


def test_users_with_the_limits_of_each_user_are_those_that_spent_something_this_month(
    metadata: Metadata,
    overview: LimitsOverview,
    records: MemoryRecords,
    counters: MemoryCounters,
    clock: ManualClock,
    reader: Principal,
) -> None:
    put_document(metadata, {"limit": [{"user": "*", "limits": DAY_2}, {"user": "bob", "limits": {"concurrency": 1}}]})
    put_key(metadata, clock, "k-dan", KeyPolicy(user="dan"))
    start_ns, _ = window_bounds("month", clock.now_ns())
    records.attempts = [
        Attempt(Decimal(1), user_id="carl", start_ns=start_ns),
        Attempt(Decimal(1), user_id="long gone", start_ns=start_ns - 1),
        # A key's calls are its user's, whomever they name.
        Attempt(Decimal(1), key_id="k-dan", user_id="eve", start_ns=start_ns),
        Attempt(Decimal(1), user_id="", start_ns=start_ns),
        Attempt(Decimal(1), user_id="fay", project_id="other", start_ns=start_ns),
    ]
    counters.set("default/user/carl", "2")
    found = {one.name: one for one in overview.page(reader)}
    assert sorted(found) == ["bob", "carl", "dan"]
    assert (found["carl"].state, found["carl"].windows[1].hard_usd, found["bob"].concurrency) == ("hard", "2", 1)


def test_who_may_only_call_sees_no_limits(overview: LimitsOverview) -> None:
    with pytest.raises(Forbidden):
        overview.page(Principal("default", "k3", "app", frozenset({Role.CALL})))
