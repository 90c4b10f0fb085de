"""What the faces call: one method per request."""

from dataclasses import dataclass
from typing import Protocol

from zirkel.evaluate import Evaluation
from zirkel.govern import Access, Evidence
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.observe import Intake, PriceTables, Status, Traces
from zirkel.ship import Shipping
from zirkel.version import Registry


class Health(Protocol):
    """The process's own state."""

    def report(self) -> dict[str, int | str]:
        """Return plain facts: version, spool backlog, counters."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Every service of the core."""

    access: Access
    registry: Registry
    evaluation: Evaluation
    shipping: Shipping
    status: Status
    traces: Traces
    intake: Intake
    evidence: Evidence
    gateway: GatewayConfiguration
    prices: PriceTables
    limits: LimitsOverview
    health: Health
