"""Posting JSON, many requests at once, from whichever event loop runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from zirkel.core import Clock
from zirkel.lib.http1 import HttpClient, HttpFailure, Timeouts

MOST_ANSWER_BYTES = 32 << 20
"""Body that an answer may have."""
_SAID_CHARACTERS = 200
_FINAL_STATUSES = frozenset({400, 401, 402, 403, 404, 405, 410, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    duration_ms: float

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may be answered otherwise later."""
        return self.status not in _FINAL_STATUSES

    @property
    def retry_after_s(self) -> float | None:
        """When to ask again, if it says so in seconds (RFC 9110, section 10.2.3); dates are not read."""
        said = self.headers.get("retry-after", "")
        return float(said) if said.isascii() and said.isdecimal() else None

    @property
    def text(self) -> str:
        """The beginning of the body, for people."""
        return self.body[: 4 * _SAID_CHARACTERS].decode(errors="replace")[:_SAID_CHARACTERS]

    @property
    def message(self) -> str:
        """What an error in OpenAI's shape says, else the beginning of the body."""
        try:
            return msgspec.json.decode(self.body, type=_Refusal).error.message
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.text


class _Error(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


class Unreached(Exception):
    """There was no answer; ``str()`` says why."""


class JsonClient:
    """Kept-alive connections, opened at the first request and again after ``close``."""

    def __init__(
        self, clock: Clock, *, timeout_s: float = 300, open_client: Callable[[], HttpClient] = HttpClient
    ) -> None:
        self._clock = clock
        self._timeouts = Timeouts(connect_s=5, silence_s=timeout_s, total_s=timeout_s)
        self._open_client = open_client
        self._client: HttpClient | None = None

    async def post(self, url: str, headers: Mapping[str, str], body: object) -> Reply:
        """Post a JSON body and return what comes back, whatever its status.

        Raises:
            Unreached: If nothing whole comes back.
        """
        if self._client is None:
            self._client = self._open_client()
        started_ns = self._clock.now_ns()
        try:
            answer = await self._client.request(
                "POST", url, {"content-type": "application/json", **headers}, msgspec.json.encode(body), self._timeouts
            )
            chunks = bytearray()
            while chunk := await answer.next_chunk():
                chunks += chunk
                if len(chunks) > MOST_ANSWER_BYTES:
                    answer.close()
                    raise Unreached(f"the answer is longer than {MOST_ANSWER_BYTES} bytes")
        except HttpFailure as error:
            raise Unreached(f"{type(error).__name__}: {error}") from error
        return Reply(answer.status, answer.headers, bytes(chunks), (self._clock.now_ns() - started_ns) / 1e6)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None
