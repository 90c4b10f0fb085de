"""Who asks: the principal that every face resolves a credential to."""

from dataclasses import dataclass
from enum import StrEnum

from zirkel.core.errors import Forbidden


class Role(StrEnum):
    """What a key or person may do. ``ADMIN`` may do everything in its project."""

    ADMIN = "admin"
    CALL = "call"
    """Call models through the gateway."""
    INGEST = "ingest"
    """Write telemetry."""
    READ = "read"
    FEEDBACK = "feedback"
    """Write feedback of end users, and nothing else: such a key may be public, in a browser."""
    LABEL = "label"
    """Label answers of experiments: see the queue's items and answers, say what they are worth, settle differences."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A known caller, within one project."""

    project_id: str
    principal_id: str
    """Key id or person id."""
    label: str
    """Name for people to read, as written into the ledger."""
    roles: frozenset[Role]

    def require(self, role: Role) -> None:
        """Return if the principal has ``role`` (or is an admin).

        Raises:
            Forbidden: If not.
        """
        if role not in self.roles and Role.ADMIN not in self.roles:
            held = ", ".join(sorted(self.roles)) or "none"
            raise Forbidden(f"{self.label!r} has the roles {held}; this needs {role.value!r}")
