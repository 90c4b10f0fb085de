"""Errors on their way to the caller: statuses, headers, and what a path or method is not."""

import math

from zirkel.core import LimitReached, NotFound, Overloaded, Unauthenticated, UpstreamFailed, ZirkelError
from zirkel.gateway.http import Headers

_OVERLOADED_S = 1.0


class MethodNotAllowed(ZirkelError):
    """The path exists, and is used with another method."""

    code = "method_not_allowed"
    http_status = 405

    def __init__(self, path: str, method: str, allowed: str) -> None:
        super().__init__(f"{path} is used with {allowed}, not {method}")
        self.allowed = allowed


def unknown_path(path: str) -> NotFound:
    """Return the error of a path that the gateway does not have."""
    return NotFound(
        f"no such path: {path[:200]!r}; there are /v1/chat/completions, /v1/responses, /v1/messages, /v1/completions, "
        "/v1/embeddings, /v1/models, /providers/NAME/… and /healthz"
    )


def error_headers(error: ZirkelError) -> Headers:
    """Return the headers that go with an error: when to come back, which limit, which method, how to sign in."""
    headers: dict[str, str] = {}
    if isinstance(error, LimitReached):
        headers = {"x-zirkel-limit": error.limit, "retry-after": _whole_seconds(error.retry_after_s)}
    elif isinstance(error, UpstreamFailed) and error.retry_after_s is not None:
        headers = {"retry-after": _whole_seconds(error.retry_after_s)}
    elif isinstance(error, Overloaded):
        headers = {"retry-after": _whole_seconds(_OVERLOADED_S)}
    elif isinstance(error, MethodNotAllowed):
        headers = {"allow": error.allowed}
    elif isinstance(error, Unauthenticated):
        headers = {"www-authenticate": "Bearer"}
    return headers


def _whole_seconds(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))
