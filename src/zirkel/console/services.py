"""What the console needs of the core."""

from collections.abc import Sequence
from typing import Protocol

from zirkel.core import Alarm, Clock
from zirkel.evaluate import Labelling
from zirkel.govern import Access, Evidence
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.observe import PriceTables, Status, Traces
from zirkel.observe.costs import Costs
from zirkel.observe.search import Search
from zirkel.version import Registry


class Alarms(Protocol):
    """The process's own state, as far as every page shows it."""

    def alarms(self) -> Sequence[Alarm]:
        """Return the alarms that stand, the worst first."""
        ...


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
    def search(self) -> Search: ...
    @property
    def costs(self) -> Costs: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def evidence(self) -> Evidence: ...
    @property
    def gateway(self) -> GatewayConfiguration: ...
    @property
    def prices(self) -> PriceTables: ...
    @property
    def limits(self) -> LimitsOverview: ...
    @property
    def health(self) -> Alarms: ...
    @property
    def labelling(self) -> Labelling: ...
