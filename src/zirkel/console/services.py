"""What the console needs of the core."""

from typing import Protocol

from zirkel.govern import Access, Evidence
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.observe import PriceTables, Status, Traces
from zirkel.version import Registry


class ConsoleServices(Protocol):
    """The services that the pages call."""

    @property
    def access(self) -> Access: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def status(self) -> Status: ...
    @property
    def traces(self) -> Traces: ...
    @property
    def evidence(self) -> Evidence: ...
    @property
    def gateway(self) -> GatewayConfiguration: ...
    @property
    def prices(self) -> PriceTables: ...
    @property
    def limits(self) -> LimitsOverview: ...
