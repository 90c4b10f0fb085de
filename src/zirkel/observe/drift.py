"""A first drift check: are today's requests, answers and latencies distributed as they were before?"""

from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.core import EnvironmentRecord
from zirkel.observe.ports import Measure, TelemetryReader
from zirkel.stats import DriftState, ks_drift

DAY_NS = 86_400 * 10**9
MEASURES: tuple[Measure, ...] = ("input_length", "output_length", "latency_ms")
REFERENCE_DAYS = 7
MINIMUM = 100
"""Values on either side below which nothing is said."""
LIMIT = 20_000
"""Values read on either side; the newest."""


@dataclass(frozen=True, slots=True)
class DriftAnswer:
    """Question 4 for one measure."""

    measure: str
    state: DriftState
    n_reference: int
    n_current: int
    n_needed: int
    statistic: float | None
    p_value: float | None
    effect: float | None
    """Wasserstein distance in standard deviations of the reference."""


def check_drift(
    telemetry: TelemetryReader, project_id: str, service: str, environments: Sequence[EnvironmentRecord], now_ns: int
) -> tuple[DriftAnswer, ...]:
    """Return what changed in the last 24 hours against the days before.

    The reference starts with the oldest release that is live now, at most a week back, so that a new release does
    not count as drift.
    """
    if not environments:
        return ()
    oldest_ns = min(state.stable_since_ns for state in environments)
    since_ns = max(oldest_ns, now_ns - (REFERENCE_DAYS + 1) * DAY_NS)
    return tuple(_check(telemetry, project_id, service, measure, since_ns, now_ns) for measure in MEASURES)


def _check(
    telemetry: TelemetryReader, project_id: str, service: str, measure: Measure, since_ns: int, now_ns: int
) -> DriftAnswer:
    split_ns = now_ns - DAY_NS
    reference = telemetry.measure_values(project_id, service, measure, min(since_ns, split_ns), split_ns, LIMIT)
    current = telemetry.measure_values(project_id, service, measure, split_ns, now_ns + 1, LIMIT)
    # A tenth of a standard deviation: smaller shifts are real at large n and matter to nobody.
    check = ks_drift(reference, current, minimum_effect=0.1, alpha=0.01 / len(MEASURES), minimum_n=MINIMUM)
    return DriftAnswer(
        measure=measure,
        state=check.state,
        n_reference=check.n_reference,
        n_current=check.n_current,
        n_needed=MINIMUM,
        statistic=check.statistic,
        p_value=check.p_value,
        effect=check.effect,
    )
