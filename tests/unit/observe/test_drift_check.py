"""Drift per environment and measure, over telemetry in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import pytest

from zirkel.core import EnvironmentRecord
from zirkel.observe.drift import DAY_NS, LIMIT, MEASURES, MINIMUM, check_drift
from zirkel.observe.ports import ArmUsage, Measure

NOW_NS = 100 * DAY_NS


@dataclass(frozen=True)
class Asked:
    """A window that was read."""

    project_id: str
    service: str
    environment: str
    since_ns: int
    until_ns: int
    limit: int


@dataclass
class Telemetry:
    """Values by environment and measure, each with its time; notes what was asked for."""

    values: dict[tuple[str, str], list[tuple[int, float]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def service_usage(
        self, project_id: str, service: str, environment: str, since_ns: int, until_ns: int
    ) -> Sequence[ArmUsage]:
        return []

    def measure_values(
        self, project_id: str, service: str, since_ns: int, until_ns: int, limit: int, *, environment: str = ""
    ) -> Mapping[Measure, Sequence[float]]:
        self.asked.append(Asked(project_id, service, environment, since_ns, until_ns, limit))
        return {
            measure: [v for at_ns, v in self.values.get((environment, measure), []) if since_ns <= at_ns < until_ns][
                :limit
            ]
            for measure in MEASURES
        }

    def record(self, environment: str, measure: str, day: float, values: Sequence[float]) -> None:
        """Keep values as of ``day`` days ago."""
        time_ns = NOW_NS - int(day * DAY_NS)
        self.values.setdefault((environment, measure), []).extend((time_ns, value) for value in values)


def environment(name: str = "production", stable_since_ns: int = 0) -> EnvironmentRecord:
    return EnvironmentRecord("p", "triage", name, 1, "r" * 64, stable_since_ns, "ann", "salt")


def draw(n: int, mean: float, seed: int = 1) -> list[float]:
    random = Random(seed)
    return [random.gauss(mean, 1) for _ in range(n)]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def test_without_environments_there_is_nothing_to_say(telemetry: Telemetry) -> None:
    assert check_drift(telemetry, [], NOW_NS) == ()


def test_without_values_there_is_not_enough_data_and_it_says_how_much_is_needed(telemetry: Telemetry) -> None:
    answers = check_drift(telemetry, [environment()], NOW_NS)
    assert [answer.measure for answer in answers] == list(MEASURES)
    assert {answer.state for answer in answers} == {"not_enough_data"}
    assert {(a.n_reference, a.n_current, a.n_needed, a.statistic, a.p_value, a.effect) for a in answers} == {
        (0, 0, MINIMUM, None, None, None)
    }


@pytest.mark.parametrize(("before", "today"), [(MINIMUM - 1, 500), (500, MINIMUM - 1)])
def test_both_windows_need_enough_values(telemetry: Telemetry, before: int, today: int) -> None:
    telemetry.record("production", "latency_ms", 3, draw(before, 0))
    telemetry.record("production", "latency_ms", 0.5, draw(today, 9))
    (answer,) = [a for a in check_drift(telemetry, [environment()], NOW_NS) if a.measure == "latency_ms"]
    assert (answer.state, answer.n_reference, answer.n_current) == ("not_enough_data", before, today)


def test_a_shift_is_found_in_its_own_measure_and_environment_only(telemetry: Telemetry) -> None:
    for name in ("production", "staging"):
        for measure in MEASURES:
            moved = (name, measure) == ("staging", "output_length")
            telemetry.record(name, measure, 3, draw(300, 0, 1))
            telemetry.record(name, measure, 0.5, draw(300, 1 if moved else 0, 2))
    answers = check_drift(telemetry, [environment(), environment("staging")], NOW_NS)
    assert [(a.environment, a.measure) for a in answers if a.state == "drift"] == [("staging", "output_length")]
    assert [a.state for a in answers].count("no_drift") == 5
    (found,) = [a for a in answers if a.state == "drift"]
    assert found.effect is not None
    assert 0.7 < found.effect < 1.3


def test_a_real_shift_that_is_too_small_to_matter_is_no_drift(telemetry: Telemetry) -> None:
    reference = [float(number) for number in range(10_000)]
    telemetry.record("production", "latency_ms", 3, reference)
    telemetry.record("production", "latency_ms", 0.5, [value + 270 for value in reference])
    (answer,) = [a for a in check_drift(telemetry, [environment()], NOW_NS) if a.measure == "latency_ms"]
    assert answer.p_value is not None
    assert answer.p_value < 0.01 / 3
    assert answer.effect is not None
    assert answer.effect < 0.1
    assert answer.state == "no_drift"


@pytest.mark.parametrize(
    ("stable_days_ago", "reference_begins_days_ago"),
    [(30.0, 8.0), (3.0, 3.0), (0.25, 1.0)],
)
def test_the_reference_begins_with_the_stable_release_at_most_a_week_before_today(
    telemetry: Telemetry, stable_days_ago: float, reference_begins_days_ago: float
) -> None:
    check_drift(telemetry, [environment(stable_since_ns=NOW_NS - int(stable_days_ago * DAY_NS))], NOW_NS)
    reference, current = telemetry.asked
    assert (reference.since_ns, reference.until_ns) == (
        NOW_NS - int(reference_begins_days_ago * DAY_NS),
        NOW_NS - DAY_NS,
    )
    assert (current.since_ns, current.until_ns) == (NOW_NS - DAY_NS, NOW_NS + 1)


def test_only_the_service_of_the_environments_project_is_read(telemetry: Telemetry) -> None:
    check_drift(telemetry, [environment()], NOW_NS)
    assert {(a.project_id, a.service, a.environment, a.limit) for a in telemetry.asked} == {
        ("p", "triage", "production", LIMIT)
    }
