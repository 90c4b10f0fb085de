"""The part of the gateway's page that shows what has been used of limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from zirkel.core import Principal
from zirkel.govern.limits_view import LimitsOverview, LimitsView, WindowView

SHOWN_SUBJECTS = 50
"""How many subjects the page shows: those above a level first, then those that have used the largest share."""
_TONES = {"ok": "good", "soft": "warn", "hard": "bad"}


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One subject in one window."""

    found: LimitsView
    window: WindowView
    is_first: bool
    """Whether it is the subject's first row, which says what no window matters for."""
    spent: str
    level: str
    """What may be spent; empty without a budget."""
    held: str
    tone: str


@dataclass(frozen=True, slots=True)
class LimitTable:
    """The rows of the subjects that are shown."""

    rows: Sequence[LimitRow]
    subjects: int
    """How many subjects there are in all, up to a thousand."""
    is_cut: bool
    """Whether some are not shown."""


def limit_table(limits: LimitsOverview, who: Principal) -> LimitTable:
    """Return what the page shows of the limits of a project."""
    found = limits.page(who)
    shown = sorted(found, key=_urgency, reverse=True)[:SHOWN_SUBJECTS]
    return LimitTable([row for view in shown for row in _rows(view)], len(found), len(found) > len(shown))


def _urgency(found: LimitsView) -> tuple[int, float]:
    return list(_TONES).index(found.state), max(window.share or 0.0 for window in found.windows)


def _rows(found: LimitsView) -> Sequence[LimitRow]:
    budgets = [window for window in found.windows if window.share is not None]
    windows = budgets or found.windows[-1:]
    return [
        LimitRow(
            found=found,
            window=window,
            is_first=number == 0,
            spent=_plain(window.spent_usd),
            level=window.hard_usd or (f"alert at {window.soft_usd}" if window.soft_usd else ""),
            held=_plain(window.held_usd),
            tone=_TONES[window.state],
        )
        for number, window in enumerate(windows)
    ]


def _plain(usd: Decimal) -> str:
    return f"{usd.normalize():f}" if usd else "0"
