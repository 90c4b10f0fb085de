"""Sums over traces in which each token and each cent counts once."""

from zirkel.store.telemetry.field_sql import INPUT_TOKENS, OUTPUT_TOKENS, TOTAL_TOKENS
from zirkel.store.telemetry.sql_text import filled

_LEAF = """(is_model AND (source = 'gateway' OR cityHash64(trace_id, span_id) NOT IN
    (
        SELECT cityHash64(trace_id, parent_span_id)
        FROM spans
        WHERE NEAR AND parent_span_id != '' AND (is_call OR (is_model AND source != 'gateway'))
    )))"""

SUMS = f"""
        sumIf(cost_usd, is_leaf) AS total_cost,
        countIf(cost_usd IS NULL AND is_leaf) AS unknown_costs,
        max(end_ns) - min(start_ns) AS total_latency_ns,
        count() AS total_spans,
        countIf(status = 'error') AS total_errors,
        sumIf({INPUT_TOKENS}, is_leaf) AS total_input_tokens,
        sumIf({OUTPUT_TOKENS}, is_leaf) AS total_output_tokens,
        sumIf({TOTAL_TOKENS}, is_leaf) AS total_tokens"""
"""Columns of a group of spans that has ``is_leaf``. Sums of what nobody reported are null."""

_TRACE_TOTALS = """
    SELECT trace_id, SUMS
    FROM
    (
        SELECT trace_id, cost_usd, usage, status, start_ns, end_ns, LEAF AS is_leaf
        FROM spans FINAL
        PREWHERE NEAR
    )
    GROUP BY trace_id"""


def leaf(near: str) -> str:
    """Return the condition that a span is a model call which has the cost itself: no other model call repeats it.

    A model span of an instrumented program that caused another one, or a call to the gateway, is no leaf; the
    gateway's own attempts always are. The pair of ids is hashed because a set of numbers is several times faster than
    one of texts.

    Args:
        near: Condition on the spans among which those it caused are looked for.
    """
    return filled(_LEAF, {"NEAR": near})


def trace_totals(near: str) -> str:
    """Return the query that gives ``SUMS`` for each trace that has a span for which ``near`` holds.

    Args:
        near: Condition on columns of the order key only: it is looked at before older versions of a span are left out.
    """
    return filled(_TRACE_TOTALS, {"SUMS": SUMS, "LEAF": leaf(near), "NEAR": near})
