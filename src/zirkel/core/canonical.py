"""Canonical JSON and digests: the same value gives the same bytes on every machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""A JSON value."""


def canonical_json(value: Json) -> bytes:
    """Return the one JSON text of ``value``: sorted keys, no white space, UTF-8, finite numbers.

    Floats are written by Python's shortest round-trip form, which is deterministic.

    Raises:
        ValueError: If a number is NaN or infinite.

    Source: RFC 8785, but for numbers (see above) and for keys, which sort by code point and not by UTF-16 unit.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Json) -> str:
    """Return the digest of a JSON value: SHA-256 of its canonical form, 64 hex digits."""
    return sha256_hex(canonical_json(value))
