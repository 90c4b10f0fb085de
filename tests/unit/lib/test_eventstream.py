import struct
from binascii import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from zirkel.lib.eventstream import EventStreamError, EventStreamParser, encode_message
from zirkel.lib.sse import SseEvent, SseOverflowError

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
messages = st.lists(
    st.tuples(
        st.sampled_from(["event", "exception"]),
        names,
        st.dictionaries(names.map(lambda name: "x" + name), st.text(max_size=20), max_size=3),
        st.binary(max_size=40),
    ),
    min_size=1,
    max_size=4,
)


def encode(kind: str, name: str, headers: dict[str, str], payload: bytes) -> bytes:
    return encode_message(payload, {":message-type": kind, f":{kind}-type": name, **headers})


def frame(headers: bytes, payload: bytes) -> bytes:
    """A message with headers of any kind, as the specification lays it out."""
    lengths = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = lengths + struct.pack("!I", crc32(lengths)) + headers + payload
    return message + struct.pack("!I", crc32(message))


def parse(stream: bytes, *cuts: int) -> list[SseEvent]:
    parser = EventStreamParser()
    events: list[SseEvent] = []
    start = 0
    for cut in (*cuts, len(stream)):
        events += parser.feed(stream[start:cut])
        start = cut
    return events + parser.finish()


@given(messages)
def test_what_is_encoded_is_read_back(sent: list[tuple[str, str, dict[str, str], bytes]]) -> None:
    stream = b"".join(encode(*message) for message in sent)

    events = parse(stream)

    assert [(event.event, event.data) for event in events] == [(name, payload) for _, name, _, payload in sent]
    assert b"".join(event.raw for event in events) == stream


@given(messages)
def test_another_implementation_reads_what_is_encoded(sent: list[tuple[str, str, dict[str, str], bytes]]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(encode(*message) for message in sent))

    found = [(message.headers, message.payload) for message in buffer]

    assert found == [
        ({":message-type": kind, f":{kind}-type": name, **headers}, payload) for kind, name, headers, payload in sent
    ]


@settings(deadline=None)
@given(messages)
def test_a_split_at_any_byte_gives_the_same_events(sent: list[tuple[str, str, dict[str, str], bytes]]) -> None:
    stream = b"".join(encode(*message) for message in sent)
    whole = parse(stream)

    assert parse(stream, *range(len(stream))) == whole
    for cut in range(len(stream)):
        assert parse(stream, cut) == whole


@given(messages, st.data())
def test_a_changed_byte_is_noticed(sent: list[tuple[str, str, dict[str, str], bytes]], data: st.DataObject) -> None:
    first, rest = encode("event", "chunk", {}, b"{}"), b"".join(encode(*message) for message in sent)
    place = data.draw(st.integers(0, len(first) - 1))
    changed = bytearray(first)
    changed[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises(EventStreamError):
        parse(bytes(changed) + rest)


def test_what_came_before_a_faulty_message_is_not_lost() -> None:
    good = encode("event", "chunk", {}, b"{}")
    parser = EventStreamParser()

    events = parser.feed(good + good[:-1] + b"\x00")

    assert [event.data for event in events] == [b"{}"]
    with pytest.raises(EventStreamError, match="checksum"):
        parser.finish()


def test_headers_of_every_type_are_passed_over() -> None:
    sizes = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
    headers = b"".join(b"\x01a" + bytes([kind]) + b"\x01" * size for kind, size in sizes.items())
    headers += b"\x01a\x06\x00\x03abc" + b"\x0b:event-type\x07\x00\x04ping"

    assert parse(frame(headers, b"x")) == [SseEvent(raw=frame(headers, b"x"), data=b"x", event="ping")]


@pytest.mark.parametrize(
    "headers", [b"\x05a", b"\x01a", b"\x01a\x0a", b"\x01a\x07\x00", b"\x01a\x07\x00\x05ab", b"\x01a\x04\x00"]
)
def test_headers_that_end_too_soon_or_have_no_known_type_are_an_error(headers: bytes) -> None:
    with pytest.raises(EventStreamError, match="headers"):
        parse(frame(headers, b""))


def test_an_error_without_a_model_says_its_code_and_message() -> None:
    message = encode_message(
        b"", {":message-type": "error", ":error-code": "InternalError", ":error-message": 'it "broke"'}
    )

    (event,) = parse(message)

    assert (event.event, event.data) == ("error", b'{"code": "InternalError", "message": "it \\"broke\\""}')


def test_a_message_over_the_bound_is_refused_before_it_has_come() -> None:
    message = encode("event", "chunk", {}, b"x" * 200)

    with pytest.raises(SseOverflowError, match="128"):
        EventStreamParser(max_event_bytes=128).feed(message[:12])


def test_the_bound_is_for_each_message_and_not_for_the_stream() -> None:
    parser = EventStreamParser(max_event_bytes=128)

    assert sum(len(parser.feed(encode("event", "chunk", {}, b"12345678"))) for _ in range(100)) == 100


def test_lengths_that_contradict_each_other_are_an_error() -> None:
    lengths = struct.pack("!II", 20, 8)

    with pytest.raises(EventStreamError, match="8 bytes of headers"):
        EventStreamParser().feed(lengths + struct.pack("!I", crc32(lengths)))


def test_an_unfinished_message_is_dropped_at_the_end() -> None:
    assert parse(encode("event", "chunk", {}, b"{}")[:-1]) == []


def test_a_header_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        encode_message(b"", {"n" * 256: ""})
