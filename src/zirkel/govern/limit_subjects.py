"""Whom a project's limits hold for, and what the telemetry knows each of them to have spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

import msgspec

from zirkel.core import BudgetWindow, GatewayConfig, KeyRecord, Limits
from zirkel.core.gateway_config import GatewayConfigRecord
from zirkel.core.windows import WINDOWS, window_bounds
from zirkel.govern.limit_ports import LimitsTransaction, SpentRecords, SpentRow

SubjectKind = Literal["key", "user", "service", "project"]
EACH_USER = "*"
_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Subject:
    """One that a call counts against."""

    project_id: str
    kind: SubjectKind
    name: str
    """Key id, user, service or project id."""
    label: str
    limits: Limits
    since_ns: int = 0
    """When it came into being, UTC nanoseconds; 0 is unknown."""

    @property
    def subject_id(self) -> str:
        """What the gateway's counters call it."""
        return f"{self.project_id}/{self.kind}" + ("" if self.kind == "project" else f"/{self.name}")


@dataclass(frozen=True, slots=True)
class ProjectSubjects:
    """Everybody whom limits of one project hold for."""

    project_id: str
    subjects: Sequence[Subject]
    """By id; users that only have the limits of each user are not among them."""
    named_users: frozenset[str] = frozenset()
    """Users with an entry of their own, even one without limits."""
    each_user: Limits | None = None
    """What every other user may use; ``None`` is no limit."""
    key_users: Mapping[str, str] = field(default_factory=dict)
    """Whose calls a key's are, by key id, whomever they name."""

    def user(self, name: str) -> Subject:
        """Return a user that has only the limits of each user."""
        return Subject(self.project_id, "user", name, name, self.each_user or Limits())

    @property
    def recorded_users(self) -> frozenset[str] | None:
        """Users whose records must be told apart; ``None`` is all of them."""
        return self.named_users if self.each_user is None else None


@dataclass(frozen=True, slots=True)
class Spending:
    """What one subject spent."""

    subject: Subject
    usd: dict[BudgetWindow, Decimal]
    """In the current window of each length; one in which nothing was spent may be left out."""


def read_subjects(tx: LimitsTransaction, project_id: str, now_ns: int) -> ProjectSubjects:
    """Return whom the limits in force hold for; keys that are revoked or expired are left out."""
    config = _decode(tx.gateway_configs.current(project_id))
    keys = tx.keys.list(project_id)
    users = {entry.user: entry.limits for entry in config.limit if entry.user}
    each_user = users.pop(EACH_USER, Limits())
    found = [
        *(_key(key) for key in keys if key.is_valid(now_ns)),
        *(Subject(project_id, "user", name, name, limits) for name, limits in users.items()),
        *(Subject(project_id, "service", e.service, e.service, e.limits) for e in config.limit if e.service),
        Subject(project_id, "project", project_id, project_id, config.limits),
    ]
    return ProjectSubjects(
        project_id=project_id,
        subjects=sorted((s for s in found if is_counted(s.limits)), key=lambda subject: subject.subject_id),
        named_users=frozenset(users),
        each_user=each_user if is_counted(each_user) else None,
        key_users={key.key_id: key.policy.user for key in keys if key.policy.user},
    )


def is_counted(limits: Limits) -> bool:
    """Return whether there is anything to count for; an allow-list of models alone is not."""
    numbers = (limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency)
    return bool(limits.budget) or any(number is not None for number in numbers)


def recorded_spending(records: SpentRecords, project: ProjectSubjects, now_ns: int) -> list[Spending]:
    """Return what the telemetry knows to have been spent in the current hour, day and month.

    Every subject with limits is there, and of the users without an entry of their own those that spent something.
    """
    found = {subject.subject_id: Spending(subject, {}) for subject in project.subjects}
    for window in WINDOWS if found or project.each_user is not None else ():
        since_ns, _ = window_bounds(window, now_ns)
        for row in records.spent_since(project.project_id, since_ns, project.recorded_users):
            user = project.key_users.get(row.key_id) or row.user_id
            if user and user not in project.named_users and project.each_user is not None:
                subject = project.user(user)
                found.setdefault(subject.subject_id, Spending(subject, {}))
            for subject_id in _counted_against(project.project_id, row, user):
                if subject_id in found:
                    usd = found[subject_id].usd
                    usd[window] = usd.get(window, _NOTHING) + row.spent_usd
    return list(found.values())


def _counted_against(project_id: str, row: SpentRow, user: str) -> tuple[str, ...]:
    prefix = f"{project_id}/"
    return (f"{prefix}key/{row.key_id}", f"{prefix}user/{user}", f"{prefix}service/{row.service}", f"{prefix}project")


def _key(key: KeyRecord) -> Subject:
    return Subject(key.project_id, "key", key.key_id, key.label, key.policy.limits, key.created_ns)


def _decode(record: GatewayConfigRecord | None) -> GatewayConfig:
    return msgspec.json.decode(record.config, type=GatewayConfig) if record else GatewayConfig()
