"""A request as bytes. Pure.

Source: RFC 9112, sections 3 and 5.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from zirkel.lib.http1.failures import MalformedRequest

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_NAME = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_NOT_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a connection goes to."""

    host: str
    port: int
    is_tls: bool


@lru_cache(maxsize=1024)
def parse_url(url: str) -> tuple[Origin, str, str]:
    """Return the origin of an absolute URL, the target as it is sent, and the ``host`` header.

    What is percent-encoded stays as it is. A fragment is left out.

    Raises:
        MalformedRequest: If it is no http or https URL of ASCII characters, or holds credentials.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise MalformedRequest("the address is malformed") from None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc or _NOT_IN_TARGET.search(url):
        raise MalformedRequest("the address is malformed")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    origin = Origin(parts.hostname, port or _PORTS[parts.scheme], parts.scheme == "https")
    return origin, target, parts.netloc


def encode_head(method: str, target: str, host: str, headers: Mapping[str, str], length: int) -> bytes:
    """Return a request's line and headers, with ``host`` and ``content-length``.

    Raises:
        MalformedRequest: If a header or the method has characters that would end it early.
    """
    if not _NAME.fullmatch(method):
        raise MalformedRequest("the method is malformed")
    # All names, and all values, are looked at in one step: what would be wrong in one is wrong in the whole.
    if _NOT_IN_VALUE.search("".join(headers.values())) or not all(headers) or _NOT_IN_NAME.search("".join(headers)):
        raise MalformedRequest("a header is malformed")
    lines = [f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
    if length or method not in ("GET", "HEAD", "DELETE", "OPTIONS"):
        lines.append(f"content-length: {length}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")
