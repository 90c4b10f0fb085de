"""The kinds of error Zirkel tells its callers about, each with a stable code.

Raising one has no side effect. Faces (HTTP, CLI) map the class to a status or an exit code once.
"""

from collections.abc import Mapping
from typing import ClassVar


class ZirkelError(Exception):
    """Base of every error that is the caller's business. ``str()`` says what was wrong and what to do."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        """The faulty field or file, e.g. ``service.toml: model.temperature``."""


class Invalid(ZirkelError):
    """The request, file or setting is malformed."""

    code = "invalid"
    http_status = 400


class Unauthenticated(ZirkelError):
    """No credential, or one that is not known here."""

    code = "unauthenticated"
    http_status = 401


class Forbidden(ZirkelError):
    """The principal is known and may not do this."""

    code = "forbidden"
    http_status = 403


class NotFound(ZirkelError):
    """The named thing does not exist."""

    code = "not_found"
    http_status = 404


class Conflict(ZirkelError):
    """The state changed meanwhile, or does not allow the move."""

    code = "conflict"
    http_status = 409


class Refused(ZirkelError):
    """A policy says no: for instance no passing gate for the release."""

    code = "refused"
    http_status = 409


class TooLarge(ZirkelError):
    """The body is over the limit."""

    code = "too_large"
    http_status = 413


class Unsupported(ZirkelError):
    """Media type or encoding that is not understood."""

    code = "unsupported"
    http_status = 415


class LimitReached(ZirkelError):
    """A limit of the key, user, project or service does not allow the call now."""

    code = "rate_limited"
    http_status = 429

    def __init__(self, message: str, *, path: str | None = None, limit: str = "", retry_after_s: float = 0) -> None:
        super().__init__(message, path=path)
        self.limit = limit
        """Which one, e.g. ``key.requests_per_minute``."""
        self.retry_after_s = retry_after_s
        """After how long the same call may be admitted."""


class BudgetExhausted(LimitReached):
    """What is left of a budget is less than the call could cost."""

    code = "budget_exhausted"
    http_status = 402


class Overloaded(ZirkelError):
    """Try again in a moment; nothing was taken."""

    code = "overloaded"
    http_status = 503


class UpstreamFailed(ZirkelError):
    """No upstream of the fallback chain gave an answer."""

    code = "upstream_failed"
    http_status = 502

    def __init__(self, message: str, *, path: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, path=path)
        self.retry_after_s = retry_after_s
        """After how long the upstream wants to be asked again, if it said so."""


class GuardrailRefused(ZirkelError):
    """A guardrail of the release refuses the input or the output."""

    code = "guardrail_refused"
    http_status = 400


class Corrupt(ZirkelError):
    """Stored data is not what was written."""

    code = "corrupt"
    http_status = 500


class Incompatible(ZirkelError):
    """The data directory was written by a newer program."""

    code = "incompatible"
    http_status = 500


class Held(ZirkelError):
    """A port or directory is in use by somebody else."""

    code = "held"
    http_status = 409


ERROR_KINDS: Mapping[str, type[ZirkelError]] = {
    kind.code: kind for kind in (*ZirkelError.__subclasses__(), *LimitReached.__subclasses__())
}
"""Every kind by its code, for clients that read a code off the wire."""
