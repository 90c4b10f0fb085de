"""Limits made visible: what each subject of a project may use, has used, and holds for running calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from zirkel.core import Budget, BudgetWindow, Clock, Limits, Principal, Role
from zirkel.core.windows import WINDOWS, window_bounds
from zirkel.govern.limit_ports import Counters, LimitsMetadata, SpentRecords, SubjectCounts, WindowMoney
from zirkel.govern.limit_subjects import Subject, SubjectKind, read_subjects, recorded_spending

MOST_SUBJECTS = 1000
LimitState = Literal["ok", "soft", "hard"]
"""Below its levels; above a soft level; at a hard level, so that nothing is left."""
_STATES: tuple[LimitState, ...] = ("ok", "soft", "hard")


@dataclass(frozen=True, slots=True)
class WindowView:
    """Money of the current hour, day or month (UTC)."""

    window: BudgetWindow
    spent_usd: Decimal
    held_usd: Decimal
    """Reserved by attempts that have not ended."""
    soft_usd: str | None
    hard_usd: str | None
    """``None``, like ``soft_usd``, where there is no such level."""
    share: float | None
    """Spent and held, of the hard level, or of the soft one if that is all there is; ``None`` without a budget."""
    ends_ns: int
    state: LimitState


@dataclass(frozen=True, slots=True)
class LimitsView:
    """One subject: what it may use, and what it has used."""

    subject: str
    """Unique in the installation, e.g. ``default/key/KEY_ID``."""
    kind: SubjectKind
    name: str
    label: str
    state: LimitState
    """The worst of its windows."""
    running: int
    """Calls that have not ended."""
    concurrency: int | None
    requests_last_minute: int
    """Of the last 60 to 65 s: what the limit is compared with."""
    requests_per_minute: int | None
    tokens_last_minute: int
    tokens_per_minute: int | None
    windows: tuple[WindowView, ...]
    """Hour, day and month."""


class LimitsOverview:
    """Shows limits and what is counted against them."""

    def __init__(self, metadata: LimitsMetadata, records: SpentRecords, counters: Counters, clock: Clock) -> None:
        self._metadata = metadata
        self._records = records
        self._counters = counters
        self._clock = clock

    def page(self, actor: Principal, after: str = "", limit: int = MOST_SUBJECTS) -> list[LimitsView]:
        """Return at most ``limit`` subjects of the project by id, those behind the subject ``after``.

        There are all keys, users, services and the project itself that have limits. A user that only has the limits
        of each user is there if the telemetry knows that it spent something this month.

        Raises:
            Forbidden: If the actor may not read.
            Overloaded: If the telemetry cannot be asked now.
        """
        actor.require(Role.READ)
        now_ns = self._clock.now_ns()
        subjects = self._subjects(actor.project_id, now_ns)
        wanted = [subject for subject in subjects if subject.subject_id > after][: min(limit, MOST_SUBJECTS)]
        return [view_limits(subject, self._counters.usage(subject.subject_id), now_ns) for subject in wanted]

    def _subjects(self, project_id: str, now_ns: int) -> Sequence[Subject]:
        with self._metadata.transaction() as tx:
            project = read_subjects(tx, project_id, now_ns)
        if project.each_user is None:
            return project.subjects
        # The counters know users only by a hash.
        spending = recorded_spending(self._records, project, now_ns)
        return sorted((found.subject for found in spending), key=lambda subject: subject.subject_id)


def view_limits(subject: Subject, counts: SubjectCounts, now_ns: int) -> LimitsView:
    """Return a subject's limits beside its counts. Pure."""
    limits: Limits = subject.limits
    budgets: Mapping[BudgetWindow, Budget] = {budget.window: budget for budget in limits.budget}
    windows = tuple(_window(name, counts.windows[name], budgets.get(name), now_ns) for name in WINDOWS)
    return LimitsView(
        subject=subject.subject_id,
        kind=subject.kind,
        name=subject.name,
        label=subject.label,
        state=max((window.state for window in windows), key=_STATES.index),
        running=counts.running,
        concurrency=limits.concurrency,
        requests_last_minute=counts.requests_last_minute,
        requests_per_minute=limits.requests_per_minute,
        tokens_last_minute=counts.tokens_last_minute,
        tokens_per_minute=limits.tokens_per_minute,
        windows=windows,
    )


def _window(name: BudgetWindow, money: WindowMoney, budget: Budget | None, now_ns: int) -> WindowView:
    soft = None if budget is None else budget.soft_usd
    hard = None if budget is None else budget.hard_usd
    taken, level = money.spent_usd + money.held_usd, hard or soft
    state: LimitState = "ok"
    if hard is not None and taken >= Decimal(hard):
        state = "hard"
    elif soft is not None and taken > Decimal(soft):
        state = "soft"
    return WindowView(
        window=name,
        spent_usd=money.spent_usd,
        held_usd=money.held_usd,
        soft_usd=soft,
        hard_usd=hard,
        share=None if level is None else _share(taken, Decimal(level)),
        ends_ns=window_bounds(name, now_ns)[1],
        state=state,
    )


def _share(taken: Decimal, level: Decimal) -> float:
    """Return the share, 1 of a level of 0: nothing is left of that."""
    return float(taken / level) if level else 1.0
