"""Reading along with an answer that is passed on as it is, to know what it used."""

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.completion import Completion, CompletionBuilder, parse_completion, parse_embedding
from zirkel.gateway.surfaces import UPSTREAM_FORMATS
from zirkel.gateway.usage import read_usage
from zirkel.lib.eventstream import EventStreamParser
from zirkel.lib.sse import SseEvent, SseParser

_LONGEST_READ_BYTES = 4 << 20
"""How much of an answer is kept to read the usage from."""


class _Counted(msgspec.Struct, frozen=True):
    model: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


class Meter:
    """Reads along, as far as the format is known; never changes or holds back a byte."""

    def __init__(self, format_name: str, media_type: str) -> None:
        """Read an answer in ``format_name`` (empty if it is not known)."""
        self._format_name = format_name
        self._parser: SseParser | EventStreamParser | None = None
        if media_type == "text/event-stream":
            self._parser = SseParser(max_event_bytes=_LONGEST_READ_BYTES)
        elif media_type == "application/vnd.amazon.eventstream":
            self._parser = EventStreamParser(max_event_bytes=_LONGEST_READ_BYTES)
        self._reader = UPSTREAM_FORMATS[format_name].stream_reader() if format_name not in ("", "chat") else None
        self._builder = CompletionBuilder()
        self._body = bytearray()
        self._is_lost = False

    def feed(self, chunk: bytes) -> bool:
        """Take a piece of the answer; return whether a stream brought output with it."""
        if self._is_lost:
            return False
        if self._parser is None:
            self._body += chunk
            self._is_lost = len(self._body) > _LONGEST_READ_BYTES
            return False
        try:
            return any([self._take(event) for event in self._parser.feed(chunk)])
        except ValueError:
            # Not of the form it seemed to be: it is passed on all the same, and counted from what was read.
            self._is_lost = True
            return False

    def completion(self) -> Completion:
        """Return what has been read."""
        if self._parser is not None or self._is_lost:
            return self._finish()
        try:
            return self._read(bytes(self._body))
        except (msgspec.DecodeError, ValueError, RecursionError):
            return Completion()

    def _read(self, body: bytes) -> Completion:
        if not self._format_name:
            counted = msgspec.json.decode(body, type=_Counted)
            return Completion(model=counted.model or "", usage=read_usage(counted.usage))
        if self._format_name == "embeddings":
            return parse_embedding(body)
        if self._format_name == "chat":
            return parse_completion(body)
        if body.lstrip().startswith(b"["):
            # Gemini's streams come as one array where nobody asked for events.
            for item in msgspec.json.decode(body, type=list[msgspec.Raw]):
                self._take(SseEvent(raw=b"", data=bytes(item), event="message"))
            return self._finish()
        hub = UPSTREAM_FORMATS[self._format_name].read_answer(msgspec.json.decode(body, type=JsonObject))
        return parse_completion(msgspec.json.encode(hub))

    def _finish(self) -> Completion:
        """Return what a stream has brought; some formats tell the usage only when they know that no more follows."""
        for chunk in self._reader.finish() if self._reader is not None else ():
            self._builder.add(msgspec.json.encode(chunk))
        return self._builder.result()

    def _take(self, event: SseEvent) -> bool:
        if event.data is None:
            return False
        if self._reader is None:
            return self._builder.add(event.data).has_output
        chunks = self._reader.feed(event)
        return any([self._builder.add(msgspec.json.encode(chunk)).has_output for chunk in chunks])
