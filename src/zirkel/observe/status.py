"""The four questions, answered from what is stored: which version, how good, what cost, any drift."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from zirkel.core import Clock, EnvironmentRecord, Json, NotFound, Principal, Role, iso_utc
from zirkel.observe.drift import DriftAnswer, check_drift
from zirkel.observe.ports import ArmUsage, ObserveMetadata, ObserveTransaction, QualityReader, TelemetryReader

DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Arm:
    """A release that serves a share of an environment."""

    name: str
    release: str
    release_number: int
    weight: float
    since: str
    by: str
    verdict: str | None
    """What the gate last said of it for this environment; None if it was never asked."""


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """Question 1 for one environment."""

    environment: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class ArmCost:
    """Question 3 for one release in one arm."""

    environment: str
    arm: str
    release: str
    requests: int
    errors: int
    fallback_answers: int
    """Requests that a fallback of the chain answered."""
    cost_usd: Decimal
    unknown_costs: int
    """Answers whose price is unknown; the sum is without them."""
    input_tokens: int
    output_tokens: int
    latency_p50_ms: float
    latency_p95_ms: float
    ttft_p50_ms: float | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """The four answers."""

    service: str
    description: str
    at: str
    running: tuple[EnvironmentStatus, ...]
    quality: Mapping[str, Mapping[str, Json]]
    """By release digest: its newest experiment; releases that were never evaluated are missing."""
    cost_window_hours: int
    cost: tuple[ArmCost, ...]
    drift: tuple[DriftAnswer, ...]


class Status:
    """Answers the four questions."""

    def __init__(
        self, metadata: ObserveMetadata, telemetry: TelemetryReader, quality: QualityReader, clock: Clock
    ) -> None:
        self._metadata = metadata
        self._telemetry = telemetry
        self._quality = quality
        self._clock = clock

    def status(self, actor: Principal, service: str) -> ServiceStatus:
        """Return the four answers for a service.

        Raises:
            NotFound: If there is no such service.
        """
        actor.require(Role.READ)
        now_ns = self._clock.now_ns()
        with self._metadata.transaction() as tx:
            record = tx.releases.service(actor.project_id, service)
            if record is None:
                raise NotFound(f"service {service!r} does not exist; register it with: zirkel push FOLDER")
            environments = tx.environments.list(actor.project_id, service)
            running = tuple(_environment(tx, state) for state in environments)
        shown = {arm.release for environment in running for arm in environment.arms} | {record.candidate_release}
        found = {release: self._quality.quality(actor.project_id, service, release) for release in sorted(shown)}
        return ServiceStatus(
            service=service,
            description=record.description,
            at=iso_utc(now_ns),
            running=running,
            quality={release: quality for release, quality in found.items() if quality is not None},
            cost_window_hours=24,
            cost=self._costs(actor.project_id, service, environments, now_ns),
            drift=check_drift(self._telemetry, environments, now_ns),
        )

    def _costs(
        self, project_id: str, service: str, environments: Sequence[EnvironmentRecord], now_ns: int
    ) -> tuple[ArmCost, ...]:
        return tuple(
            _cost(state.environment, usage)
            for state in environments
            for usage in self._telemetry.service_usage(
                project_id, service, state.environment, now_ns - DAY_NS, now_ns + 1
            )
        )


def _environment(tx: ObserveTransaction, state: EnvironmentRecord) -> EnvironmentStatus:
    rollout = state.rollout
    weight = 1 - rollout.weight if rollout else 1.0
    arms = [_arm(tx, state, "stable", state.stable_release, weight, state.stable_since_ns, state.stable_by)]
    if rollout:
        arms.append(_arm(tx, state, "candidate", rollout.release, rollout.weight, rollout.since_ns, rollout.started_by))
    return EnvironmentStatus(state.environment, tuple(arms))


def _arm(
    tx: ObserveTransaction, state: EnvironmentRecord, name: str, release: str, weight: float, since_ns: int, by: str
) -> Arm:
    record = tx.releases.get(state.project_id, release)
    verdict = tx.verdicts.latest(state.project_id, release, state.environment)
    return Arm(
        name=name,
        release=release,
        release_number=record.number if record else 0,
        weight=weight,
        since=iso_utc(since_ns),
        by=by,
        verdict=verdict.verdict if verdict else None,
    )


def _cost(environment: str, usage: ArmUsage) -> ArmCost:
    return ArmCost(
        environment=environment,
        arm=usage.arm,
        release=usage.release,
        requests=usage.requests,
        errors=usage.errors,
        fallback_answers=usage.fallback_answers,
        cost_usd=usage.cost_usd,
        unknown_costs=usage.unknown_costs,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        latency_p50_ms=usage.latency_p50_ms,
        latency_p95_ms=usage.latency_p95_ms,
        ttft_p50_ms=usage.ttft_p50_ms,
    )
