"""Passing a stream on, chunk by chunk, while reading what is to be recorded of it."""

import asyncio
from collections.abc import Sequence

import msgspec

from zirkel.core import Clock, GuardrailRefused, JsonObject
from zirkel.gateway.completion import DONE, Completion, CompletionBuilder
from zirkel.gateway.formats.base import StreamReader, StreamWriter
from zirkel.gateway.guardrails import OutputStream
from zirkel.gateway.ports import UpstreamAnswer, UpstreamBroken
from zirkel.lib.eventstream import EventStreamParser
from zirkel.lib.sse import SseEvent, SseOverflowError, SseParser

LONGEST_EVENT_BYTES = 16 << 20
_LAST_EVENTS = frozenset({"message_stop", "response.completed", "response.incomplete", "response.failed"})
_NOTHING = frozenset({b"null", b'""', b"[]", b"{}"})


class _OpeningChoice(msgspec.Struct, frozen=True):
    delta: dict[str, msgspec.Raw] | None = None


class _Opening(msgspec.Struct, frozen=True):
    choices: list[_OpeningChoice] = []


_openings = msgspec.json.Decoder(_Opening)


class StreamRelay:
    """Reads an upstream's stream. What it gives on are whole events, so that an error event can follow at any time."""

    def __init__(
        self,
        answer: UpstreamAnswer,
        clock: Clock,
        *,
        parser: SseParser | EventStreamParser,
        reader: StreamReader | None,
        writer: StreamWriter | None,
        hides_usage: bool,
        max_bytes: int,
        between_tokens_s: float | None = None,
    ) -> None:
        """Read ``answer``.

        Args:
            answer: Whose head has arrived.
            clock: Says when the first token came.
            parser: Cuts the body into events.
            reader: Turns events into hub chunks; ``None`` if they are hub chunks already.
            writer: Writes hub chunks in the caller's format; ``None`` if the caller gets the events as they are.
            hides_usage: Leave out the chunk with nothing but usage, which the caller did not ask for.
            max_bytes: Longest body.
            between_tokens_s: Longest pause after the first token, whatever keeps the connection alive meanwhile;
                ``None`` leaves it to the connection's own limit.
        """
        self._answer = answer
        self._clock = clock
        self._parser = parser
        self._reader = reader
        self._writer = writer
        self._hides_usage = hides_usage
        self._bytes_left = max_bytes
        self._between_tokens_s = between_tokens_s
        self._quiet_s = 0.0
        self._builder = CompletionBuilder()
        self._guard: OutputStream | None = None
        self._is_last_seen = False
        self.has_begun = False
        """Some of the answer has come: more than who speaks, a sign of life or what the request counts."""
        self.is_done = False
        """What ``next_part`` returned was the last part."""
        self.first_token_ns: int | None = None
        self.last_token_ns: int | None = None

    def guard_with(self, guard: OutputStream) -> None:
        """Let the guardrails see every chunk; only with a writer."""
        self._guard = guard

    async def next_part(self) -> bytes:
        """Return what to send next, as soon as it has arrived. Empty only if it is the last part.

        Raises:
            UpstreamBroken: If the stream breaks, ends early, tells an error or is too long.
            GuardrailRefused: If a guardrail refuses what came.
        """
        while True:
            chunk = await self._next_chunk()
            self._bytes_left -= len(chunk)
            try:
                events = self._parser.feed(chunk) if chunk else self._parser.finish()
            except SseOverflowError as error:
                raise UpstreamBroken("too_large", "one event of its stream is too long") from error
            except ValueError as error:
                raise UpstreamBroken("garbled", "its stream is garbled", str(error)) from error
            if self._bytes_left < 0:
                raise UpstreamBroken("too_large", "its stream is too long")
            parts = [self._take(event) for event in events]
            if self._is_last_seen or not chunk:
                parts.append(self._end())
            part = b"".join(parts)
            if part or self.is_done:
                return part

    def completion(self) -> Completion:
        """Return what has arrived of the answer so far."""
        return self._builder.result()

    def answer(self) -> JsonObject:
        """Return what has arrived of the answer so far, in hub form."""
        return self._builder.answer()

    async def finish(self, *, wait_s: float) -> None:
        """Let the connection be used again, if the body ends within ``wait_s`` seconds."""
        await self._answer.finish(wait_s=wait_s)

    async def _next_chunk(self) -> bytes:
        limit_s = self._between_tokens_s
        if limit_s is None or not self.has_begun:
            return await self._answer.next_chunk()
        asked_ns = self._clock.now_ns()
        try:
            async with asyncio.timeout(limit_s - self._quiet_s):
                return await self._answer.next_chunk()
        except TimeoutError:
            raise UpstreamBroken("timeout_between_tokens", "timed out between two tokens") from None
        finally:
            # Only what is waited for counts, not the time that the caller takes to read.
            self._quiet_s += (self._clock.now_ns() - asked_ns) / 1e9

    def _take(self, event: SseEvent) -> bytes:
        """Read one event and return what the caller gets of it."""
        if event.data is None:
            return event.raw if self._writer is None else b""
        if event.data.strip() == DONE:
            self._is_last_seen = True
            return event.raw if self._writer is None else b""
        if self._reader is None:
            is_hidden = self._note(event.data) and self._hides_usage
            if self._writer is None:
                return b"" if is_hidden else event.raw
            return self._write([msgspec.json.decode(event.data, type=JsonObject)])
        chunks = self._reader.feed(event)
        is_usage_only = any([self._note(msgspec.json.encode(chunk)) for chunk in chunks])
        self._is_last_seen = self._is_last_seen or event.event in _LAST_EVENTS
        if self._writer is None:
            return b"" if is_usage_only and self._hides_usage else event.raw
        return self._write(chunks)

    def _note(self, data: bytes) -> bool:
        """Read one hub chunk and return whether it is nothing but usage."""
        self._quiet_s = 0.0
        found = self._builder.add(data)
        if found.is_error:
            raise UpstreamBroken("error_event", "its stream ended with an error", data.decode("utf-8", "replace"))
        if found.has_output:
            self.last_token_ns = self._clock.now_ns()
            if self.first_token_ns is None:
                self.first_token_ns = self.last_token_ns
        self.has_begun = self.has_begun or found.has_output or not _says_nothing(data)
        return found.is_usage_only

    def _write(self, chunks: Sequence[JsonObject]) -> bytes:
        writer = self._writer
        if writer is None:
            return b""
        if self._guard is not None:
            chunks = [guarded for chunk in chunks for guarded in self._guard.feed(chunk)]
            self._check_guard()
        return b"".join([writer.write(chunk) for chunk in chunks])

    def _check_guard(self) -> None:
        if self._guard is not None and self._guard.refusal is not None:
            raise GuardrailRefused(self._guard.refusal.message)

    def _end(self) -> bytes:
        """Take the end of the stream: good after its last event or a finish reason, else the answer was cut off."""
        rest: list[JsonObject] = [] if self._reader is None else self._reader.finish()
        for chunk in rest:
            self._note(msgspec.json.encode(chunk))
        if not self._is_last_seen and not self._builder.finish_reason:
            raise UpstreamBroken("truncated", "its stream ended early")
        self.is_done = True
        if self._writer is None:
            return b""
        written = self._write(rest)
        if self._guard is not None:
            written += b"".join([self._writer.write(chunk) for chunk in self._guard.finish()])
            self._check_guard()
        return written + self._writer.end()


def _says_nothing(data: bytes) -> bool:
    """Return whether a hub chunk carries nothing of the answer, in whatever member that might be."""
    try:
        opening = _openings.decode(data)
    except msgspec.DecodeError:
        return False
    members = (member for choice in opening.choices for member in (choice.delta or {}).items())
    return all(name == "role" or bytes(raw) in _NOTHING for name, raw in members)
