"""The four answers, over a real database and telemetry in memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest

from zirkel.core import (
    EnvironmentRecord,
    Forbidden,
    Json,
    ManualClock,
    NotFound,
    Principal,
    ProjectRecord,
    ReleaseRecord,
    Role,
    Rollout,
    ServiceRecord,
    VerdictRecord,
)
from zirkel.observe import Status
from zirkel.observe.ports import Measure
from zirkel.observe.status import DAY_NS
from zirkel.store.metadata import Metadata

READER = Principal("p", "k1", "ann", frozenset({Role.READ}))
OLD, NEW, UNUSED = "1" * 64, "2" * 64, "3" * 64


@dataclass(frozen=True)
class Usage:
    """What one arm did."""

    release: str
    arm: str = "stable"
    requests: int = 10
    errors: int = 1
    fallback_answers: int = 2
    cost_usd: Decimal = Decimal("0.0000001")
    unknown_costs: int = 3
    input_tokens: int = 4
    output_tokens: int = 5
    latency_p50_ms: float = 6.0
    latency_p95_ms: float = 7.0
    ttft_p50_ms: float | None = None


@dataclass
class Telemetry:
    """Usage by environment, and what experiments found by release."""

    usage: dict[str, list[Usage]] = field(default_factory=dict)
    windows: list[tuple[int, int]] = field(default_factory=list)
    findings: dict[str, Mapping[str, Json]] = field(default_factory=dict)

    def service_usage(
        self, project_id: str, service: str, environment: str, since_ns: int, until_ns: int
    ) -> Sequence[Usage]:
        assert (project_id, service) == ("p", "triage")
        self.windows.append((since_ns, until_ns))
        return self.usage.get(environment, [])

    def measure_values(
        self, project_id: str, service: str, since_ns: int, until_ns: int, limit: int, *, environment: str = ""
    ) -> Mapping[Measure, Sequence[float]]:
        return {"input_length": [], "output_length": [], "latency_ms": []}

    def quality(self, project_id: str, service: str, release: str) -> Mapping[str, Json] | None:
        return self.findings.get(release)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(50 * DAY_NS)


@pytest.fixture
def metadata(tmp_path: Path, clock: ManualClock) -> Iterator[Metadata]:
    opened = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    with opened.transaction() as tx:
        tx.projects.add(ProjectRecord("p", "p", 1))
        for digest in (OLD, NEW, UNUSED):
            tx.releases.add(ReleaseRecord("p", digest, "triage", 0, "{}", 1, "ann"))
        tx.releases.put_service(ServiceRecord("p", "triage", "Sorts reviews.", NEW, OLD, 1))
    yield opened
    opened.close()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def status(metadata: Metadata, telemetry: Telemetry, clock: ManualClock) -> Status:
    return Status(metadata, telemetry, telemetry, clock)


def put_live(metadata: Metadata, environment: str = "production", rollout: Rollout | None = None) -> None:
    with metadata.transaction() as tx:
        first = EnvironmentRecord("p", "triage", environment, 1, OLD, DAY_NS, "ann", "s")
        tx.environments.put(first)
        if rollout:
            tx.environments.put(replace(first, version=2, rollout=rollout))


def put_verdict(metadata: Metadata, verdict_id: str, verdict: str, environment: str = "production") -> None:
    with metadata.transaction() as tx:
        tx.verdicts.add(VerdictRecord("p", verdict_id, "triage", NEW, OLD, environment, verdict, "{}", int(verdict_id)))


def test_a_service_that_was_never_pushed_is_not_found(status: Status) -> None:
    with pytest.raises(NotFound, match="service 'other' does not exist; register it with"):
        status.status(READER, "other")


def test_a_service_of_another_project_is_not_found(status: Status) -> None:
    with pytest.raises(NotFound):
        status.status(replace(READER, project_id="q"), "triage")


def test_a_key_that_may_not_read_is_refused(status: Status) -> None:
    with pytest.raises(Forbidden):
        status.status(replace(READER, roles=frozenset({Role.CALL})), "triage")


def test_a_service_that_was_never_shipped_has_no_answers_but_its_candidates_quality(
    status: Status, telemetry: Telemetry
) -> None:
    telemetry.findings = {NEW: {"items": 3}, OLD: {"items": 4}}
    found = status.status(READER, "triage")
    assert (found.running, found.cost, found.drift) == ((), (), ())
    assert found.quality == {NEW: {"items": 3}}
    assert (found.description, found.at) == ("Sorts reviews.", "1970-02-20T00:00:00.000Z")


def test_a_stable_release_serves_everything(status: Status, metadata: Metadata) -> None:
    put_live(metadata)
    (environment,) = status.status(READER, "triage").running
    (arm,) = environment.arms
    assert (arm.name, arm.release, arm.release_number, arm.weight) == ("stable", OLD, 1, 1.0)
    assert (arm.since, arm.by, arm.verdict) == ("1970-01-02T00:00:00.000Z", "ann", None)


def test_a_rollout_shares_with_the_stable_release(status: Status, metadata: Metadata) -> None:
    put_live(metadata, rollout=Rollout(NEW, 0.25, 2 * DAY_NS, "bob"))
    (environment,) = status.status(READER, "triage").running
    shares = [(arm.name, arm.release_number, arm.weight, arm.by) for arm in environment.arms]
    assert shares == [("stable", 1, 0.75, "ann"), ("candidate", 2, 0.25, "bob")]


def test_an_arm_has_the_newest_verdict_for_its_own_environment(status: Status, metadata: Metadata) -> None:
    put_live(metadata, rollout=Rollout(NEW, 0.25, 2 * DAY_NS, "bob"))
    put_verdict(metadata, "1", "FAIL")
    put_verdict(metadata, "2", "PASS")
    put_verdict(metadata, "3", "INCONCLUSIVE", "staging")
    (environment,) = status.status(READER, "triage").running
    assert [arm.verdict for arm in environment.arms] == [None, "PASS"]


def test_quality_is_shown_of_what_serves_and_of_the_candidate(
    status: Status, metadata: Metadata, telemetry: Telemetry
) -> None:
    put_live(metadata)
    telemetry.findings = {OLD: {"items": 1}, NEW: {"items": 2}, UNUSED: {"items": 3}}
    assert status.status(READER, "triage").quality == {OLD: {"items": 1}, NEW: {"items": 2}}


def test_costs_are_of_the_last_day_and_by_environment(
    status: Status, metadata: Metadata, telemetry: Telemetry, clock: ManualClock
) -> None:
    put_live(metadata)
    put_live(metadata, "staging")
    telemetry.usage = {"production": [Usage(OLD), Usage(NEW, "candidate")], "staging": [Usage(OLD, requests=1)]}
    found = status.status(READER, "triage")
    assert [(cost.environment, cost.arm, cost.requests) for cost in found.cost] == [
        ("production", "stable", 10),
        ("production", "candidate", 10),
        ("staging", "stable", 1),
    ]
    now_ns = clock.now_ns()
    assert set(telemetry.windows) == {(now_ns - found.cost_window_hours * 3600 * 10**9, now_ns + 1)}


def test_a_cost_keeps_every_figure_of_its_arm(status: Status, metadata: Metadata, telemetry: Telemetry) -> None:
    put_live(metadata)
    usage = Usage(OLD)
    telemetry.usage = {"production": [usage]}
    (cost,) = status.status(READER, "triage").cost
    assert {name: getattr(cost, name) for name in Usage.__dataclass_fields__} == {
        name: getattr(usage, name) for name in Usage.__dataclass_fields__
    }


def test_drift_is_answered_for_each_environment(status: Status, metadata: Metadata) -> None:
    put_live(metadata)
    put_live(metadata, "staging")
    found = status.status(READER, "triage").drift
    assert {answer.environment for answer in found} == {"production", "staging"}
    assert {answer.state for answer in found} == {"not_enough_data"}
