"""The client: finds or makes a connection, and tries once more where a kept one turned out to be gone."""

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial

import msgspec

from zirkel.lib.http1.connection import Answer, Connection
from zirkel.lib.http1.failures import BrokenConnection, MalformedRequest, NoConnection
from zirkel.lib.http1.request import Origin, encode_head, parse_url

_IDLE_S = 30.0
_MOST_IDLE = 256
"""Connections that are kept for each origin."""


class Timeouts(msgspec.Struct, frozen=True):
    """How long one request may take, in seconds."""

    connect_s: float
    """Until the connection stands, TLS included."""
    silence_s: float
    """Longest silence before the first byte and between any two."""
    total_s: float


class HttpClient:
    """Requests over kept-alive connections. Belongs to one event loop.

    Follows no redirect (it would carry credentials elsewhere), keeps no cookies, and knows no proxies.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._idle: dict[Origin, list[Connection]] = {}
        self._is_closed = False

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeouts: Timeouts
    ) -> Answer:
        """Send a request and return its answer once the head has arrived.

        ``host`` and ``content-length`` are added; what is percent-encoded in ``url`` stays as it is.

        Raises:
            MalformedRequest: If the address or a header cannot be sent.
            NoConnection: If there is none, or not in time.
            BrokenConnection: If it ends before, or what comes is not HTTP.
            TimedOut: If no head comes in time.
        """
        origin, target, host = parse_url(url)
        head = encode_head(method, target, host, headers, len(body))
        is_head_request = method == "HEAD"
        connection = self._take_idle(origin)
        if connection is not None:
            try:
                return await connection.exchange(
                    head, body, is_head_request=is_head_request, silence_s=timeouts.silence_s, total_s=timeouts.total_s
                )
            except BrokenConnection:
                # A kept-alive connection may be closed by the server just as we write to it. Nothing was answered,
                # so one try on a new connection is due. Source: RFC 9112, section 9.3.1.
                if connection.has_heard:
                    raise
        connection = await self._connect(origin, timeouts.connect_s)
        return await connection.exchange(
            head, body, is_head_request=is_head_request, silence_s=timeouts.silence_s, total_s=timeouts.total_s
        )

    def close(self) -> None:
        """Close the connections that are idle; those under way close when they are done."""
        self._is_closed = True
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        self._idle.clear()

    def _take_idle(self, origin: Origin) -> Connection | None:
        """Return the connection that was used last, if there is one that may still live."""
        connections = self._idle.get(origin)
        oldest_s = asyncio.get_running_loop().time() - _IDLE_S
        while connections:
            connection = connections.pop()
            if connection.is_open and connection.idle_since_s >= oldest_s:
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin, connect_s: float) -> Connection:
        if self._is_closed:
            raise NoConnection("the client is closed")
        loop = asyncio.get_running_loop()
        tls = self._context() if origin.is_tls else None
        make = partial(Connection, loop, partial(self._keep, origin))
        try:
            async with asyncio.timeout(connect_s):
                _, connection = await loop.create_connection(
                    make, origin.host, origin.port, ssl=tls, server_hostname=origin.host if tls else None
                )
        except TimeoutError:
            raise NoConnection("connection timed out") from None
        except (OSError, ssl.SSLError) as error:
            raise NoConnection("connection failed") from error
        except UnicodeError:
            raise MalformedRequest("the address is malformed") from None
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _keep(self, origin: Origin, connection: Connection) -> None:
        connections = self._idle.setdefault(origin, [])
        if self._is_closed:
            connection.abort()
            return
        connections.append(connection)
        if len(connections) > _MOST_IDLE:
            connections.pop(0).abort()
