"""What the traffic of a period used and cost, by segment: the sums that a change of cost is explained by."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from zirkel.core import Usage
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.search_scope import DAY_NS, LAST_NS, NEAR
from zirkel.store.telemetry.totals_sql import leaf

Segmentation = Literal["service", "environment", "release", "arm", "user", "key", "session", "prompt"]
SEGMENT_COLUMNS: Mapping[Segmentation, str] = {
    "service": "service",
    "environment": "environment",
    "release": "release",
    "arm": "arm",
    "user": "user_id",
    "key": "key_id",
    "session": "session_id",
    "prompt": "prompt_name",
}
"""What calls and their attempts have in common."""

_BUCKETS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))
_WINDOW = """
    project_id = {project_id:String}
    AND day >= toDate(fromUnixTimestamp64Nano({since_ns:Int64}, 'UTC'))
    AND day <= toDate(fromUnixTimestamp64Nano({until_ns:Int64}, 'UTC'))
    AND start_ns >= {since_ns:Int64}
    AND start_ns < {until_ns:Int64}
    AND ({service:String} = '' OR service = {service:String})
"""
_CALLS = """
SELECT
    SEGMENT AS segment,
    count() AS calls,
    countIf(is_call AND cache IN ('hit', 'semantic_hit')) AS cache_hits
FROM spans FINAL
WHERE WINDOW AND (is_call OR (source = 'gateway' AND kind = 'evaluator') OR (source != 'gateway' AND LEAF))
GROUP BY segment
ORDER BY calls DESC, segment
"""
_ATTEMPTS = """
SELECT
    SEGMENT AS segment,
    concat(provider, '/', if(request_model != '', request_model, response_model)) AS model,
    price_digest,
    countIf(cost IS NOT NULL) AS attempts,
    countIf(cost IS NULL) AS unpriced,
    toString(sumIf(assumeNotNull(cost), cost IS NOT NULL)) AS cost_usd,
    map(TOKENS) AS tokens
FROM
(
    SELECT SEGMENT, provider, request_model, response_model, price_digest, usage, cost_usd AS cost
    FROM spans FINAL
    WHERE WINDOW AND LEAF
)
GROUP BY segment, model, price_digest
ORDER BY segment, model, price_digest
"""
_TOKENS = ", ".join(f"'{name}', sumIf(ifNull(usage.{name}, 0), cost IS NOT NULL)" for name in _BUCKETS)


class SegmentCalls(msgspec.Struct, frozen=True):
    """The calls of one segment in a period; a model span of an instrumented program is a call of its own."""

    segment: str
    calls: int
    cache_hits: int


class SegmentAttempts(msgspec.Struct, frozen=True):
    """What one segment used of one model at one price; tokens and cost are those of attempts whose cost is known."""

    segment: str
    model: str
    """``PROVIDER/MODEL``."""
    price_digest: str
    attempts: int
    unpriced: int
    cost_usd: Decimal
    tokens: dict[str, int]


class TelemetryCosts:
    """Sums of cost. Thread safe; calls block."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> list[SegmentCalls]:
        """Return the calls that started in ``[since_ns, until_ns)`` by segment; experiments and judges count too."""
        query = _filled(_CALLS, by)
        return self._engine.rows(query, _parameters(project_id, since_ns, until_ns, service), SegmentCalls)

    def attempts(
        self, project_id: str, by: Segmentation, since_ns: int, until_ns: int, *, service: str = ""
    ) -> list[SegmentAttempts]:
        """Return the attempts that started in ``[since_ns, until_ns)`` by segment, model and price."""
        query = _filled(_ATTEMPTS, by)
        return self._engine.rows(query, _parameters(project_id, since_ns, until_ns, service), SegmentAttempts)


def _parameters(project_id: str, since_ns: int, until_ns: int, service: str) -> dict[str, Parameter]:
    return {
        "project_id": project_id,
        "since_ns": since_ns,
        "until_ns": until_ns,
        "near_since_ns": max(0, since_ns - DAY_NS),
        "near_until_ns": min(until_ns + DAY_NS, LAST_NS),
        "service": service,
    }


def _filled(query: str, by: Segmentation) -> str:
    # What a call caused may belong to another service, or to the next day: it is looked for beyond the window.
    parts = {"LEAF": leaf(NEAR), "WINDOW": _WINDOW, "TOKENS": _TOKENS, "SEGMENT": SEGMENT_COLUMNS[by]}
    for name, text in parts.items():
        query = query.replace(name, text)
    return query
