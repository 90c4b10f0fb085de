"""One service's four answers, made ready for the page. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from zirkel.console.figures import Interval, Scale, format_score, format_share, format_usd, scale_of
from zirkel.core import Json, ReleaseRecord
from zirkel.observe import Arm, ArmCost, DriftAnswer, EnvironmentStatus, ServiceStatus

MEASURES = {"input_length": "Input length", "output_length": "Output length", "latency_ms": "Latency"}
"""What the measures of drift are called."""


class _Metric(msgspec.Struct, frozen=True):
    interval: Interval | None
    scored_items: int


class _Quality(msgspec.Struct, frozen=True):
    items: int
    trials: int
    errored: int
    metrics: dict[str, _Metric]


@dataclass(frozen=True, slots=True)
class QualityRow:
    """What one release scored in one metric."""

    release: str
    release_number: int
    role: str
    """``stable`` or ``candidate`` where it is live, else empty."""
    interval: Interval | None
    items: int
    trials: int
    errored: int


@dataclass(frozen=True, slots=True)
class MetricTable:
    """One metric's rows on one axis, the stable release first."""

    metric: str
    scale: Scale
    rows: tuple[QualityRow, ...]
    warnings: tuple[str, ...]
    """Why its intervals deserve less trust, each once."""


@dataclass(frozen=True, slots=True)
class CostColumn:
    """What one arm cost."""

    usage: ArmCost
    release_number: int
    usd: Decimal | None
    """The known costs; None if no price is known."""
    usd_per_request: Decimal | None
    """None if it cannot be said: a price is unknown, or there was no request."""


@dataclass(frozen=True, slots=True)
class DriftRow:
    """What is known of one measure."""

    answer: DriftAnswer
    label: str


@dataclass(frozen=True, slots=True)
class Headlines:
    """Each answer in one line."""

    running: str
    quality: str
    cost: str
    drift: str


@dataclass(frozen=True, slots=True)
class Card:
    """The four answers of one service."""

    service: str
    description: str
    at: str
    headlines: Headlines
    running: tuple[EnvironmentStatus, ...]
    quality: tuple[MetricTable, ...]
    cost: tuple[CostColumn, ...]
    cost_window_hours: int
    drift: tuple[DriftRow, ...]


def _drift_label(answer: DriftAnswer, status: ServiceStatus) -> str:
    label = MEASURES.get(answer.measure, answer.measure)
    return label if len(status.running) < 2 else f"{label}, {answer.environment}"


def make_card(status: ServiceStatus, releases: Sequence[ReleaseRecord]) -> Card:
    """Return the card of a service; ``releases`` gives the numbers that people know its digests by."""
    numbers = {release.digest: release.number for release in releases}
    arms = [arm for environment in status.running for arm in environment.arms]
    quality = _metric_tables(status.quality, arms, numbers)
    cost = tuple(_cost_column(usage, numbers) for usage in status.cost)
    drift = tuple(DriftRow(answer, _drift_label(answer, status)) for answer in status.drift)
    return Card(
        service=status.service,
        description=status.description,
        at=status.at,
        headlines=Headlines(
            running=_say_running(status.running),
            quality=_say_quality(quality),
            cost=_say_cost(cost),
            drift=_say_drift(drift),
        ),
        running=status.running,
        quality=quality,
        cost=cost,
        cost_window_hours=status.cost_window_hours,
        drift=drift,
    )


def _metric_tables(
    quality: Mapping[str, Mapping[str, Json]], arms: Sequence[Arm], numbers: Mapping[str, int]
) -> tuple[MetricTable, ...]:
    roles = {arm.release: arm.name for arm in reversed(arms)}
    found = {release: msgspec.convert(report, _Quality) for release, report in quality.items()}
    order = sorted(found, key=lambda release: (roles.get(release) != "stable", numbers.get(release, 0)))
    names = dict.fromkeys(name for release in order for name in found[release].metrics)
    return tuple(_metric_table(name, order, found, roles, numbers) for name in names)


def _metric_table(
    name: str,
    order: Sequence[str],
    found: Mapping[str, _Quality],
    roles: Mapping[str, str],
    numbers: Mapping[str, int],
) -> MetricTable:
    rows = tuple(
        QualityRow(
            release=release,
            release_number=numbers.get(release, 0),
            role=roles.get(release, ""),
            interval=found[release].metrics[name].interval,
            items=found[release].items,
            trials=found[release].trials,
            errored=found[release].errored,
        )
        for release in order
        if name in found[release].metrics
    )
    intervals = [row.interval for row in rows if row.interval]
    warnings = dict.fromkeys(warning for interval in intervals for warning in interval.warnings)
    return MetricTable(name, scale_of(intervals), rows, tuple(warnings))


def _cost_column(usage: ArmCost, numbers: Mapping[str, int]) -> CostColumn:
    is_unknown = usage.unknown_costs > 0 and usage.cost_usd == 0
    is_complete = usage.requests > 0 and usage.unknown_costs == 0
    return CostColumn(
        usage=usage,
        release_number=numbers.get(usage.release, 0),
        usd=None if is_unknown else usage.cost_usd,
        usd_per_request=usage.cost_usd / usage.requests if is_complete else None,
    )


def _say_running(running: Sequence[EnvironmentStatus]) -> str:
    if not running:
        return "Nothing is live yet"
    shown = next((found for found in running if found.environment == "production"), running[0])
    stable, *others = shown.arms
    if not others:
        return f"Release {stable.release_number} in {shown.environment}"
    share = format_share(others[0].weight)
    return f"Release {stable.release_number} in {shown.environment}, {share} on release {others[0].release_number}"


def _say_quality(tables: Sequence[MetricTable]) -> str:
    for table in tables:
        row = table.rows[0]
        if row.interval:
            low, high = format_score(row.interval.low), format_score(row.interval.high)
            return f"{table.metric} {format_score(row.interval.estimate)} ({low} to {high})"
    return "Too few items for an interval" if tables else "Not evaluated yet"


def _say_cost(columns: Sequence[CostColumn]) -> str:
    requests = sum(column.usage.requests for column in columns)
    if not requests:
        return "No requests yet"
    noun = "request" if requests == 1 else "requests"
    unknown = sum(column.usage.unknown_costs for column in columns)
    known = [column.usd for column in columns if column.usd is not None]
    if not known:
        return f"Unknown for {requests:,} {noun}"
    return f"{'At least ' if unknown else ''}{format_usd(sum(known, Decimal(0)))} USD for {requests:,} {noun}"


def _say_drift(rows: Sequence[DriftRow]) -> str:
    drifted = [row.label.lower() for row in rows if row.answer.state == "drift"]
    if drifted:
        return f"Drift in {', '.join(drifted)}"
    if not rows:
        return "Nothing is live yet"
    checked = sum(row.answer.state == "no_drift" for row in rows)
    if checked == len(rows):
        return f"No drift in {checked} measures"
    return f"No drift in {checked} of {len(rows)} measures" if checked else "Not enough data yet"
