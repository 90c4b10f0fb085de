"""What the gateway needs of the world; ``app/wiring.py`` provides it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from zirkel.gateway.snapshot import Snapshot

Unseal = Callable[[str], str]
"""Turns a sealed credential into its text (see ``govern.Vault``)."""


class SnapshotSource(Protocol):
    """Where the current configuration comes from."""

    def current(self) -> Snapshot:
        """Return the snapshot to serve this request from; called once per request, so it must be cheap.

        Raises:
            Overloaded: If there has never been one.
        """
        ...


class SpanSink(Protocol):
    """Where records go: the spool."""

    def append(self, payload: bytes) -> None:
        """Write one record (``core.encode_spans``). On return it survives a kill of this process.

        Raises:
            OSError: If it could not be written.
        """
        ...


class UpstreamBroken(Exception):
    """An upstream gave no answer, or not all of it."""

    def __init__(self, error_type: str, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.error_type = error_type
        """A word to group by: ``connect``, ``timeout``, ``http_503``, ``broken``, …"""
        self.reason = reason
        """For callers to read: no address, no secret, nothing that the upstream said."""
        self.detail = detail
        """For the record: what the upstream said."""


class UpstreamAnswer(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        ...

    async def next_chunk(self) -> bytes:
        """Return the bytes that arrived since the last call, at least one; empty at the end.

        Raises:
            UpstreamBroken: If the connection breaks or is silent for too long.
        """
        ...

    async def read(self, max_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamBroken: If it breaks, or is longer than ``max_bytes``.
        """
        ...

    async def finish(self, *, wait_s: float) -> None:
        """Give the connection back for reuse if the body ends within ``wait_s`` seconds, else close it."""
        ...

    def close(self) -> None:
        """Drop the connection unless the body was read to its end. May be called twice."""
        ...


class UpstreamClient(Protocol):
    """The HTTP client that models are called with."""

    async def open(self) -> None:
        """Make ready; called once, in the event loop that will call ``post``."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> UpstreamAnswer:
        """Send a request and return its answer once the head has arrived.

        Raises:
            UpstreamBroken: If there is no connection, no head in time, or it breaks before.
        """
        ...
