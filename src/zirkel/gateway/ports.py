"""What the gateway needs of the world; ``app/wiring.py`` provides it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from zirkel.gateway.snapshot import Snapshot
from zirkel.lib.http1 import Timeouts as Timeouts

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


class SharedTransaction(Protocol):
    """Reads and writes that happen as one."""

    def get(self, key: bytes) -> bytes | None:
        """Return a value, or ``None``."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Set a value. Keys are 1 to 500 bytes."""
        ...

    def delete(self, key: bytes) -> bool:
        """Remove a value; return whether there was one."""
        ...

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the entries whose keys start with ``prefix``, in order of their keys."""
        ...


class SharedState(Protocol):
    """A small ordered map that all workers of an installation share."""

    def transaction(self) -> AbstractContextManager[SharedTransaction]:
        """Open a transaction; none other runs anywhere until it ends. An error, or a kill, undoes all of it.

        What was committed survives a kill of any process at once, and a crash of the machine shortly after.
        """
        ...

    def get(self, key: bytes) -> bytes | None:
        """Return a committed value, or ``None``, without waiting for anybody."""
        ...


@dataclass(frozen=True, slots=True)
class Refused:
    """An upstream's refusal as the caller may see it."""

    status: int
    media_type: str
    body: bytes
    """As it came, without the credential."""
    message: str
    code: str


class UpstreamBroken(Exception):
    """An upstream gave no answer, or not all of it, or refused."""

    def __init__(
        self,
        error_type: str,
        reason: str,
        detail: str = "",
        *,
        kind: Literal["failure", "context_window", "content_filter", "caller"] = "failure",
        is_retryable: bool = True,
        retry_after_s: float | None = None,
        refused: Refused | None = None,
    ) -> None:
        super().__init__(reason)
        self.error_type = error_type
        """A word to group by: ``connect``, ``timeout``, ``http_503``, ``broken``, …"""
        self.reason = reason
        """For callers to read: no address, no secret, nothing that the upstream said."""
        self.detail = detail
        """For the record: what the upstream said."""
        self.kind = kind
        """Which fallbacks may help; ``caller``: none, the request itself is at fault."""
        self.is_retryable = is_retryable
        """The same place may answer if it is asked again."""
        self.retry_after_s = retry_after_s
        """When it wants to be asked again."""
        self.refused = refused
        """What the caller gets if nothing else answers; ``None`` for what is not a refusal of the request."""


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

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; names are found in any case."""
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

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeouts: Timeouts
    ) -> UpstreamAnswer:
        """Send a request and return its answer once the head has arrived.

        Raises:
            UpstreamBroken: If there is no connection, no head in time, or it breaks before.
        """
        ...
