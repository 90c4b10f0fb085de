"""What the faces call: one method per request."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from zirkel.core import Alarm, Clock, Json
from zirkel.evaluate import Estimates, Evaluation, Experiments, Labelling, Planning, Uploads
from zirkel.govern import Access, Evidence
from zirkel.govern.erasure import Erasure
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.govern.privacy import PrivacyConfiguration
from zirkel.govern.retention import RetentionService
from zirkel.observe import Intake, PriceTables, Status, Traces
from zirkel.observe.costs import Costs
from zirkel.observe.exporting import Exports
from zirkel.observe.feedback import Feedback
from zirkel.observe.scores import Scores
from zirkel.observe.search import Search
from zirkel.ship import Shipping
from zirkel.version import Registry
from zirkel.version.dataset_checkup import DatasetHealth
from zirkel.version.datasets import Datasets


class Health(Protocol):
    """The process's own state."""

    def report(self) -> dict[str, Json]:
        """Return plain facts (version, spool backlog, counters) and the alarms that stand."""
        ...

    def alarms(self) -> Sequence[Alarm]:
        """Return the alarms that stand, the worst first."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Every service of the core."""

    access: Access
    registry: Registry
    datasets: Datasets
    dataset_health: DatasetHealth
    experiments: Experiments
    estimates: Estimates
    uploads: Uploads
    evaluation: Evaluation
    planning: Planning
    labelling: Labelling
    shipping: Shipping
    status: Status
    traces: Traces
    search: Search
    exports: Exports
    costs: Costs
    intake: Intake
    scores: Scores
    feedback: Feedback
    evidence: Evidence
    gateway: GatewayConfiguration
    prices: PriceTables
    limits: LimitsOverview
    privacy: PrivacyConfiguration
    retention: RetentionService
    erasure: Erasure
    health: Health
    clock: Clock
