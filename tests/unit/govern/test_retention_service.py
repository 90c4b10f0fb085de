"""What is removed for its age, when, and what is written down of it."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Forbidden, ManualClock, Overloaded, Principal
from zirkel.core.privacy import PrivacyConfig, parse_privacy
from zirkel.govern.privacy import PrivacyConfiguration
from zirkel.govern.retention import RetentionService, list_cuts
from zirkel.observe.masking import ProjectMaskers
from zirkel.store.metadata import Metadata

DAY_NS = 24 * 3600 * 10**9
DOCUMENT = """
[retention]
content_days = 30
spans_days = 400
metrics_days = 100

[retention.environments.staging]
content_days = 7
spans_days = 60
"""


@dataclass
class Rows:
    spans: int = 0
    logs: int = 0
    points: int = 0
    scores: int = 0


@dataclass
class Telemetry:
    """Says what it was asked for, and removes as many rows as it is told to."""

    removes: Rows = field(default_factory=Rows)
    asked: list[tuple[str, str, str | None, int]] = field(default_factory=list)
    fails_at: str = ""

    def drop_content_before(self, project_id: str, environment: str | None, before_ns: int) -> Rows:
        return self._drop("content", project_id, environment, before_ns)

    def drop_spans_before(self, project_id: str, environment: str | None, before_ns: int) -> Rows:
        return self._drop("spans", project_id, environment, before_ns)

    def drop_points_before(self, project_id: str, before_ns: int) -> Rows:
        return self._drop("metrics", project_id, None, before_ns)

    def _drop(self, what: str, project_id: str, environment: str | None, before_ns: int) -> Rows:
        if what == self.fails_at:
            raise Overloaded("not now")
        self.asked.append((what, project_id, environment, before_ns))
        return self.removes


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def privacy(metadata: Metadata, clock: ManualClock) -> PrivacyConfiguration:
    return PrivacyConfiguration(metadata, ProjectMaskers(metadata), Silent(), clock)


@pytest.fixture
def retention(metadata: Metadata, telemetry: Telemetry, clock: ManualClock) -> RetentionService:
    return RetentionService(metadata, telemetry, clock)


def entries(metadata: Metadata) -> list[dict[str, object]]:
    with metadata.transaction() as tx:
        found = tx.ledger.entries("default")
    return [msgspec.json.decode(entry.payload) for entry in found if entry.action == "privacy.retained"]


def test_each_rule_lets_whole_days_go(
    privacy: PrivacyConfiguration,
    retention: RetentionService,
    telemetry: Telemetry,
    clock: ManualClock,
    admin: Principal,
) -> None:
    privacy.apply(admin, DOCUMENT)
    retention.run_all()
    today_ns = clock.now_ns() // DAY_NS * DAY_NS
    assert telemetry.asked == [
        ("metrics", "default", None, today_ns - 100 * DAY_NS),
        ("spans", "default", None, today_ns - 400 * DAY_NS),
        ("spans", "default", "staging", today_ns - 60 * DAY_NS),
        ("content", "default", None, today_ns - 30 * DAY_NS),
        ("content", "default", "staging", today_ns - 7 * DAY_NS),
    ]
    assert [(cut.kept, cut.environment, cut.before_ns) for cut in retention.cuts(admin)] == [
        (what, environment, before_ns) for what, _, environment, before_ns in telemetry.asked
    ]


def test_a_project_without_a_document_keeps_everything(
    retention: RetentionService, telemetry: Telemetry, admin: Principal, metadata: Metadata
) -> None:
    retention.run_all()
    assert (retention.run_now(admin), retention.cuts(admin), telemetry.asked, entries(metadata)) == ([], [], [], [])


def test_only_a_run_that_removed_something_is_in_the_ledger(
    privacy: PrivacyConfiguration,
    retention: RetentionService,
    telemetry: Telemetry,
    metadata: Metadata,
    admin: Principal,
) -> None:
    privacy.apply(admin, "[retention]\ncontent_days = 1")
    (step,) = retention.run_now(admin)
    assert step.is_empty
    assert entries(metadata) == []
    telemetry.removes = Rows(spans=3, scores=1)
    (step,) = retention.run_now(admin)
    assert (step.spans, step.logs, step.scores) == (3, 0, 1)
    (entry,) = entries(metadata)
    (noted,) = msgspec.convert(entry["removed"], list[dict[str, object]])
    assert (noted["what"], noted["spans"], noted["environment"]) == ("content", 3, None)


def test_what_was_removed_before_a_failure_is_in_the_ledger(
    privacy: PrivacyConfiguration,
    retention: RetentionService,
    telemetry: Telemetry,
    metadata: Metadata,
    admin: Principal,
) -> None:
    privacy.apply(admin, DOCUMENT)
    telemetry.removes, telemetry.fails_at = Rows(points=5), "content"
    with pytest.raises(Overloaded):
        retention.run_now(admin)
    (entry,) = entries(metadata)
    assert len(msgspec.convert(entry["removed"], list[object])) == 3


def test_only_an_admin_may_have_things_removed(retention: RetentionService, reader: Principal) -> None:
    with pytest.raises(Forbidden):
        retention.run_now(reader)


@given(st.integers(0, 2**62), st.integers(1, 36_500))
def test_what_is_younger_than_a_rule_says_never_goes(now_ns: int, days: int) -> None:
    config = parse_privacy(f"[retention]\ncontent_days = {days}")
    (cut,) = list_cuts(config, now_ns)
    assert cut.before_ns % DAY_NS == 0
    assert cut.before_ns == 0 or days * DAY_NS <= now_ns - cut.before_ns < (days + 1) * DAY_NS
    assert list(list_cuts(PrivacyConfig(), now_ns)) == []
