"""A first drift check: are today's requests, answers and latencies distributed as they were before?"""

from collections.abc import Iterator, Sequence
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

    environment: str
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
    telemetry: TelemetryReader, environments: Sequence[EnvironmentRecord], now_ns: int
) -> tuple[DriftAnswer, ...]:
    """Return what changed in each environment in the last 24 hours against the days before.

    The reference starts when the stable release went live, at most a week back, so that a new release does not count
    as drift.
    """
    return tuple(answer for state in environments for answer in _check(telemetry, state, now_ns))


def _check(telemetry: TelemetryReader, state: EnvironmentRecord, now_ns: int) -> Iterator[DriftAnswer]:
    split_ns = now_ns - DAY_NS
    since_ns = min(split_ns, max(state.stable_since_ns, split_ns - REFERENCE_DAYS * DAY_NS))
    where = state.environment
    reference, current = (
        telemetry.measure_values(state.project_id, state.service, start_ns, end_ns, LIMIT, environment=where)
        for start_ns, end_ns in ((since_ns, split_ns), (split_ns, now_ns + 1))
    )
    for measure in MEASURES:
        # A tenth of a standard deviation: smaller shifts are real at large n and matter to nobody.
        check = ks_drift(
            reference[measure],
            current[measure],
            minimum_effect=0.1,
            alpha=0.01 / len(MEASURES),
            minimum_n=MINIMUM,
        )
        yield DriftAnswer(
            environment=where,
            measure=measure,
            state=check.state,
            n_reference=check.n_reference,
            n_current=check.n_current,
            n_needed=MINIMUM,
            statistic=check.statistic,
            p_value=check.p_value,
            effect=check.effect,
        )
