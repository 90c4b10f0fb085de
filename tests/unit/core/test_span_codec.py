"""Spans as spool records: what was encoded comes back, and nothing else is taken for spans."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Span, SpanEvent, SpanKind, Usage, decode_batch, encode_spans

TEXT = st.text(max_size=8)
SPANS = st.builds(
    Span,
    project_id=TEXT,
    trace_id=TEXT,
    span_id=TEXT,
    name=TEXT,
    kind=st.sampled_from(SpanKind),
    source=TEXT,
    start_ns=st.integers(0, 2**63 - 1),
    end_ns=st.integers(0, 2**63 - 1),
    cost_usd=st.none() | st.decimals(0, 1000, places=12),
    usage=st.builds(Usage, input_tokens=st.none() | st.integers(0, 10**9), is_estimated=st.booleans()),
    attributes=st.dictionaries(TEXT, TEXT, max_size=3),
    events=st.lists(st.builds(SpanEvent, name=TEXT, time_ns=st.integers(0, 2**63 - 1)), max_size=2),
)
ONE = Span(
    project_id="p",
    trace_id="a" * 32,
    span_id="b" * 16,
    name="chät",
    source="gateway",
    start_ns=1,
    end_ns=2,
    cost_usd=Decimal("0.01"),
    attributes={"ä": '"ö"'},
)


@given(st.lists(SPANS, max_size=3))
def test_spans_come_back_from_their_record(spans: list[Span]) -> None:
    assert decode_batch(encode_spans(spans)).spans == spans


@given(st.data())
def test_a_damaged_record_is_spans_or_a_decode_error_and_nothing_worse(data: st.DataObject) -> None:
    record = bytearray(encode_spans([ONE]))
    record[data.draw(st.integers(0, len(record) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode_batch(bytes(record))
    except msgspec.DecodeError:
        return
    assert all(isinstance(span, Span) for span in found.spans)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\xc1",
        b"\x93",
        b"\x81\xa5spans\x91\x81\xa1\xff\x00",
        b"\x81\xa5spans\x91\x81\xa4name\xa1\xff",
        b"\x91" * 100_000,
        b"\x81\xa1x" + b"\x91" * 100_000,
    ],
)
def test_what_is_no_record_is_a_decode_error(record: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_batch(record)
