"""Limits against a slow obvious model: every call and attempt remembered, every sum taken anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.contract.memory_state import MemoryState
from zirkel.core import Budget, BudgetWindow, LimitReached, Limits, ManualClock
from zirkel.gateway.limits import Claim, Limiter, Scope, Settlement, Ticket, read_usage

_WINDOWS: Sequence[BudgetWindow] = ("hour", "day", "month")
_NS = 10**9
_MINUTE_NS = 60 * _NS
_KEPT_NS = 65 * _NS
_SUBJECTS = ("key-1", "key-2", "project")

_amounts = st.sampled_from([Decimal(text) for text in ("0", "0.000000000001", "0.3", "1", "2.5")])
_limits = st.builds(
    Limits,
    requests_per_minute=st.none() | st.integers(1, 4),
    tokens_per_minute=st.none() | st.integers(50, 300),
    concurrency=st.none() | st.integers(1, 3),
    budget=st.lists(
        st.builds(Budget, window=st.sampled_from(_WINDOWS), hard_usd=st.sampled_from(["1", "3", "7.5"])), max_size=2
    ),
)
_steps_s = st.sampled_from([0.001, 1, 4.999, 5, 17, 54.9, 60, 61, 1800, 86_400, 31 * 86_400]) | st.floats(0, 70)
_used = st.none() | st.tuples(st.integers(0, 100), st.none() | _amounts)


@dataclass
class ModelAttempt:
    attempt_id: str
    time_ns: int
    tokens: int
    usd: Decimal
    is_open: bool = True

    def settle(self, settlement: Settlement | None) -> None:
        self.is_open = False
        if settlement is not None:
            self.tokens = settlement.tokens
            self.usd = self.usd if settlement.usd is None else settlement.usd


@dataclass
class ModelCall:
    time_ns: int
    subjects: set[str]
    attempts: list[ModelAttempt]
    ticket: Ticket
    is_running: bool = True


def _window(window: BudgetWindow, time_ns: int) -> str:
    date = datetime.fromtimestamp(time_ns // _NS, UTC)
    return date.strftime({"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "month": "%Y-%m"}[window])


class LimiterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(int(datetime(2026, 1, 31, 23, 58, 57, tzinfo=UTC).timestamp()) * _NS)
        self.state = MemoryState()
        self.limiter = Limiter(self.state, "gateway-0", self.clock)
        self.calls: list[ModelCall] = []
        self.names = 0

    @initialize(limits=st.lists(_limits, min_size=3, max_size=3))
    def configure(self, limits: list[Limits]) -> None:
        # A budget far away, so that everybody is counted whatever the limits.
        always = Budget(window="month", soft_usd="1000000")
        self.scopes = {
            name: Scope(
                "key",
                name,
                name,
                Limits(
                    requests_per_minute=one.requests_per_minute,
                    tokens_per_minute=one.tokens_per_minute,
                    concurrency=one.concurrency,
                    budget=[*one.budget, always],
                ),
            )
            for name, one in zip(_SUBJECTS, limits, strict=True)
        }

    @rule(key=st.sampled_from(_SUBJECTS[:2]), tokens=st.integers(0, 120), usd=_amounts)
    def admit(self, key: str, tokens: int, usd: Decimal) -> None:
        scopes = [self.scopes[key], self.scopes["project"]]
        attempt = ModelAttempt(self.new_name(), self.clock.now_ns(), tokens, usd)
        must_refuse = any(self.refuses(scope, tokens, usd, True, _MINUTE_NS) for scope in scopes)
        may_refuse = any(self.refuses(scope, tokens, usd, True, _KEPT_NS) for scope in scopes)
        try:
            ticket = self.limiter.admit(scopes, attempt.attempt_id, Claim(tokens, usd))
        except LimitReached:
            assert may_refuse
        else:
            assert not must_refuse
            self.calls.append(ModelCall(attempt.time_ns, {key, "project"}, [attempt], ticket))

    @precondition(lambda self: any(call.is_running for call in self.calls))
    @rule(data=st.data(), tokens=st.integers(0, 120), usd=_amounts, used=_used)
    def try_again(
        self, data: st.DataObject, tokens: int, usd: Decimal, used: tuple[int, Decimal | None] | None
    ) -> None:
        call = data.draw(st.sampled_from([call for call in self.calls if call.is_running]))
        settled = {} if used is None else {call.attempts[-1].attempt_id: Settlement(*used)}
        before = [replace(attempt) for attempt in call.attempts]
        if used is not None and call.attempts[-1].is_open:
            call.attempts[-1].settle(Settlement(*used))
        scopes = [scope for _, scope in call.ticket.subjects]
        must_refuse = any(self.refuses(scope, tokens, usd, False, _MINUTE_NS) for scope in scopes)
        may_refuse = any(self.refuses(scope, tokens, usd, False, _KEPT_NS) for scope in scopes)
        attempt = ModelAttempt(self.new_name(), self.clock.now_ns(), tokens, usd)
        try:
            self.limiter.next_attempt(call.ticket, attempt.attempt_id, Claim(tokens, usd), settled)
        except LimitReached:
            assert may_refuse
            call.attempts = before
        else:
            assert not must_refuse
            call.attempts.append(attempt)

    @precondition(lambda self: bool(self.calls))
    @rule(data=st.data(), used=st.lists(_used, max_size=3))
    def end(self, data: st.DataObject, used: list[tuple[int, Decimal | None] | None]) -> None:
        call = data.draw(st.sampled_from(self.calls))
        settled = {
            attempt.attempt_id: Settlement(*amounts)
            for attempt, amounts in zip(call.attempts, used, strict=False)
            if amounts is not None
        }
        self.limiter.end(call.ticket, settled)
        self.finish(call, settled)
        assert self.limiter.failed_ends == 0

    @rule()
    def restart(self) -> None:
        self.limiter = Limiter(self.state, "gateway-0", self.clock)
        lost = [call for call in self.calls if call.is_running]
        found = self.limiter.recover(lambda _: True)
        assert sorted(one.attempt_id for one in found) == sorted(
            attempt.attempt_id for call in lost for attempt in call.attempts
        )
        assert self.limiter.recover(lambda _: True) == []
        self.limiter.forget(found)
        for call in lost:
            self.finish(call, {})

    @rule(seconds=_steps_s)
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(name=st.sampled_from(_SUBJECTS), requests=st.none() | st.integers(1, 4))
    def change_limits(self, name: str, requests: int | None) -> None:
        scope = self.scopes[name]
        limits = Limits(requests_per_minute=requests, budget=scope.limits.budget)
        self.scopes[name] = replace(scope, limits=limits)

    @invariant()
    def sums_are_exact(self) -> None:
        now_ns = self.clock.now_ns()
        for name in _SUBJECTS:
            usage = read_usage(self.state, name, now_ns)
            assert usage.running == sum(call.is_running for call in self.calls if name in call.subjects)
            for window in _WINDOWS:
                spent, held = self.money(name, window)
                assert (usage.windows[window].spent_usd, usage.windows[window].held_usd) == (spent, held)
            assert self.requests(name, _MINUTE_NS) <= usage.requests_last_minute <= self.requests(name, _KEPT_NS)
            assert self.tokens(name, _MINUTE_NS) <= usage.tokens_last_minute <= self.tokens(name, _KEPT_NS)

    def teardown(self) -> None:
        for call in self.calls:
            self.limiter.end(call.ticket, {})
            self.finish(call, {})
        if hasattr(self, "scopes"):
            self.sums_are_exact()
        for name in _SUBJECTS:
            usage = read_usage(self.state, name, self.clock.now_ns())
            assert {window.held_usd for window in usage.windows.values()} == {Decimal(0)}
        assert not [entry for entry in self.state._values if entry.startswith(b"1c")], "no call is left behind"

    def finish(self, call: ModelCall, settled: dict[str, Settlement]) -> None:
        if call.is_running:
            call.is_running = False
            for attempt in call.attempts:
                if attempt.is_open:
                    attempt.settle(settled.get(attempt.attempt_id))

    def refuses(self, scope: Scope, tokens: int, usd: Decimal, is_new_call: bool, kept_ns: int) -> bool:
        limits, name = scope.limits, scope.subject_id
        running = sum(call.is_running for call in self.calls if name in call.subjects)
        return (
            (is_new_call and limits.concurrency is not None and running >= limits.concurrency)
            or (
                is_new_call
                and limits.requests_per_minute is not None
                and self.requests(name, kept_ns) >= limits.requests_per_minute
            )
            or (limits.tokens_per_minute is not None and self.tokens(name, kept_ns) + tokens > limits.tokens_per_minute)
            or any(
                sum(self.money(name, budget.window), usd) > Decimal(budget.hard_usd)
                for budget in limits.budget
                if budget.hard_usd is not None
            )
        )

    def requests(self, name: str, kept_ns: int) -> int:
        """Return the calls of the last ``kept_ns``, the oldest moment included."""
        since_ns = self.clock.now_ns() - kept_ns
        return sum(call.time_ns >= since_ns for call in self.calls if name in call.subjects)

    def tokens(self, name: str, kept_ns: int) -> int:
        since_ns = self.clock.now_ns() - kept_ns
        return sum(attempt.tokens for attempt in self.attempts(name) if attempt.time_ns >= since_ns)

    def money(self, name: str, window: BudgetWindow) -> tuple[Decimal, Decimal]:
        current = _window(window, self.clock.now_ns())
        here = [attempt for attempt in self.attempts(name) if _window(window, attempt.time_ns) == current]
        spent = sum((attempt.usd for attempt in here if not attempt.is_open), Decimal(0))
        return spent, sum((attempt.usd for attempt in here if attempt.is_open), Decimal(0))

    def attempts(self, name: str) -> list[ModelAttempt]:
        return [attempt for call in self.calls if name in call.subjects for attempt in call.attempts]

    def new_name(self) -> str:
        self.names += 1
        return f"attempt-{self.names}"


TestLimiter = LimiterMachine.TestCase
TestLimiter.settings = settings(max_examples=250, stateful_step_count=40, deadline=None)


@given(limit=st.integers(1, 5), waits_s=st.lists(st.floats(0, 30), min_size=5, max_size=60))
def test_no_sixty_seconds_ever_hold_more_calls_than_the_limit(limit: int, waits_s: list[float]) -> None:
    clock = ManualClock()
    limiter = Limiter(MemoryState(), "gateway-0", clock)
    scope = Scope("key", "k", "k", Limits(requests_per_minute=limit))
    admitted: list[int] = []
    for wait_s in waits_s:
        clock.advance(wait_s)
        try:
            limiter.end(limiter.admit([scope], "a", Claim(0, None)), {})
        except LimitReached:
            continue
        admitted.append(clock.now_ns())
    for time_ns in admitted:
        assert sum(time_ns <= other <= time_ns + _MINUTE_NS for other in admitted) <= limit


@given(
    limits=_limits,
    calls=st.lists(st.tuples(st.floats(0, 20), st.integers(0, 120), _amounts), min_size=1, max_size=12),
)
def test_the_same_call_is_admitted_after_the_time_it_was_told_and_not_sooner(
    limits: Limits, calls: list[tuple[float, int, Decimal]]
) -> None:
    clock = ManualClock()
    limiter = Limiter(MemoryState(), "gateway-0", clock)
    scope = Scope("key", "k", "k", limits)
    refused: list[tuple[int, Decimal, LimitReached]] = []
    for wait_s, tokens, usd in calls:
        clock.advance(wait_s)
        try:
            limiter.end(limiter.admit([scope], "a", Claim(tokens, usd)), {"a": Settlement(tokens, usd)})
        except LimitReached as error:
            refused.append((tokens, usd, error))
            break
    assume(refused and "never" not in str(refused[0][2]))
    tokens, usd, told = refused[0]
    start_ns = clock.now_ns()
    clock.current_ns = max(start_ns, start_ns + int((told.retry_after_s - 0.1) * _NS))
    with pytest.raises(LimitReached):
        limiter.admit([scope], "a", Claim(tokens, usd))
    clock.current_ns = start_ns + int(told.retry_after_s * _NS) + 1000
    limiter.admit([scope], "a", Claim(tokens, usd))
