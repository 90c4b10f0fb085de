"""What the gateway asks of a dialect. Pure: no I/O, the time is given."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

Framing = Literal["sse", "eventstream"]


class Endpoint(msgspec.Struct, frozen=True):
    """Where a request goes."""

    url: str
    headers: Mapping[str, str]
    """Those of the dialect: authorisation, versions. Lower-case names; content type and tracing come from the call."""


class Dialect(Protocol):
    """One provider's way of speaking. Stateless."""

    @property
    def formats(self) -> tuple[str, ...]:
        """The wire formats it speaks."""
        ...

    @property
    def framing(self) -> Framing:
        """How it frames streams."""
        ...

    def endpoint(
        self, base_url: str, credential: str, *, format_name: str, model: str, is_stream: bool, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request in ``format_name`` goes; ``count_tokens`` is a format here, too.

        Raises:
            ValueError: If the credential or address does not have the dialect's form (says which, quotes neither).
        """
        ...

    def passage(
        self, base_url: str, credential: str, *, method: str, path: str, query: str, body: bytes, now_ns: int
    ) -> Endpoint:
        """Return where a request that is passed through goes: ``path`` (starts with ``/``) below the base address.

        Raises:
            ValueError: As ``endpoint``; also if the path would leave the base address.
        """
        ...
