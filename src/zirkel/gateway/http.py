"""The little of ASGI that the gateway needs.

Source: ASGI specification, HTTP and WebSocket message format 2.4.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Required, TypedDict
from urllib.parse import quote

from zirkel.core import Invalid, TooLarge


class Scope(TypedDict, total=False):
    """A connection, as far as it is looked at here."""

    type: Required[str]
    method: str
    path: str
    raw_path: bytes | None
    query_string: bytes
    headers: list[tuple[bytes, bytes]]


class Message(TypedDict, total=False):
    """What is received and sent on a connection."""

    type: Required[str]
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    more_body: bool


Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Mapping[str, str]


_LONGEST_LENGTH = 18


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


def request_headers(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-case name; one sent several times is joined, so that no part of it is passed over.

    Source: RFC 9110, section 5.3.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("utf-8", "replace")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def read_body(receive: Receive, headers: Headers, max_bytes: int) -> bytes:
    """Return the request's body.

    Raises:
        TooLarge: If it is longer than ``max_bytes``.
        Invalid: If the Content-Length is not a number.
        ClientLeft: If the client leaves first.
    """
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > _LONGEST_LENGTH:
        raise Invalid(f"Content-Length is a number, not {length[:40]!r}")
    if int(length) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is longer than {max_bytes} bytes, the limit of this gateway")


async def send_head(send: Send, status: int, headers: Headers) -> None:
    """Send status and headers. Characters that a header cannot carry are percent-encoded."""
    await send(_head(status, headers))


def _head(status: int, headers: Headers) -> Message:
    together = "".join(headers.values())
    if together.isascii() and together.isprintable():
        lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    else:
        lines = [(name.encode(), _header_value(value)) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": lines}


async def send_part(send: Send, body: bytes, *, is_last: bool) -> None:
    """Send a part of the body; returns once the client's connection takes more (back-pressure)."""
    await send({"type": "http.response.body", "body": body, "more_body": not is_last})


async def send_json(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole JSON answer."""
    await send_whole(send, status, body, {"content-type": "application/json", **headers})


async def send_whole(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send a whole answer, with its length."""
    await send(_head(status, {"content-length": str(len(body)), **headers}))
    await send({"type": "http.response.body", "body": body})


def _header_value(value: str) -> bytes:
    if not (value.isascii() and value.isprintable()):
        value = quote(value, safe=" /:;,=+@")
    return value.encode("ascii")
