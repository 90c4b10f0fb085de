"""What a subject has used: for display, and put back after a loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from zirkel.core import BudgetWindow
from zirkel.gateway.limits.claims import from_pico_usd, to_pico_usd
from zirkel.gateway.limits.counters import WindowCounters, advance, steady_now
from zirkel.gateway.limits.rows import decode_subject, encode_row, subject_key
from zirkel.gateway.ports import SharedState


@dataclass(frozen=True, slots=True)
class WindowUsage:
    """Money of the current hour, day or month (UTC)."""

    spent_usd: Decimal
    held_usd: Decimal
    """Reserved by attempts that have not ended."""


@dataclass(frozen=True, slots=True)
class SubjectUsage:
    """What counts against one subject's limits at a moment."""

    running: int
    """Calls that have not ended."""
    requests_last_minute: int
    """Calls of the last 60 to 65 s: what the limit is compared with."""
    tokens_last_minute: int
    """Tokens of the attempts of the last 60 to 65 s, reserved ones included."""
    windows: Mapping[BudgetWindow, WindowUsage]


def read_usage(state: SharedState, subject_id: str, now_ns: int) -> SubjectUsage:
    """Return what a subject has used, without waiting for anybody; zeros if it is not counted.

    Raises:
        Corrupt: If its entry is damaged.
    """
    key = subject_key(subject_id)
    counters = decode_subject(key, state.get(key))
    advance(counters, steady_now(now_ns, [counters]))
    return SubjectUsage(
        running=counters.running,
        requests_last_minute=sum(counters.requests),
        tokens_last_minute=sum(counters.tokens),
        windows={"hour": _usage(counters.hour), "day": _usage(counters.day), "month": _usage(counters.month)},
    )


def restore_spent(state: SharedState, subject_id: str, now_ns: int, spent_usd: Mapping[BudgetWindow, Decimal]) -> None:
    """Raise what a subject has spent in the current windows to at least ``spent_usd``: after the state was lost.

    Idempotent. No soft level is announced by it.

    Raises:
        Overloaded: If the state is full.
    """
    key = subject_key(subject_id)
    with state.transaction() as transaction:
        counters = decode_subject(key, transaction.get(key))
        advance(counters, steady_now(now_ns, [counters]))
        for name, usd in spent_usd.items():
            window = counters.window(name)
            window.spent = max(window.spent, to_pico_usd(usd))
        transaction.put(key, encode_row(counters))


def _usage(window: WindowCounters) -> WindowUsage:
    return WindowUsage(from_pico_usd(window.spent), from_pico_usd(window.held))
