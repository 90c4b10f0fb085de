"""Limits and budgets: what is admitted, what a refused caller is told, and what is counted in the end."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Context, Decimal

import pytest

from tests.contract.memory_state import MemoryState
from zirkel.core import Budget, BudgetExhausted, BudgetWindow, Conflict, Invalid, LimitReached, Limits, ManualClock
from zirkel.gateway.limits import Claim, Limiter, Scope, Settlement, SubjectKind, read_usage, restore_spent

_START_NS = int(datetime(2026, 3, 31, 22, 30, tzinfo=UTC).timestamp()) * 10**9
_WINDOWS: Sequence[BudgetWindow] = ("hour", "day", "month")


class Bench:
    """A limiter over a state in memory, with a clock that is set by hand: half past ten on the last of March."""

    def __init__(self) -> None:
        self.state = MemoryState()
        self.clock = ManualClock(_START_NS)
        self.limiter = Limiter(self.state, "gateway-0", self.clock)
        self.calls = 0

    def call(self, *scopes: Scope, tokens: int = 0, usd: str = "0", used: str | None = None) -> None:
        """Make a whole call, which settles at ``used`` USD, if given."""
        self.calls += 1
        ticket = self.limiter.admit(scopes, "a", Claim(tokens, Decimal(usd)))
        self.limiter.end(ticket, {} if used is None else {"a": Settlement(tokens, Decimal(used))})

    def refusal(self, *scopes: Scope, tokens: int = 0, usd: str | None = "0", model: str = "") -> LimitReached:
        """Return the error of a call that must not be admitted, and must change nothing."""
        before = [read_usage(self.state, scope.subject_id, self.clock.now_ns()) for scope in scopes]
        with pytest.raises(LimitReached) as caught:
            self.limiter.admit(scopes, "a", Claim(tokens, None if usd is None else Decimal(usd), model=model))
        assert [read_usage(self.state, scope.subject_id, self.clock.now_ns()) for scope in scopes] == before
        return caught.value

    def money(self, scope: Scope, window: BudgetWindow) -> tuple[str, str]:
        """Return spent and held."""
        usage = read_usage(self.state, scope.subject_id, self.clock.now_ns()).windows[window]
        return _text(usage.spent_usd), _text(usage.held_usd)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def _text(usd: Decimal) -> str:
    return f"{Context(prec=100).normalize(usd):f}"


def _scope(limits: Limits, kind: SubjectKind = "key") -> Scope:
    return Scope(kind, f"default/{kind}/1", f"my {kind}", limits)


def _budget(window: BudgetWindow = "month", hard: str | None = None, soft: str | None = None) -> Limits:
    return Limits(budget=[Budget(window=window, hard_usd=hard, soft_usd=soft)])


def test_more_requests_than_the_minute_allows_are_told_when_to_come_again(bench: Bench) -> None:
    scope = _scope(Limits(requests_per_minute=2))
    bench.clock.advance(3)
    bench.call(scope)
    bench.clock.advance(10)
    bench.call(scope)
    error = bench.refusal(scope)
    assert (error.limit, error.code, error.http_status) == ("key.requests_per_minute", "rate_limited", 429)
    assert error.retry_after_s == 52, "the first call's bucket began at 0 s and is let go at 65 s; now it is 13 s"
    assert str(error) == ("key 'my key' may make 2 requests per minute; 0 are left, 1 is needed; try again in 52 s")
    bench.clock.advance(51.9)
    bench.refusal(scope)
    bench.clock.advance(0.1)
    bench.call(scope)


def test_tokens_are_counted_at_their_upper_bound_and_given_back_at_the_end(bench: Bench) -> None:
    scope = _scope(Limits(tokens_per_minute=1000))
    ticket = bench.limiter.admit([scope], "a", Claim(900, None))
    error = bench.refusal(scope, tokens=101)
    assert error.limit == "key.tokens_per_minute"
    assert "100 are left, this call may need 101" in str(error)
    bench.clock.advance(7)
    bench.limiter.end(ticket, {"a": Settlement(200, None)})
    bench.call(scope, tokens=800)
    assert read_usage(bench.state, scope.subject_id, bench.clock.now_ns()).tokens_last_minute == 1000


def test_a_settlement_after_its_minute_leaves_the_tokens_of_later_calls_alone(bench: Bench) -> None:
    scope = _scope(Limits(tokens_per_minute=1000))
    ticket = bench.limiter.admit([scope], "a", Claim(900, None))
    bench.clock.advance(65)
    bench.call(scope, tokens=500)
    bench.limiter.end(ticket, {"a": Settlement(10, None)})
    assert read_usage(bench.state, scope.subject_id, bench.clock.now_ns()).tokens_last_minute == 500


def test_a_call_over_the_whole_tokens_limit_is_told_that_waiting_does_not_help(bench: Bench) -> None:
    error = bench.refusal(_scope(Limits(tokens_per_minute=1000)), tokens=1001)
    assert "can never be admitted" in str(error)
    assert error.retry_after_s == 60


def test_concurrency_is_freed_by_the_end_of_a_call(bench: Bench) -> None:
    scope = _scope(Limits(concurrency=1))
    ticket = bench.limiter.admit([scope], "a", Claim(0, None))
    error = bench.refusal(scope)
    assert (error.limit, error.retry_after_s) == ("key.concurrency", 1)
    bench.limiter.end(ticket, {})
    bench.limiter.end(ticket, {})
    second = bench.limiter.admit([scope], "a", Claim(0, None))
    bench.refusal(scope)
    bench.limiter.end(second, {})


@pytest.mark.parametrize("name", ["requests_per_minute", "concurrency"])
def test_a_limit_of_zero_admits_nothing(bench: Bench, name: str) -> None:
    limits = Limits(requests_per_minute=0) if name == "requests_per_minute" else Limits(concurrency=0)
    assert f"{name} is 0" in str(bench.refusal(_scope(limits)))


@pytest.mark.parametrize(
    ("window", "reset", "wait_s"),
    [
        ("hour", "2026-03-31T23:00:00.000Z", 1800),
        ("day", "2026-04-01T00:00:00.000Z", 5400),
        ("month", "2026-04-01T00:00:00.000Z", 5400),
    ],
)
def test_a_spent_budget_refuses_until_its_window_ends(
    bench: Bench, window: BudgetWindow, reset: str, wait_s: int
) -> None:
    scope = _scope(_budget(window, hard="1"), "project")
    bench.call(scope, usd="0.60", used="0.55")
    bench.call(scope, usd="0.45")
    error = bench.refusal(scope, usd="0.000000000001")
    assert isinstance(error, BudgetExhausted)
    assert (error.limit, error.http_status, error.retry_after_s) == (f"project.budget.{window}", 402, wait_s)
    assert "budget of project 'my project' is 1 USD; 0 USD are left, this call may cost 0.000000000001" in str(error)
    assert f"it resets at {reset}" in str(error)
    bench.clock.advance(wait_s)
    bench.call(scope, usd="1")


def test_money_that_running_calls_hold_is_not_spent_twice_and_comes_back(bench: Bench) -> None:
    scope = _scope(_budget(hard="1"))
    ticket = bench.limiter.admit([scope], "a", Claim(0, Decimal("0.7")))
    error = bench.refusal(scope, usd="0.4")
    assert "0.3 USD are left" in str(error)
    assert "0.7 USD are reserved by running calls" in str(error)
    assert error.retry_after_s == 1
    bench.limiter.end(ticket, {"a": Settlement(0, Decimal("0.1"))})
    bench.call(scope, usd="0.9")


def test_a_call_that_costs_more_than_the_whole_budget_is_told_so(bench: Bench) -> None:
    assert "can never be admitted" in str(bench.refusal(_scope(_budget(hard="1")), usd="1.1"))


def test_an_unknown_price_is_refused_where_there_is_a_hard_budget_only(bench: Bench) -> None:
    error = bench.refusal(_scope(_budget(hard="1")), usd=None, model="openai/gpt-new")
    assert isinstance(error, BudgetExhausted)
    assert "the price of openai/gpt-new is unknown" in str(error)
    assert "set a price" in str(error)
    soft = _scope(_budget(soft="1"), "user")
    ticket = bench.limiter.admit([soft], "a", Claim(0, None))
    bench.limiter.end(ticket, {"a": Settlement(0, Decimal("0.2"))})
    assert bench.money(soft, "month") == ("0.2", "0")


@pytest.mark.parametrize("settled", [{}, {"a": Settlement(5, None)}, {"a": Settlement(5, Decimal("NaN"))}])
def test_an_attempt_whose_cost_is_not_known_in_the_end_keeps_its_reservation_as_spent(
    bench: Bench, settled: dict[str, Settlement]
) -> None:
    scope = _scope(_budget(hard="1"))
    bench.limiter.end(bench.limiter.admit([scope], "a", Claim(9, Decimal("0.3"))), settled)
    assert bench.money(scope, "month") == ("0.3", "0")


def test_what_an_upstream_really_used_counts_even_past_the_budget(bench: Bench) -> None:
    scope = _scope(_budget(hard="1"))
    bench.call(scope, usd="0.5", used="1.5")
    assert bench.money(scope, "month") == ("1.5", "0")
    bench.refusal(scope, usd="0.1")


def test_of_several_limits_the_one_that_lasts_longest_is_named(bench: Bench) -> None:
    key = _scope(Limits(requests_per_minute=1))
    project = _scope(_budget("hour", hard="1"), "project")
    service = _scope(Limits(concurrency=5), "service")
    bench.call(key, project, service, usd="1")
    assert bench.refusal(key, project, service, usd="0.1").limit == "project.budget.hour"
    bench.clock.advance(1800)
    bench.call(key, project, service, usd="0.1")


def test_a_second_attempt_reserves_money_and_tokens_but_is_no_second_call(bench: Bench) -> None:
    scope = _scope(
        Limits(requests_per_minute=1, concurrency=1, tokens_per_minute=100, budget=[Budget(window="day", hard_usd="1")])
    )
    ticket = bench.limiter.admit([scope], "a", Claim(60, Decimal("0.6")))
    with pytest.raises(BudgetExhausted):
        bench.limiter.next_attempt(ticket, "b", Claim(10, Decimal("0.6")))
    with pytest.raises(LimitReached, match="tokens per minute"):
        bench.limiter.next_attempt(ticket, "b", Claim(60, Decimal("0.1")))
    failed = {"a": Settlement(0, Decimal(0))}
    bench.limiter.next_attempt(ticket, "b", Claim(60, Decimal("0.7")), failed)
    assert bench.money(scope, "day") == ("0", "0.7")
    bench.limiter.end(ticket, {**failed, "b": Settlement(50, Decimal("0.65"))})
    usage = read_usage(bench.state, scope.subject_id, bench.clock.now_ns())
    assert bench.money(scope, "day") == ("0.65", "0")
    assert (usage.requests_last_minute, usage.tokens_last_minute, usage.running) == (1, 50, 0)


def test_a_hedge_holds_both_attempts_at_once(bench: Bench) -> None:
    scope = _scope(_budget(hard="1"))
    ticket = bench.limiter.admit([scope], "a", Claim(0, Decimal("0.5")))
    bench.limiter.next_attempt(ticket, "b", Claim(0, Decimal("0.5")))
    assert bench.money(scope, "hour") == ("0", "1")
    bench.limiter.end(ticket, {"a": Settlement(0, Decimal("0.1"))})
    assert bench.money(scope, "hour") == ("0.6", "0")


def test_an_attempt_needs_a_name_of_its_own_and_a_call_that_runs(bench: Bench) -> None:
    ticket = bench.limiter.admit([], "a", Claim(0, None))
    with pytest.raises(Conflict, match="held already"):
        bench.limiter.next_attempt(ticket, "a", Claim(0, None))
    bench.limiter.end(ticket, {})
    with pytest.raises(Conflict, match="has ended"):
        bench.limiter.next_attempt(ticket, "b", Claim(0, None))


def test_a_reservation_belongs_to_the_window_it_was_made_in(bench: Bench) -> None:
    scope = _scope(_budget("hour", hard="1"))
    ticket = bench.limiter.admit([scope], "a", Claim(0, Decimal(1)))
    bench.clock.advance(3600)
    bench.call(scope, usd="0.3")
    bench.limiter.end(ticket, {"a": Settlement(0, Decimal("0.9"))})
    assert [bench.money(scope, window) for window in _WINDOWS] == [
        ("0.3", "0"),
        ("1.2", "0"),
        ("1.2", "0"),
    ]


def test_a_soft_level_is_announced_once_per_window_over_all_workers(bench: Bench) -> None:
    scope = _scope(
        Limits(budget=[Budget(window="hour", soft_usd="1"), Budget(window="hour", soft_usd="2", hard_usd="9")])
    )
    other = Limiter(bench.state, "gateway-1", bench.clock)
    ticket = bench.limiter.admit([scope], "a", Claim(0, Decimal(1)))
    assert ticket.soft_passed == [], "at the level is not past it"
    passed = bench.limiter.end(ticket, {"a": Settlement(0, Decimal("1.5"))})
    assert [(soft.scope, soft.window, soft.soft_usd, soft.total_usd) for soft in passed] == [
        (scope, "hour", "1", Decimal("1.5"))
    ]
    assert ticket.soft_passed == passed
    second = other.admit([scope], "a", Claim(0, Decimal("0.1")))
    assert second.soft_passed == []
    assert [soft.soft_usd for soft in other.next_attempt(second, "b", Claim(0, Decimal(1)))] == ["2"]
    assert other.end(second, {}) == []
    bench.clock.advance(3600)
    third = bench.limiter.admit([scope], "a", Claim(0, Decimal(3)))
    assert [soft.soft_usd for soft in third.soft_passed] == ["1", "2"]


def test_a_changed_limit_holds_from_the_next_call_on_with_what_was_counted_before(bench: Bench) -> None:
    for _ in range(3):
        bench.call(_scope(_budget(hard="10")), usd="1")
    assert bench.refusal(_scope(Limits(requests_per_minute=3))).limit == "key.requests_per_minute"
    assert bench.refusal(_scope(_budget(hard="3.5")), usd="1").limit == "key.budget.month"
    bench.call(_scope(Limits(requests_per_minute=4)), usd="1")


def test_a_subject_without_limits_is_not_counted(bench: Bench) -> None:
    scope = _scope(Limits(models=["openai/*"]))
    bench.call(scope, usd="1", tokens=5)
    assert read_usage(bench.state, scope.subject_id, bench.clock.now_ns()).requests_last_minute == 0


def test_sums_of_any_size_are_exact(bench: Bench) -> None:
    scope = _scope(_budget(hard="1" + "0" * 30))
    for _ in range(3):
        bench.call(scope, usd="123456789012345678.000000000001")
    assert bench.money(scope, "month") == ("370370367037037034.000000000003", "0")
    bench.call(scope, usd="0.0000000000000001")
    assert bench.money(scope, "month")[0] == "370370367037037034.000000000004", "rounded up"


def test_a_call_that_cannot_be_settled_is_settled_at_a_later_end(bench: Bench) -> None:
    scope = _scope(_budget(hard="5"))
    first = bench.limiter.admit([scope], "a", Claim(0, Decimal(1)))
    second = bench.limiter.admit([scope], "a", Claim(0, Decimal(1)))
    bench.state.is_full = True
    bench.limiter.end(first, {"a": Settlement(0, Decimal("0.5"))})
    assert bench.limiter.failed_ends == 1
    assert bench.money(scope, "month") == ("0", "2")
    bench.state.is_full = False
    bench.limiter.end(second, {"a": Settlement(0, Decimal("0.25"))})
    assert bench.money(scope, "month") == ("0.75", "0")


def test_what_an_earlier_life_left_is_settled_once_and_handed_on_until_its_records_are_written(bench: Bench) -> None:
    scope = _scope(Limits(concurrency=2, budget=[Budget(window="month", hard_usd="9")]))
    ticket = bench.limiter.admit([scope], "a", Claim(7, Decimal(1), b"note a"))
    bench.limiter.next_attempt(ticket, "b", Claim(8, Decimal(2), b"note b"), {"a": Settlement(3, Decimal("0.25"))})
    bench.limiter.admit([], "c", Claim(1, None, b"note c"))

    second = Limiter(bench.state, "gateway-0", bench.clock)
    found = second.recover(lambda _: pytest.fail("an earlier life of one's own is dead"))
    assert [(one.attempt_id, one.note, one.tokens, one.usd, one.is_settled) for one in found] == [
        ("a", b"note a", 3, Decimal("0.25"), True),
        ("b", b"note b", 8, Decimal(2), False),
        ("c", b"note c", 1, None, False),
    ]
    assert [one.reserved_ns for one in found] == [_START_NS] * 3
    assert bench.money(scope, "month") == ("2.25", "0")
    assert read_usage(bench.state, scope.subject_id, bench.clock.now_ns()).running == 0
    assert second.recover(lambda _: False) == []

    third = Limiter(bench.state, "gateway-1", bench.clock)
    assert third.recover(lambda owner: owner == "gateway-0") == []
    again = third.recover(lambda _: False)
    assert [(one.attempt_id, one.usd) for one in again] == [(one.attempt_id, one.usd) for one in found]
    assert bench.money(scope, "month") == ("2.25", "0"), "handed on, not counted again"
    third.forget(again)
    assert Limiter(bench.state, "gateway-1", bench.clock).recover(lambda _: False) == []


def test_the_end_of_a_call_that_was_recovered_meanwhile_changes_nothing(bench: Bench) -> None:
    scope = _scope(_budget(hard="5"))
    ticket = bench.limiter.admit([scope], "a", Claim(0, Decimal(1)))
    Limiter(bench.state, "gateway-1", bench.clock).recover(lambda _: False)
    bench.limiter.end(ticket, {"a": Settlement(0, Decimal("0.5"))})
    assert bench.money(scope, "month") == ("1", "0")


def test_subjects_of_an_earlier_month_are_removed_unless_a_call_still_runs(bench: Bench) -> None:
    idle, busy = _scope(_budget(hard="5")), _scope(_budget(hard="5"), "user")
    bench.call(idle, usd="1")
    bench.limiter.admit([busy], "a", Claim(0, Decimal(1)))
    assert sum(bench.limiter.prune() for _ in range(256)) == 0
    bench.clock.advance(5400)
    assert sum(bench.limiter.prune() for _ in range(256)) == 1
    assert read_usage(bench.state, busy.subject_id, bench.clock.now_ns()).running == 1


def test_what_was_lost_is_put_back_once_however_often(bench: Bench) -> None:
    scope = _scope(_budget(hard="5"))
    bench.call(scope, usd="1")
    for _ in range(2):
        restore_spent(
            bench.state, scope.subject_id, bench.clock.now_ns(), {"month": Decimal(4), "hour": Decimal("0.5")}
        )
    assert [bench.money(scope, window)[0] for window in _WINDOWS] == ["1", "1", "4"]
    bench.refusal(scope, usd="1.5")


def test_a_clock_that_goes_back_a_little_frees_nothing_and_far_back_begins_anew(bench: Bench) -> None:
    scope = _scope(Limits(requests_per_minute=1, budget=[Budget(window="hour", hard_usd="1")]))
    bench.clock.current_ns = _START_NS + 1800 * 10**9
    ticket = bench.limiter.admit([scope], "a", Claim(5, Decimal(1)))
    bench.clock.advance(-30)
    assert bench.refusal(scope).limit == "key.requests_per_minute"
    assert bench.money(scope, "hour") == ("0", "1")
    bench.clock.advance(-3600)
    bench.call(scope, usd="1")
    bench.limiter.end(ticket, {})
    assert bench.money(scope, "hour") == ("1", "0")


@pytest.mark.parametrize("owner", ["", "a/b", "gäteway", "x" * 101])
def test_a_worker_needs_a_plain_name(bench: Bench, owner: str) -> None:
    with pytest.raises(Invalid, match="cannot name a worker"):
        Limiter(bench.state, owner, bench.clock)


@pytest.mark.parametrize("usd", ["much", "-1", "NaN", "Infinity"])
def test_a_budget_that_is_no_amount_is_refused(bench: Bench, usd: str) -> None:
    with pytest.raises(Invalid, match="a budget is a decimal"):
        bench.limiter.admit([_scope(_budget(hard=usd))], "a", Claim(0, Decimal(0)))


@pytest.mark.parametrize("usd", ["-1", "NaN", "Infinity"])
def test_a_claim_that_is_no_amount_is_a_programming_error(usd: str) -> None:
    with pytest.raises(ValueError, match="a claim is at least 0"):
        Claim(0, Decimal(usd))
