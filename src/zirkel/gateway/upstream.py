"""The upstream client on our own HTTP/1.1, see ``lib.http1``."""

import asyncio
from collections.abc import Mapping

from zirkel.gateway.ports import UpstreamBroken
from zirkel.lib.http1 import Answer, HttpClient, HttpFailure, MalformedRequest, NoConnection, TimedOut, Timeouts


class HttpAnswer:
    """An ``UpstreamAnswer``."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def next_chunk(self) -> bytes:
        try:
            return await self._answer.next_chunk()
        except HttpFailure as failure:
            raise _broken(failure) from failure

    async def read(self, max_bytes: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while chunk := await self.next_chunk():
            size += len(chunk)
            if size > max_bytes:
                self.close()
                raise UpstreamBroken("too_large", f"answer is longer than {max_bytes} bytes")
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def finish(self, *, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                while await self.next_chunk():
                    pass
        except (UpstreamBroken, TimeoutError):
            self.close()

    def close(self) -> None:
        self._answer.close()


class HttpUpstream:
    """An ``UpstreamClient`` with kept-alive connections. Follows no redirect, which would carry the credential away."""

    def __init__(self) -> None:
        self._client: HttpClient | None = None

    async def open(self) -> None:
        self._client = HttpClient()

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, timeouts: Timeouts
    ) -> HttpAnswer:
        if self._client is None:
            raise UpstreamBroken("closed", "gateway is not open")
        try:
            return HttpAnswer(await self._client.request(method, url, headers, body, timeouts))
        except HttpFailure as failure:
            raise _broken(failure) from failure


def _broken(failure: HttpFailure) -> UpstreamBroken:
    match failure:
        case NoConnection():
            return UpstreamBroken("connect", str(failure))
        case TimedOut(is_total=True):
            return UpstreamBroken("timeout_total", "timed out: the call's time was up", is_retryable=False)
        case TimedOut():
            return UpstreamBroken("timeout", "timed out")
        case MalformedRequest():
            return UpstreamBroken("malformed", "its address or credential is malformed", is_retryable=False)
        case _:
            return UpstreamBroken("broken", "connection broke")
