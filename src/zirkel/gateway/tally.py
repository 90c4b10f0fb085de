"""From what is known of a call to the worker's metrics."""

from collections.abc import Iterable

from zirkel.core import LimitReached
from zirkel.gateway.facts import Attempt, CallFacts
from zirkel.gateway.metrics import AttemptEnd, CallEnd, GatewayMetrics

_CLIENT_LEFT = 499


def count_call(metrics: GatewayMetrics, facts: CallFacts, status: int, now_ns: int) -> None:
    """Count a call that has ended with the HTTP ``status`` (499 if the client left before it)."""
    answered = facts.answered
    first_token_s = None
    if answered is not None and answered.first_token_ns is not None:
        first_token_s = (answered.first_token_ns - facts.start_ns) / 1e9
    metrics.call_ended(
        CallEnd(
            project=facts.project_id,
            service_or_model=facts.target_name,
            status=_CLIENT_LEFT if facts.error_type == "client_disconnected" else status,
            duration_s=(now_ns - facts.start_ns) / 1e9,
            error_type=facts.error_type,
            cost_usd=facts.cost_usd(),
            first_token_s=first_token_s,
            output_tokens=_output_tokens(answered),
        )
    )
    for attempt in facts.attempts:
        _count_attempt(metrics, attempt, is_winner=attempt is answered)
    if facts.cache:
        metrics.count("cache_total", result=facts.cache)
    for verdict in facts.verdicts:
        metrics.count("guardrail_verdicts_total", guardrail=verdict.guardrail, action=verdict.action)


def count_refusal(metrics: GatewayMetrics, error: LimitReached) -> None:
    """Count a call that a limit did not admit."""
    metrics.count("limit_refusals_total", limit=error.limit)


def count_resting(metrics: GatewayMetrics, resting: Iterable[str], awake: Iterable[str]) -> None:
    """Note which places (``PROJECT/UPSTREAM/MODEL``) rest now, and which do so no more."""
    for places, value in ((awake, 0), (resting, 1)):
        for place in places:
            _, upstream, model = place.split("/", 2)
            metrics.set("resting", value, upstream=upstream, model=model)


def _count_attempt(metrics: GatewayMetrics, attempt: Attempt, *, is_winner: bool) -> None:
    metrics.attempt_ended(
        AttemptEnd(
            upstream=attempt.upstream,
            model=attempt.model,
            reason=attempt.reason,
            error_type=attempt.error_type,
            usage=attempt.usage,
            cost_usd=attempt.cost_usd,
        )
    )
    if attempt.reason == "retry":
        metrics.count("retries_total")
    elif attempt.reason == "fallback":
        metrics.count("fallbacks_total", reason=attempt.because)
    elif attempt.reason == "hedge":
        metrics.count("hedges_total", won="true" if is_winner else "false")


def _output_tokens(attempt: Attempt | None) -> int | None:
    if attempt is None or attempt.usage.output_tokens is None:
        return None
    return attempt.usage.output_tokens + (attempt.usage.reasoning_tokens or 0)
