"""The body of an OTLP request: what it is, and its bytes without compression."""

import zlib
from collections.abc import Callable
from typing import Literal

from zirkel.lib.otlp.errors import Malformed, TooLarge, UnsupportedMedia

Media = Literal["protobuf", "json"]

_MEDIA_TYPES: dict[str, Media] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_STEP_BYTES = 512 * 1024


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


def decompress(
    body: bytes,
    content_encoding: str | None,
    *,
    limit_bytes: int,
    grow: Callable[[int], None] | None = None,
) -> bytes:
    """Return ``body`` without its content encoding: ``identity``, ``gzip`` or ``deflate`` (zlib).

    Stops as soon as more than ``limit_bytes`` came out, whatever the body would expand to. An empty body stays empty
    under every encoding. A gzip body has exactly one member.

    Args:
        body: As received.
        content_encoding: The header; missing, empty and ``identity`` mean none.
        limit_bytes: Most bytes of the body, as sent and decompressed.
        grow: Told how many bytes each step adds to what is held in memory; may raise to stop.

    Raises:
        TooLarge: If the body is longer than ``limit_bytes``, as sent or decompressed.
        Malformed: If the compressed data is damaged, cut short or followed by something else.
        UnsupportedMedia: If the encoding is none of these.

    Source: RFC 9110, section 8.4.1; OTLP specification, "Request size" (the limit holds after decompression).
    """
    encoding = (content_encoding or "identity").strip().lower()
    if len(body) > limit_bytes:
        raise TooLarge(f"the body is {len(body)} bytes, the limit is {limit_bytes}")
    window_bits = _WINDOW_BITS.get(encoding)
    if window_bits is None and encoding not in ("", "identity"):
        raise UnsupportedMedia(f"content encoding {content_encoding!r} is not supported; send gzip, deflate or none")
    if window_bits is None or not body:
        return body
    return _inflate(body, encoding, window_bits, limit_bytes, grow)


def _inflate(
    body: bytes, encoding: str, window_bits: int, limit_bytes: int, grow: Callable[[int], None] | None
) -> bytes:
    inflater = zlib.decompressobj(window_bits)
    plain = bytearray()
    rest = body
    try:
        while not inflater.eof:
            piece = inflater.decompress(rest, _STEP_BYTES)
            rest = inflater.unconsumed_tail
            if not piece and not rest and not inflater.eof:
                raise Malformed(f"the {encoding} body is cut short")
            if grow is not None:
                grow(len(piece))
            plain += piece
            if len(plain) > limit_bytes:
                raise TooLarge(f"the body is more than {limit_bytes} bytes after decompression")
    except zlib.error as error:
        raise Malformed(f"the body is not {encoding}: {error}") from error
    if inflater.unused_data:
        raise Malformed(f"{len(inflater.unused_data)} bytes follow the end of the {encoding} body")
    return bytes(plain)
