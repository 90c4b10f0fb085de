"""Who calls: the key comes before everything else a request holds."""

from collections.abc import Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from zirkel.api.errors import error_answer
from zirkel.core import Invalid, Principal, TooLarge, Unauthenticated, ZirkelError

Authenticate = Callable[[str], Principal]
PREFIX = "/api/"
FEEDBACK_PATH = "/api/v1/feedback"
"""Takes keys that may do nothing else, in other ways than a header, and short bodies: its route sees to that."""
MAX_BODY_BYTES = 128 * 1024 * 1024
"""Longest body of a REST request; the largest file of a service is 64 MiB, which base64 makes 86."""


class Guard:
    """ASGI middleware before the REST routes: a known key, then a body of bearable length, then the route."""

    def __init__(self, app: ASGIApp, authenticate: Authenticate) -> None:
        self._app = app
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its principal, or refuse it without reading its body."""
        if scope["type"] == "http" and scope["path"].startswith(PREFIX) and scope["path"] != FEEDBACK_PATH:
            headers = Headers(scope=scope)
            try:
                key = read_bearer(headers.get("authorization"))
                principal = await run_in_threadpool(self._authenticate, key)
                _check_length(headers)
            except ZirkelError as error:
                await error_answer(error)(scope, receive, send)
                return
            scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)


def guarded_principal(request: Request) -> Principal:
    """Return who calls, as the guard found out; a dependency of every REST route."""
    principal = request.state.principal
    assert isinstance(principal, Principal)
    return principal


def read_bearer(authorization: str | None) -> str:
    """Return the key of an ``Authorization: Bearer KEY`` header.

    Raises:
        Unauthenticated: If there is none.
    """
    scheme, _, key = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("send the API key as: Authorization: Bearer zk_…")
    return key.strip()


def _check_length(headers: Headers) -> None:
    if "transfer-encoding" in headers:
        raise Invalid("send the body with a Content-Length, not chunked")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 18:
        raise Invalid(f"Content-Length {length!r} is not a number")
    if int(length) > MAX_BODY_BYTES:
        raise TooLarge(f"the body has {length} bytes; at most {MAX_BODY_BYTES // 2**20} MiB are taken")
