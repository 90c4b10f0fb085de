import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.lib.otlp import Malformed, TooLarge, UnsupportedMedia, decompress, parse_media_type

LIMIT = 1 << 20


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        ("application/x-protobuf", "protobuf"),
        ("application/json", "json"),
        ("application/json; charset=utf-8", "json"),
        ("Application/JSON;charset=UTF-8", "json"),
        (" application/x-protobuf ; x=y", "protobuf"),
    ],
)
def test_media_type_is_parsed_with_its_parameters_and_in_any_case(content_type: str, media: str) -> None:
    assert parse_media_type(content_type) == media


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/jsonx", "application/protobuf-x", ";"])
def test_other_or_missing_media_type_is_unsupported(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMedia, match="application/x-protobuf"):
        parse_media_type(content_type)


@given(st.binary(max_size=5000), st.sampled_from([None, "", "identity", "gzip", "GZIP", "x-gzip", "deflate"]))
def test_every_supported_encoding_gives_the_body_back(body: bytes, encoding: str | None) -> None:
    name = (encoding or "").lower()
    sent = gzip.compress(body) if "gzip" in name else zlib.compress(body) if name == "deflate" else body
    assert decompress(sent, encoding, limit_bytes=LIMIT) == body


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_empty_body_stays_empty(encoding: str) -> None:
    assert decompress(b"", encoding, limit_bytes=LIMIT) == b""


@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip, gzip", "gzip2"])
def test_unknown_encoding_is_unsupported(encoding: str) -> None:
    with pytest.raises(UnsupportedMedia, match="gzip"):
        decompress(b"x", encoding, limit_bytes=LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_every_truncation_is_malformed(encoding: str) -> None:
    plain = b"some spans " * 40
    whole = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain)
    for length in range(1, len(whole)):
        with pytest.raises(Malformed):
            decompress(whole[:length], encoding, limit_bytes=LIMIT)


@pytest.mark.parametrize("tail", [b"\x00", b"garbage", gzip.compress(b"second member", mtime=0)])
def test_bytes_after_the_gzip_body_are_malformed(tail: bytes) -> None:
    with pytest.raises(Malformed, match="follow"):
        decompress(gzip.compress(b"spans") + tail, "gzip", limit_bytes=LIMIT)


def test_body_that_is_not_gzip_is_malformed() -> None:
    with pytest.raises(Malformed, match="not gzip"):
        decompress(b"plain bytes", "gzip", limit_bytes=LIMIT)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
def test_limit_holds_after_decompression_and_is_inclusive(encoding: str) -> None:
    def sent(size: int) -> bytes:
        plain = bytes(size)
        return {"identity": plain, "gzip": gzip.compress(plain), "deflate": zlib.compress(plain)}[encoding]

    assert len(decompress(sent(1000), encoding, limit_bytes=1000)) == 1000
    with pytest.raises(TooLarge):
        decompress(sent(1001), encoding, limit_bytes=1000)


def test_compressed_body_over_the_limit_is_too_large() -> None:
    with pytest.raises(TooLarge):
        decompress(b"\x00" * 11, "gzip", limit_bytes=10)


def test_gzip_bomb_is_refused_with_bounded_memory() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(bomb, "gzip", limit_bytes=LIMIT)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * LIMIT
