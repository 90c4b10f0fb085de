"""The body of an OTLP/HTTP request: what it is, and its bytes without compression."""

import zlib
from typing import Literal

from zirkel.lib.otlp.errors import Malformed, TooLarge, UnsupportedMedia

Media = Literal["protobuf", "json"]

_MEDIA_TYPES: dict[str, Media] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


def parse_media_type(content_type: str | None) -> Media:
    """Return which of the two OTLP/HTTP encodings a ``Content-Type`` names; parameters are ignored.

    Raises:
        UnsupportedMedia: If the header is missing or names anything else.

    Source: OTLP specification, "OTLP/HTTP Request"; RFC 9110, section 8.3.1.
    """
    essence = (content_type or "").partition(";")[0].strip().lower()
    media = _MEDIA_TYPES.get(essence)
    if media is None:
        raise UnsupportedMedia(
            f"content type {content_type or ''!r} is not supported; send application/x-protobuf or application/json"
        )
    return media


def decompress(body: bytes, content_encoding: str | None, *, limit_bytes: int) -> bytes:
    """Return ``body`` without its content encoding: ``identity``, ``gzip`` or ``deflate`` (zlib).

    Never holds more than ``limit_bytes`` + 1 bytes of output, whatever the body would expand to. An empty body
    stays empty under every encoding. A gzip body has exactly one member.

    Raises:
        TooLarge: If the body is longer than ``limit_bytes``, as sent or decompressed.
        Malformed: If the compressed data is damaged, cut short or followed by something else.
        UnsupportedMedia: If the encoding is none of these.

    Source: RFC 9110, section 8.4.1; OTLP specification, "Request size" (the limit holds after decompression).
    """
    encoding = (content_encoding or "identity").strip().lower()
    if len(body) > limit_bytes:
        raise TooLarge(f"the body is {len(body)} bytes, the limit is {limit_bytes}")
    if encoding in ("", "identity") or not body:
        return body
    window_bits = _WINDOW_BITS.get(encoding)
    if window_bits is None:
        raise UnsupportedMedia(f"content encoding {content_encoding!r} is not supported; send gzip, deflate or none")
    return _inflate(body, encoding, window_bits, limit_bytes)


def _inflate(body: bytes, encoding: str, window_bits: int, limit_bytes: int) -> bytes:
    inflater = zlib.decompressobj(window_bits)
    try:
        plain = inflater.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise Malformed(f"the body is not {encoding}: {error}") from error
    if len(plain) > limit_bytes:
        raise TooLarge(f"the body is more than {limit_bytes} bytes after decompression")
    if not inflater.eof:
        raise Malformed(f"the {encoding} body is cut short")
    if inflater.unused_data:
        raise Malformed(f"{len(inflater.unused_data)} bytes follow the end of the {encoding} body")
    return plain
