"""Which limits refuse a call or an attempt, and what to tell its caller. Pure."""

import math
from dataclasses import dataclass

import msgspec

from zirkel.core import Budget, BudgetExhausted, LimitReached, iso_utc
from zirkel.core.windows import window_bounds
from zirkel.gateway.limits.claims import Scope, SoftPassed, from_pico_usd, level_pico_usd, usd_text
from zirkel.gateway.limits.counters import BUCKET_NS, BUCKETS, SubjectCounters

_NEVER_RETRY_S = 60.0
"""What a caller is told who would wait in vain: by then the limits may be others."""
_SOON_RETRY_S = 1.0
_NS_PER_S = 1_000_000_000
_ADJECTIVES = {"hour": "hourly", "day": "daily", "month": "monthly"}


class Need(msgspec.Struct, frozen=True):
    """What an attempt asks for."""

    tokens: int
    pico_usd: int | None
    """``None`` is an unknown price."""
    model: str
    is_new_call: bool
    """Whether it is the first of its call, which counts the call too."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One limit's no."""

    error: LimitReached
    wait_s: float
    """How long it holds; infinite if waiting does not help."""


def find_refusals(scope: Scope, counters: SubjectCounters, need: Need, now_ns: int) -> list[Refusal]:
    """Return what refuses ``need``; nothing if it fits. ``counters`` were advanced to ``now_ns``.

    Raises:
        Invalid: If a budget of the limits is not a decimal.
    """
    limits = scope.limits
    found: list[Refusal] = []
    if need.is_new_call:
        if limits.requests_per_minute is not None and sum(counters.requests) >= limits.requests_per_minute:
            found.append(_too_many_requests(scope, counters, limits.requests_per_minute, now_ns))
        if limits.concurrency is not None and counters.running >= limits.concurrency:
            found.append(_too_many_at_once(scope, limits.concurrency))
    if limits.tokens_per_minute is not None and sum(counters.tokens) + need.tokens > limits.tokens_per_minute:
        found.append(_too_many_tokens(scope, counters, limits.tokens_per_minute, need.tokens, now_ns))
    for budget in limits.budget:
        if budget.hard_usd is None:
            continue
        if need.pico_usd is None:
            found.append(_unknown_price(scope, budget, need.model))
            continue
        window = counters.window(budget.window)
        if window.spent + window.held + need.pico_usd > level_pico_usd(budget.hard_usd):
            found.append(_over_budget(scope, counters, budget, need.pico_usd, now_ns))
    return found


def find_soft_passed(scope: Scope, counters: SubjectCounters) -> list[SoftPassed]:
    """Return the soft levels that are passed and were not announced in their window, and note them as announced."""
    passed: list[SoftPassed] = []
    for budget in scope.limits.budget:
        if budget.soft_usd is None:
            continue
        window = counters.window(budget.window)
        total = window.spent + window.held
        if total > level_pico_usd(budget.soft_usd) > window.announced:
            passed.append(SoftPassed(scope, budget.window, budget.soft_usd, from_pico_usd(total)))
    # Afterwards, so that two levels of one window that are passed at once are both announced.
    for soft in passed:
        window = counters.window(soft.window)
        window.announced = max(window.announced, level_pico_usd(soft.soft_usd))
    return passed


def _too_many_requests(scope: Scope, counters: SubjectCounters, limit: int, now_ns: int) -> Refusal:
    name, who = f"{scope.kind}.requests_per_minute", _who(scope)
    if limit < 1:
        return _never(name, f"{who} may make no requests: requests_per_minute is {limit}; raise it")
    wait_s = _until_free_s(counters, counters.requests, limit - 1, now_ns)
    text = f"{who} may make {limit} requests per minute; 0 are left, 1 is needed; try again in {math.ceil(wait_s)} s"
    return Refusal(LimitReached(text, limit=name, retry_after_s=wait_s), wait_s)


def _too_many_at_once(scope: Scope, limit: int) -> Refusal:
    name, who = f"{scope.kind}.concurrency", _who(scope)
    if limit < 1:
        return _never(name, f"{who} may make no calls: concurrency is {limit}; raise it")
    text = f"{who} may have {limit} calls at the same time; 0 are left, 1 is needed; try again when one has ended"
    return Refusal(LimitReached(text, limit=name, retry_after_s=_SOON_RETRY_S), _SOON_RETRY_S)


def _too_many_tokens(scope: Scope, counters: SubjectCounters, limit: int, needed: int, now_ns: int) -> Refusal:
    name, who = f"{scope.kind}.tokens_per_minute", _who(scope)
    if needed > limit:
        return _never(
            name,
            f"{who} may use {limit} tokens per minute, and this call may need {needed}: it can never be admitted; "
            "set a lower max_tokens or raise tokens_per_minute",
        )
    wait_s = _until_free_s(counters, counters.tokens, limit - needed, now_ns)
    left = max(0, limit - sum(counters.tokens))
    text = (
        f"{who} may use {limit} tokens per minute; {left} are left, this call may need {needed}; "
        f"try again in {math.ceil(wait_s)} s or set a lower max_tokens"
    )
    return Refusal(LimitReached(text, limit=name, retry_after_s=wait_s), wait_s)


def _unknown_price(scope: Scope, budget: Budget, model: str) -> Refusal:
    text = (
        f"the price of {model or 'the model'} is unknown, so the {_budget_of(scope, budget)} of {budget.hard_usd} USD "
        "cannot be kept; set a price for it"
    )
    error = BudgetExhausted(text, limit=_budget_name(scope, budget), retry_after_s=_NEVER_RETRY_S)
    return Refusal(error, math.inf)


def _over_budget(scope: Scope, counters: SubjectCounters, budget: Budget, needed: int, now_ns: int) -> Refusal:
    window, hard = counters.window(budget.window), level_pico_usd(budget.hard_usd or "0")
    left = max(0, hard - window.spent - window.held)
    reset_ns = window_bounds(budget.window, now_ns)[1]
    text = (
        f"the {_budget_of(scope, budget)} is {budget.hard_usd} USD; {usd_text(left)} USD are left, this call may cost "
        f"{usd_text(needed)} USD; "
    )
    if needed > hard:
        wait_s, retry_s = math.inf, _NEVER_RETRY_S
        text += "it can never be admitted; set a lower max_tokens or raise the budget"
    elif window.spent + needed <= hard:
        wait_s = retry_s = _SOON_RETRY_S
        text += f"{usd_text(window.held)} USD are reserved by running calls; try again when they have ended"
    else:
        wait_s = retry_s = (reset_ns - now_ns) / _NS_PER_S
        text += f"it resets at {iso_utc(reset_ns)}; set a lower max_tokens or raise the budget"
    return Refusal(BudgetExhausted(text, limit=_budget_name(scope, budget), retry_after_s=retry_s), wait_s)


def _until_free_s(counters: SubjectCounters, counts: list[int], allowed: int, now_ns: int) -> float:
    """Return after how many seconds at most ``allowed`` of ``counts`` are left, if nothing is added meanwhile."""
    rest, oldest = sum(counts), counters.bucket - BUCKETS + 1
    for number in range(oldest, counters.bucket + 1):
        rest -= counts[number % BUCKETS]
        if rest <= allowed:
            return max(0.0, ((number + BUCKETS) * BUCKET_NS - now_ns) / _NS_PER_S)
    return _NEVER_RETRY_S


def _never(name: str, text: str) -> Refusal:
    return Refusal(LimitReached(text, limit=name, retry_after_s=_NEVER_RETRY_S), math.inf)


def _who(scope: Scope) -> str:
    return f"{scope.kind} {scope.label!r}"


def _budget_of(scope: Scope, budget: Budget) -> str:
    return f"{_ADJECTIVES[budget.window]} budget of {_who(scope)}"


def _budget_name(scope: Scope, budget: Budget) -> str:
    return f"{scope.kind}.budget.{budget.window}"
