"""Checks that keep a path below the address it is put behind. Pure."""

import re
from functools import lru_cache
from urllib.parse import quote, unquote, urlsplit

_PLAIN = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_CREDENTIAL = re.compile(r"[!-~]+")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_VERSION = re.compile(r"v\d+[a-z0-9]*")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")


def safe_path(path: str) -> str:
    """Return ``path`` unchanged if no server, however it normalises, reads it as another place than it says.

    Refused: what does not start with ``/``; characters that a path cannot have unescaped; empty segments (``//``), but
    a trailing slash is kept; the segments ``.`` and ``..``; dots, slashes, backslashes and control characters hidden
    behind percent signs; and percent signs hidden behind percent signs, as what they hide cannot be told.

    Raises:
        ValueError: If it is refused; says why and does not quote the path.

    Source: RFC 3986, sections 3.3 and 5.2.4.
    """
    if not _PLAIN.fullmatch(path):
        raise ValueError("the path must start with '/' and have nothing in it that is not part of a URL's path")
    if "//" in path:
        raise ValueError("the path has an empty segment")
    if any(segment in (".", "..") for segment in path.split("/")):
        raise ValueError("the path has the segment '.' or '..'")
    if _hides_something(path):
        raise ValueError("the path has an encoded dot, slash, backslash or control character")
    return path


def _hides_something(path: str) -> bool:
    hidden = [chr(int(escape[1:], 16)) for escape in _ESCAPE.findall(path)]
    if any(character in "./\\\x7f" or character < " " for character in hidden):
        return True
    return bool(_ESCAPE.search(unquote(path, errors="replace")))


def safe_segment(name: str) -> str:
    """Return a name, e.g. a model's, escaped as one segment of a path.

    Raises:
        ValueError: If it is empty, ``.`` or ``..``, which no escaping makes safe.
    """
    if name in ("", ".", ".."):
        raise ValueError("the model's name cannot be part of a path")
    return quote(name, safe="")


@lru_cache(maxsize=1024)
def base_address(base_url: str) -> tuple[str, str]:
    """Return an upstream's address without a trailing slash, and its query without the question mark.

    Raises:
        ValueError: If it is not an ``http`` or ``https`` address, or has a user name, password or fragment.
    """
    try:
        parts = urlsplit(base_url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address or "@" in parts.netloc or parts.fragment or any(c <= " " or c > "~" for c in base_url):
        raise ValueError("the upstream's address must be http(s)://HOST/PATH, without user name, password or fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", parts.query


def below(base: str, path: str) -> str:
    """Return the address of a path below a base address; a version that ends the one and begins the other is said once.

    Clients differ in which of the two they put it into: ``…/v1`` and ``/v1/models`` are ``…/v1/models``.
    """
    version = base.rpartition("/")[2]
    if _VERSION.fullmatch(version) and path.startswith(f"/{version}/"):
        path = path[len(version) + 1 :]
    return base + path


def with_query(url: str, *queries: str) -> str:
    """Return an address with the queries that are not empty, joined.

    Raises:
        ValueError: If a query has characters that a URL's query cannot have.

    Source: RFC 3986, section 3.4.
    """
    joined = "&".join(filter(None, queries))
    if not _QUERY.fullmatch(joined):
        raise ValueError("the query has something in it that is not part of a URL's query")
    return f"{url}?{joined}" if joined else url


def header_credential(credential: str) -> str:
    """Return a credential unchanged if it can be the value of a header.

    Raises:
        ValueError: If it is empty or has characters other than visible ASCII.
    """
    if not _CREDENTIAL.fullmatch(credential):
        raise ValueError("the credential is empty or has characters that a header cannot carry")
    return credential
