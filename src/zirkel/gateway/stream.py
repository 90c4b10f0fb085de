"""Passing a stream on, chunk by chunk, while reading what is to be recorded of it."""

from zirkel.core import Clock
from zirkel.gateway.completion import DONE, Completion, CompletionBuilder
from zirkel.gateway.errors import error_json
from zirkel.gateway.ports import UpstreamAnswer, UpstreamBroken
from zirkel.lib.sse import SseEvent, SseOverflowError, SseParser, encode_event

_LONGEST_EVENT_BYTES = 16 << 20


class StreamRelay:
    """Reads an upstream's stream. What it gives on are whole events, so that an error event can follow at any time."""

    def __init__(self, answer: UpstreamAnswer, clock: Clock, *, hides_usage: bool, max_bytes: int) -> None:
        self._answer = answer
        self._clock = clock
        self._hides_usage = hides_usage
        self._bytes_left = max_bytes
        self._parser = SseParser(max_event_bytes=min(_LONGEST_EVENT_BYTES, max_bytes))
        self._builder = CompletionBuilder()
        self.is_done = False
        """What ``next_part`` returned was the last part."""
        self.first_token_ns: int | None = None

    async def next_part(self) -> bytes:
        """Return what to send next, as soon as it has arrived. Empty only if it is the last part.

        Raises:
            UpstreamBroken: If the stream breaks, ends early, tells an error or is too long.
        """
        while True:
            chunk = await self._answer.next_chunk()
            self._bytes_left -= len(chunk)
            try:
                events = self._parser.feed(chunk) if chunk else self._parser.finish()
            except SseOverflowError as error:
                raise UpstreamBroken("too_large", "one event of its stream is too long") from error
            if self._bytes_left < 0:
                raise UpstreamBroken("too_large", "its stream is too long")
            part = b"".join([event.raw for event in events if self._take(event)])
            if not chunk and not self.is_done:
                self._end()
            if part or self.is_done:
                return part

    def completion(self) -> Completion:
        """Return what has arrived of the answer so far."""
        return self._builder.result()

    async def finish(self, *, wait_s: float) -> None:
        """Let the connection be used again, if the body ends within ``wait_s`` seconds."""
        await self._answer.finish(wait_s=wait_s)

    def _take(self, event: SseEvent) -> bool:
        """Read one event and return if the caller gets it."""
        if event.data is None:
            return True
        if event.data.strip() == DONE:
            self.is_done = True
            return True
        found = self._builder.add(event.data)
        if found.is_error:
            raise UpstreamBroken("error_event", "its stream ended with an error", event.data.decode("utf-8", "replace"))
        if found.has_output and self.first_token_ns is None:
            self.first_token_ns = self._clock.now_ns()
        return not (found.is_usage_only and self._hides_usage)

    def _end(self) -> None:
        """Take the end of the body: good after ``[DONE]`` or a finish reason, else the answer was cut off."""
        if not self._builder.finish_reason:
            raise UpstreamBroken("truncated", "its stream ended early")
        self.is_done = True


def error_event(error: UpstreamBroken) -> bytes:
    """Return the event that tells a caller, amid a stream, that there is no more to come."""
    return encode_event(error_json(f"the upstream failed: {error.reason}", status=502, code="upstream_failed"))
