"""What the console needs of the core."""

from typing import Protocol

from zirkel.govern import Access, Evidence
from zirkel.observe import Status, Traces
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
