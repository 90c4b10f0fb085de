"""A gate's report as typed fields, for what shows it: JUnit, Markdown, chart, command line. Needs no statistics."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from zirkel.core import Invalid, Json

VerdictWord = Literal["PASS", "SUPERIOR", "FAIL", "INCONCLUSIVE"]


class BoundsView(msgspec.Struct, frozen=True):
    """An estimate between its one-sided bounds."""

    estimate: float
    low: float
    high: float
    method: str
    n: int
    n_clusters: int | None
    warnings: list[str] = []


class TestView(msgspec.Struct, frozen=True):
    """What was held against what."""

    bounds: BoundsView
    limit: float
    is_relative: bool
    verdict: VerdictWord


class UnitView(msgspec.Struct, frozen=True):
    """What kind of number a metric is."""

    name: str
    unit: str
    direction: Literal["higher", "lower"]


class MetricView(msgspec.Struct, frozen=True):
    """What the gate said of one metric."""

    metric: UnitView
    name: str
    verdict: VerdictWord
    reason: str
    difference: TestView | None
    mean: TestView | None
    items_needed: int | None
    items_more: int | None
    price_usd: str | None
    labels_needed: int | None


class DecisionView(msgspec.Struct, frozen=True):
    """What the gate said."""

    verdict: VerdictWord
    reason: str
    metrics: list[MetricView]
    notes: list[str]
    items_more: int | None
    price_usd: str | None


class SideView(msgspec.Struct, frozen=True):
    """One of the two experiments."""

    experiment_id: str
    release: str
    items: int
    trials: int
    answered: int
    errored: int
    cost_usd: str | None
    judging_usd: str | None


class EvidenceView(msgspec.Struct, frozen=True):
    """Both experiments."""

    candidate: SideView
    baseline: SideView | None


class ReportView(msgspec.Struct, frozen=True):
    """The report."""

    service: str
    policy_digest: str
    inputs_digest: str
    decision: DecisionView
    evidence: EvidenceView


def read_report(report: Mapping[str, Json]) -> ReportView:
    """Return a report's fields.

    Raises:
        Invalid: If it is not a gate's report.
    """
    try:
        return msgspec.convert(report, ReportView)
    except msgspec.ValidationError as error:
        raise Invalid(f"this is not a gate's report: {error}") from error
