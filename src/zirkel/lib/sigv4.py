"""AWS Signature Version 4. Pure: the time is given.

Source: AWS IAM user guide, "Create a signed AWS API request".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AwsCredential:
    """An access key."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    """Of a temporary credential, else empty."""


def sign_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credential: AwsCredential,
    *,
    region: str,
    service: str,
    now_ns: int,
) -> dict[str, str]:
    """Return the headers to add to a request (lower-case names): ``x-amz-date``, ``authorization``, maybe the token.

    Every header of ``headers`` is signed, so each must arrive as it is given; ``host`` is signed as clients send it for
    ``url``. The URL must go over the wire exactly as given: its path is encoded once more to be signed, as every
    service but S3 wants it.

    Source: AWS IAM user guide, "Elements of an AWS API request signature".
    """
    parts = urlsplit(url)
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": moment}
    if credential.session_token:
        added["x-amz-security-token"] = credential.session_token
    signed = {"host": _host(parts), **{name.lower(): _trim(value) for name, value in headers.items()}, **added}
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method.upper(),
            _canonical_path(parts.path),
            _canonical_query(parts.query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    signature = hmac.new(_signing_key(credential.secret_key, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    added["authorization"] = (
        f"{_ALGORITHM} Credential={credential.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return added


def _signing_key(secret_key: str, scope: str) -> bytes:
    key = b"AWS4" + secret_key.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    if parts.port is None or parts.port == _DEFAULT_PORTS.get(parts.scheme):
        return host
    return f"{host}:{parts.port}"


def _trim(value: str) -> str:
    return " ".join(value.split())


def _canonical_path(path: str) -> str:
    """Return the path without ``.``, ``..`` and empty segments, each segment encoded once more."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    trailing = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return quote("/" + "/".join(kept) + trailing, safe="/~")


def _canonical_query(query: str) -> str:
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    return "&".join(f"{name}={value}" for name, value in sorted((_encode(n), _encode(v)) for n, v in pairs))


def _encode(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")
