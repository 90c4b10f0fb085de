"""The upstream client on aiohttp. TCP_NODELAY is what aiohttp sets on every connection."""

import asyncio
import io
from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp

from zirkel.gateway.ports import UpstreamBroken
from zirkel.gateway.settings import GatewaySettings

_COPY_IN_ONE_GO_BYTES = 1 << 20
_IDLE_CONNECTION_S = 30.0


class AiohttpAnswer:
    """An ``UpstreamAnswer`` of aiohttp."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.media_type = response.content_type

    async def next_chunk(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _broken(error) from error

    async def read(self, max_bytes: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := await self.next_chunk():
            size += len(chunk)
            if size > max_bytes:
                self.close()
                raise UpstreamBroken("too_large", f"answer is longer than {max_bytes} bytes")
            chunks.append(chunk)
        self._response.release()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def finish(self, *, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                while await self.next_chunk():
                    pass
        except (UpstreamBroken, TimeoutError):
            self.close()
        else:
            self._response.release()

    def close(self) -> None:
        self._response.close()


class AiohttpUpstream:
    """An ``UpstreamClient`` with a pool of kept-alive connections.

    No redirect is followed: it would carry the credential to another place.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=settings.total_s, sock_connect=settings.connect_s, sock_read=settings.first_byte_s
        )
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        reuse = aiohttp.TraceConfig()
        reuse.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=_IDLE_CONNECTION_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            skip_auto_headers=("User-Agent",),
            trace_configs=[reuse],
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> AiohttpAnswer:
        seen = SimpleNamespace(is_reused=False)
        try:
            try:
                return await self._send(url, headers, body, seen)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # A kept-alive connection may be closed by the server just as we write to it. Nothing was answered,
                # so one try on another connection is due. Source: RFC 9112, section 9.3.1.
                if not seen.is_reused:
                    raise
                return await self._send(url, headers, body, seen)
        except (ValueError, aiohttp.NonHttpUrlClientError) as error:
            # The error may quote the address or the credential, so its text goes nowhere.
            raise UpstreamBroken("malformed", "its address or credential is malformed") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _broken(error) from error

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes, seen: SimpleNamespace) -> AiohttpAnswer:
        if self._session is None:
            raise UpstreamBroken("closed", "gateway is not open")
        data = body if len(body) <= _COPY_IN_ONE_GO_BYTES else io.BytesIO(body)
        response = await self._session.post(
            url, data=data, headers=headers, allow_redirects=False, trace_request_ctx=seen
        )
        return AiohttpAnswer(response)


async def _note_reuse(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.is_reused = True


def _broken(error: Exception) -> UpstreamBroken:
    if isinstance(error, TimeoutError):
        return UpstreamBroken("timeout", "timed out")
    if isinstance(error, aiohttp.ClientConnectorError):
        return UpstreamBroken("connect", "connection failed")
    return UpstreamBroken("broken", "connection broke")
