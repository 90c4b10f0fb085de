"""Errors in the shape that OpenAI's clients read: ``{"error": {"message", "type", "code", "param"}}``."""

import msgspec

from zirkel.core import NotFound, ZirkelError

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error", 502: "upstream_error"}


class MethodNotAllowed(ZirkelError):
    """The path exists, and is used with another method."""

    code = "method_not_allowed"
    http_status = 405

    def __init__(self, path: str, method: str, allowed: str) -> None:
        super().__init__(f"{path} is used with {allowed}, not {method}")
        self.allowed = allowed


def unknown_path(path: str) -> NotFound:
    """Return the error of a path that the gateway does not have."""
    return NotFound(f"no such path: {path[:200]!r}; there are /v1/chat/completions, /v1/models and /healthz")


def error_body(error: ZirkelError) -> bytes:
    """Return the JSON body that tells ``error``."""
    return error_json(str(error), status=error.http_status, code=error.code, param=error.path)


def error_json(message: str, *, status: int, code: str, param: str | None = None) -> bytes:
    """Return the JSON body of an error; its ``type`` follows from the HTTP status."""
    kind = _TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    return msgspec.json.encode({"error": {"message": message, "type": kind, "code": code, "param": param}})
