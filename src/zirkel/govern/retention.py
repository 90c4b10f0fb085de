"""Removing what is older than its project keeps it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from zirkel.core import Clock, Json, Principal, Role, iso_utc
from zirkel.core.privacy import PrivacyConfig
from zirkel.govern.access import SYSTEM
from zirkel.govern.privacy_ports import AgeingTelemetry, PrivacyMetadata, RemovedRows

KeptClass = Literal["content", "spans", "metrics"]
_DAY_NS = 24 * 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Cut:
    """One rule as of a moment: what is older goes."""

    kept: KeptClass
    environment: str | None
    """``None`` is all of them."""
    before_ns: int
    """The beginning of a day, UTC."""


@dataclass(frozen=True, slots=True)
class RetentionStep:
    """What one rule removed, or emptied."""

    cut: Cut
    spans: int
    logs: int
    points: int
    scores: int

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to remove."""
        return not (self.spans or self.logs or self.points or self.scores)


class RetentionService:
    """Applies the retention of projects' documents."""

    def __init__(self, metadata: PrivacyMetadata, telemetry: AgeingTelemetry, clock: Clock) -> None:
        self._metadata = metadata
        self._telemetry = telemetry
        self._clock = clock
        self._lock = threading.Lock()

    def cuts(self, actor: Principal) -> list[Cut]:
        """Return what of the project would go now."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            record = tx.privacy.current(actor.project_id)
        return list(list_cuts(record.decode(), self._clock.now_ns())) if record else []

    def run_now(self, actor: Principal) -> list[RetentionStep]:
        """Remove what is due of the actor's project, and return what each rule removed.

        Raises:
            Forbidden: If the actor is no admin.
            Overloaded: If the telemetry store cannot do it now; what was removed stays removed.
        """
        actor.require(Role.ADMIN)
        with self._metadata.transaction() as tx:
            record = tx.privacy.current(actor.project_id)
        return self._run(actor.project_id, actor.label, record.decode()) if record else []

    def run_all(self) -> None:
        """Remove what is due of all projects.

        Raises:
            Overloaded: As ``run_now``.
        """
        with self._metadata.transaction() as tx:
            records = tx.privacy.all_current()
        for record in records:
            self._run(record.project_id, SYSTEM.label, record.decode())

    def _run(self, project_id: str, actor: str, config: PrivacyConfig) -> list[RetentionStep]:
        steps: list[RetentionStep] = []
        with self._lock:
            try:
                steps.extend(
                    _step(cut, self._apply(project_id, cut)) for cut in list_cuts(config, self._clock.now_ns())
                )
            finally:
                # What is gone is gone, also where a later rule fails.
                self._note(project_id, actor, [step for step in steps if not step.is_empty])
        return steps

    def _apply(self, project_id: str, cut: Cut) -> RemovedRows:
        if cut.kept == "metrics":
            return self._telemetry.drop_points_before(project_id, cut.before_ns)
        if cut.kept == "spans":
            return self._telemetry.drop_spans_before(project_id, cut.environment, cut.before_ns)
        return self._telemetry.drop_content_before(project_id, cut.environment, cut.before_ns)

    def _note(self, project_id: str, actor: str, steps: list[RetentionStep]) -> None:
        if not steps:
            return
        payload: Json = {"removed": [_noted(step) for step in steps]}
        with self._metadata.transaction() as tx:
            tx.ledger.append(project_id, actor, "privacy.retained", payload)


def list_cuts(config: PrivacyConfig, now_ns: int) -> Iterator[Cut]:
    """Yield what a document lets go at a moment: first what goes as a whole, then content.

    A day goes when the whole of it is old enough, so that a rule rewrites each day once and not once an hour.
    """
    kept = config.retention
    today_ns = now_ns - now_ns % _DAY_NS
    rules: list[tuple[KeptClass, str | None, int | None]] = [
        ("metrics", None, kept.metrics_days),
        ("spans", None, kept.spans_days),
        *(("spans", name, own.spans_days) for name, own in sorted(kept.environments.items())),
        ("content", None, kept.content_days),
        *(("content", name, own.content_days) for name, own in sorted(kept.environments.items())),
    ]
    for what, environment, days in rules:
        if days is not None:
            yield Cut(what, environment, max(0, today_ns - days * _DAY_NS))


def _step(cut: Cut, removed: RemovedRows) -> RetentionStep:
    return RetentionStep(cut, removed.spans, removed.logs, removed.points, removed.scores)


def _noted(step: RetentionStep) -> Json:
    return {
        "what": step.cut.kept,
        "environment": step.cut.environment,
        "before": iso_utc(step.cut.before_ns),
        "spans": step.spans,
        "logs": step.logs,
        "points": step.points,
        "scores": step.scores,
    }
