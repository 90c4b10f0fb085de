from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.lib.sse import SseEvent, SseOverflowError, SseParser, encode_event

pieces = st.sampled_from(
    [b"data: a", b"data:b", b"data:", b"data", b"data:  c", b":ping", b"event: x", b"event:", b"id: 1", b"retry: 5",
     b"\xc3\xbc", b"data: \xf0\x9f\x8e\x89", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\xef\xbb\xbf"]
)  # fmt: skip
streams = st.lists(pieces, max_size=30).map(b"".join)


def parse(stream: bytes, cuts: Iterator[int]) -> list[SseEvent]:
    parser = SseParser()
    events: list[SseEvent] = []
    start = 0
    for cut in [*cuts, len(stream)]:
        events += parser.feed(stream[start:cut])
        start = cut
    return events + parser.finish()


def reference(stream: bytes) -> list[tuple[bytes, str]]:
    """The algorithm of the specification, line by line, over the whole stream."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[tuple[bytes, str]] = []
    data, event = b"", ""
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append((data[:-1], event or "message"))
            data, event = b"", ""
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data += value + b"\n"
        elif field == b"event":
            event = value.decode("utf-8", "replace")
    return events


@given(streams)
def test_the_events_are_those_of_the_specification(stream: bytes) -> None:
    found = [(event.data, event.event) for event in parse(stream, iter(())) if event.data is not None]

    assert found == reference(stream)


@settings(deadline=None)
@given(streams)
def test_a_split_at_any_byte_gives_the_same_events(stream: bytes) -> None:
    whole = parse(stream, iter(()))

    assert parse(stream, iter(range(len(stream)))) == whole
    for cut in range(len(stream)):
        assert parse(stream, iter([cut])) == whole


@given(streams)
def test_the_raw_blocks_are_the_stream(stream: bytes) -> None:
    raw = b"".join(event.raw for event in parse(stream, iter(())))

    assert stream.startswith(raw)


@given(st.lists(st.binary().filter(lambda data: b"\r" not in data)), st.sampled_from(["", "error", "delta"]))
def test_what_is_encoded_is_read_back(payloads: list[bytes], event: str) -> None:
    stream = b"".join(encode_event(data, event=event) for data in payloads)

    found = SseParser().feed(stream)
    assert [(block.data, block.event) for block in found] == [(data, event or "message") for data in payloads]


def test_a_comment_is_a_block_without_data() -> None:
    assert SseParser().feed(b": ping\n\n") == [SseEvent(raw=b": ping\n\n", data=None, event="message")]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 100, b"data: " + b"x" * 100 + b"\n\n"])
def test_an_event_over_the_bound_is_refused(stream: bytes) -> None:
    with pytest.raises(SseOverflowError, match="64"):
        SseParser(max_event_bytes=64).feed(stream)


def test_the_bound_is_for_each_event_and_not_for_the_stream() -> None:
    parser = SseParser(max_event_bytes=16)

    assert sum(len(parser.feed(b"data: 12345678\n\n")) for _ in range(100)) == 100


def test_an_event_type_is_one_line() -> None:
    with pytest.raises(ValueError, match="one line"):
        encode_event(b"", event="a\nb")
