"""What a caller may use, and how calls behave when something fails: the words of gateway.toml, keys and releases."""

from typing import Literal

import msgspec

BudgetWindow = Literal["hour", "day", "month"]
CaptureMode = Literal["on", "masked", "off"]
FallbackReason = Literal["failure", "context_window", "content_filter"]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Budget(_Strict, frozen=True, kw_only=True):
    """What may be spent in a calendar window (UTC): USD as decimal text."""

    window: BudgetWindow
    soft_usd: str | None = None
    """Passing it raises an alert; calls go on."""
    hard_usd: str | None = None
    """No call is admitted that could pass it."""


class Limits(_Strict, frozen=True, kw_only=True):
    """What one subject (key, user, project or service) may use; ``None`` and empty are *no limit*."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    """Calls at the same time, over all workers."""
    budget: list[Budget] = []
    models: list[str] = []
    """Allow-list of ``service:NAME``, model names and ``UPSTREAM/MODEL``, with ``*`` as in file names."""


class KeyPolicy(_Strict, frozen=True, kw_only=True):
    """What goes with a key beside its roles."""

    user: str = ""
    """Whose key it is; its calls count as this user's, whomever they name."""
    limits: Limits = Limits()
    capture: CaptureMode | None = None
    """What is kept of inputs and outputs; ``None`` is the project's setting."""
    origins: list[str] = []
    """Of a feedback key: the web origins it may be used from, e.g. ``https://shop.example``; ``*`` is any."""


class PoolMember(_Strict, frozen=True, kw_only=True):
    """Another place where the same model is called."""

    name: str
    """``UPSTREAM/MODEL``."""
    weight: float = 1.0


class Hedge(_Strict, frozen=True, kw_only=True):
    """A second request when the first is late: the faster one answers, the other is cancelled."""

    percentile: float = 0.95
    """Of the target's own recent times to the first byte: how late is late."""
    at_most: float = 0.1
    """Largest share of calls that may be hedged."""
    minimum_s: float = 0.05
    """Never sooner than this."""


class Resilience(_Strict, frozen=True, kw_only=True):
    """How hard a call tries. Times are seconds; ``None`` is the gateway's own setting."""

    retries: int = 1
    """Further tries at the same link of the chain, after a failure that may pass."""
    retry_share: float = 0.2
    """Retry budget: largest share of retries among recent calls, so that retries cannot become the outage."""
    backoff_s: float = 0.2
    """First pause, doubled each time, with full jitter; an upstream's ``Retry-After`` goes before."""
    longest_backoff_s: float = 5.0
    """An upstream that asks for a longer pause is not retried; the next link is tried."""
    connect_s: float | None = None
    first_token_s: float | None = None
    between_tokens_s: float | None = None
    total_s: float | None = None
    """Of the whole call, all tries together."""
    failures: int = 5
    """Failures in a row after which an upstream's model rests; 0 switches that off."""
    rest_s: float = 15.0
    """How long it rests before one call probes it again."""
    hedge: Hedge | None = None


class CachePolicy(_Strict, frozen=True, kw_only=True):
    """Which answers are used again."""

    ttl_s: int
    """How long an answer to exactly the same request is used again."""
    semantic: bool = False
    """Also use the answer to a request that means the same; see ``threshold``."""
    threshold: float = 0.95
    """Smallest cosine similarity of two requests that count as the same."""
