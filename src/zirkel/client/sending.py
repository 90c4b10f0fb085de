"""What becomes of a record that is sent, in three words; and the port of what sends it."""

from dataclasses import dataclass
from typing import Protocol

from zirkel.client.spool import Record


@dataclass(frozen=True, slots=True)
class Sent:
    """The server has it on disk."""

    warning: str = ""
    """What the server did not take of it."""


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing was taken; try again."""

    reason: str
    wait_s: float = 0
    """For how long the server does not want to be asked."""
    is_faulty: bool = False
    """The server broke on this very record: it may do so for ever."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server does not want it, now or ever."""

    reason: str


Outcome = Sent | Later | Refused


class Sender(Protocol):
    """Brings records to the server."""

    def send(self, record: Record) -> Outcome:
        """Send a record and say what became of it; never raises."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...
