"""A stream is read the same however it arrives, and whatever is passed on is whole events."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.core import ManualClock
from zirkel.gateway.ports import UpstreamBroken
from zirkel.gateway.stream import StreamRelay
from zirkel.gateway.surfaces import CHAT, SURFACES, UPSTREAM_FORMATS
from zirkel.lib.sse import SseParser

CHAT_STREAM = (
    b": ready\n\n"
    b'data: {"model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": "w\xc3\xb6rld"}}]}\r\n\r\n'
    b'data: {"choices": [{"index": 0,\ndata:  "delta": {"content": " &"}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
    b"data: [DONE]\n\n"
)
MESSAGES_STREAM = (
    b'event: message_start\ndata: {"type": "message_start", "message": {"id": "m1", "model": "m", "role": "assistant", '
    b'"content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}}\n\n'
    b'event: content_block_start\ndata: {"type": "content_block_start", "index": 0, '
    b'"content_block": {"type": "text", "text": ""}}\n\n'
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, '
    b'"delta": {"type": "text_delta", "text": "w\xc3\xb6rld &"}}\n\n'
    b'event: content_block_stop\ndata: {"type": "content_block_stop", "index": 0}\n\n'
    b'event: message_delta\ndata: {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, '
    b'"usage": {"output_tokens": 2}}\n\n'
    b'event: message_stop\ndata: {"type": "message_stop"}\n\n'
)
STREAMS = {"chat": CHAT_STREAM, "messages": MESSAGES_STREAM}


class Pieces:
    """An answer that arrives in given pieces and then ends, or breaks."""

    status = 200
    media_type = "text/event-stream"
    headers: Mapping[str, str] = {}

    def __init__(self, pieces: Sequence[bytes], *, breaks: bool = False) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self._breaks = breaks

    async def next_chunk(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._breaks:
            raise UpstreamBroken("broken", "connection broke")
        return b""

    async def read(self, max_bytes: int) -> bytes:
        raise AssertionError

    async def finish(self, *, wait_s: float) -> None:
        raise AssertionError

    def close(self) -> None:
        """Has no connection."""


def _relay(form: str, answer: Pieces, caller: str = "") -> StreamRelay:
    is_hub = form == "chat"
    writer = None if not caller else next(s for s in SURFACES.values() if s.format_name == caller).caller
    return StreamRelay(
        answer,
        ManualClock(),
        parser=SseParser(max_event_bytes=1 << 20),
        reader=None if is_hub else UPSTREAM_FORMATS[form].stream_reader(),
        writer=None if writer is None else writer.stream_writer({"model": "m", "messages": []}),
        hides_usage=False,
        max_bytes=1 << 20,
    )


async def _read(relay: StreamRelay) -> list[bytes]:
    parts = []
    while not relay.is_done:
        parts.append(await relay.next_part())
    return parts


@pytest.mark.parametrize("form", STREAMS)
def test_a_stream_cut_at_any_byte_is_passed_on_and_read_the_same(form: str) -> None:
    stream = STREAMS[form]
    for at in range(len(stream) + 1):
        relay = _relay(form, Pieces([stream[:at], stream[at:]]))
        assert b"".join(asyncio.run(_read(relay))) == stream
        found = relay.completion()
        assert (found.text, found.finish_reason, found.usage.output_tokens) == ('"wörld &"', "stop", 2)


@pytest.mark.parametrize("form", STREAMS)
def test_a_stream_that_arrives_byte_by_byte_is_passed_on_event_by_event(form: str) -> None:
    stream = STREAMS[form]
    parts = asyncio.run(_read(_relay(form, Pieces([stream[at : at + 1] for at in range(len(stream))]))))

    assert b"".join(parts) == stream
    assert all(part.endswith((b"\n\n", b"\r\n\r\n", b"\n")) for part in parts)


@given(st.sets(st.integers(1, len(MESSAGES_STREAM) - 1), max_size=12), st.sampled_from(["chat", "responses"]))
@settings(max_examples=100, deadline=None)
def test_a_translated_stream_says_the_same_however_it_arrives(cuts: set[int], caller: str) -> None:
    edges = [0, *sorted(cuts), len(MESSAGES_STREAM)]
    pieces = [MESSAGES_STREAM[start:end] for start, end in itertools.pairwise(edges)]
    relay = _relay("messages", Pieces(pieces), caller)
    written = b"".join(asyncio.run(_read(relay)))

    assert "wörld".encode() in written
    assert relay.completion().text == '"wörld &"'


@pytest.mark.parametrize("form", STREAMS)
def test_a_stream_that_breaks_at_any_byte_has_passed_on_whole_events_and_is_told_as_broken(form: str) -> None:
    stream = STREAMS[form]
    last = stream.rindex(b"data:") if form == "chat" else stream.rindex(b"event:")
    for at in range(last):
        relay = _relay(form, Pieces([stream[:at]], breaks=True))
        passed = asyncio.run(_until_broken(relay))
        assert stream.startswith(passed)
        assert passed == b"" or passed.endswith((b"\n\n", b"\r\n\r\n", b"\r\n\r"))
        assert relay.has_begun == ("wörld".encode() in passed)


async def _until_broken(relay: StreamRelay) -> bytes:
    parts = []
    try:
        while not relay.is_done:
            parts.append(await relay.next_part())
    except UpstreamBroken:
        return b"".join(parts)
    raise AssertionError("told as whole")


@pytest.mark.parametrize("caller", ["chat", "responses", "messages"])
def test_the_event_that_ends_a_broken_stream_is_of_the_callers_format(caller: str) -> None:
    surface = next(found for found in SURFACES.values() if found.format_name == caller)
    event = surface.caller.stream_writer({"model": "m"}).fail("it broke", status=502, code="upstream_failed")
    (read,) = [found for found in SseParser(max_event_bytes=1 << 20).feed(event) if found.data is not None]

    assert read.data is not None
    assert b"it broke" in read.data
    assert b"[DONE]" not in event
    assert surface.format_name == "chat" or read.event == "error" or surface is CHAT
