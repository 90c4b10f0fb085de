"""What the telemetry store answers with."""

from decimal import Decimal

import msgspec

from zirkel.core import Usage


class ArmUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm of one release did in a window, experiments left out."""

    release: str
    arm: str
    requests: int
    errors: int
    """Requests whose status is ``error``."""
    fallback_answers: int
    """Requests that were answered (not in error) by another target than the primary."""
    cost_usd: Decimal
    """Sum of the known costs."""
    unknown_costs: int
    """Model spans whose cost is unknown, and which ``cost_usd`` therefore lacks."""
    input_tokens: int
    """Known input tokens, those read from and written to a cache included."""
    output_tokens: int
    """Known output tokens, reasoning included."""
    latency_p50_ms: float
    latency_p95_ms: float
    ttft_p50_ms: float | None
    """Median time to the first token; ``None`` if no request reported one."""
    first_ns: int
    """Start of the first request in the window."""
    last_ns: int
    """Start of the last request in the window."""


class ExperimentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one trial of one item of an experiment."""

    item_id: str
    trial: int
    release: str
    output: str
    status: str
    error_type: str
    cost_usd: Decimal | None
    """Cost of all attempts; ``None`` if any of them is unknown."""
    usage: Usage
    """Sum of all attempts; a bucket that no attempt reported is ``None``."""
    attempt: int
    """The last attempt's number: 0 if the release's own model answered, above if a fallback did."""
    trace_id: str
    duration_ns: int


class SpentRow(msgspec.Struct, frozen=True, kw_only=True):
    """What attempts with one key, for one user, on one service took from budgets."""

    key_id: str
    user_id: str
    """Whom the calls named; empty for nobody, and for users that were not asked for."""
    service: str
    """Empty for calls of a model."""
    spent_usd: Decimal
    """Sum of the costs; of an attempt whose cost is unknown, what was reserved for it."""


class RowCounts(msgspec.Struct, frozen=True):
    """How many of each kind were removed or emptied; each counted once, however often it was sent."""

    spans: int = 0
    logs: int = 0
    points: int = 0
    scores: int = 0
