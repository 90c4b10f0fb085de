"""What the fields of the filter language are in the table ``spans``."""

from collections.abc import Mapping

_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
_INPUT_BUCKETS = (*_INPUT, "input_audio_tokens", "input_image_tokens")
_OUTPUT_BUCKETS = ("output_tokens", "reasoning_tokens", "output_audio_tokens", "output_image_tokens")


def _sum(*buckets: str) -> str:
    """Return the sum of the buckets that are known; null if none is."""
    columns = [f"usage.{name}" for name in buckets]
    known = " + ".join(f"ifNull({column}, 0)" for column in columns)
    return columns[0] if len(columns) == 1 else f"if(coalesce({', '.join(columns)}) IS NULL, NULL, {known})"


LATENCY = "(end_ns - start_ns)"
MODEL = "if(response_model != '', response_model, request_model)"
INPUT_TOKENS = _sum(*_INPUT_BUCKETS)
OUTPUT_TOKENS = _sum(*_OUTPUT_BUCKETS)
TOTAL_TOKENS = _sum(*_INPUT_BUCKETS, *_OUTPUT_BUCKETS)

EXPRESSIONS: Mapping[str, tuple[str, ...]] = {
    **{
        name: (name,)
        for name in (
            *("service", "environment", "release", "arm", "prompt_version", "unit", "tags", "name", "kind", "source"),
            *("dialect", "status", "error_type", "status_message", "operation", "provider", "request_model"),
            *("response_model", "finish_reason", "attempt", "attempt_reason", "cache", "settlement"),
            *("input", "output", "tools", "cost_usd", "trial", "unmapped"),
        )
    },
    "prompt": ("prompt_name",),
    "session": ("session_id",),
    "user": ("user_id",),
    "key": ("key_id",),
    "trace": ("trace_id",),
    "span": ("span_id",),
    "parent": ("parent_span_id",),
    "root": ("parent_span_id = ''",),
    "scope": ("scope_name",),
    "model": ("response_model", "request_model"),
    "stream": ("is_stream",),
    "text": ("input", "output"),
    "input_length": ("if(input_length = 0, NULL, input_length)",),
    "output_length": ("if(output_length = 0, NULL, output_length)",),
    "start": ("start_ns",),
    "end": ("end_ns",),
    "latency": (LATENCY,),
    "first_token": ("time_to_first_token_ns",),
    "tokens.input": (INPUT_TOKENS,),
    "tokens.cache_read": (_sum("cache_read_tokens"),),
    "tokens.cache_write": (_sum("cache_write_tokens", "cache_write_1h_tokens"),),
    "tokens.output": (OUTPUT_TOKENS,),
    "tokens.reasoning": (_sum("reasoning_tokens"),),
    "tokens.total": (TOTAL_TOKENS,),
    "experiment": ("experiment_id",),
    "item": ("item_id",),
}
"""By field: expressions of which one must satisfy a condition. Maps, scores and totals of traces are not here."""

JSON_COLUMNS: Mapping[str, str] = {"attributes": "attributes", "resource": "resource", "parameters": "parameters"}
"""Maps of JSON texts by key."""

TOTALS: Mapping[str, str] = {
    "trace.cost_usd": "total_cost",
    "trace.latency": "total_latency_ns",
    "trace.spans": "total_spans",
    "trace.errors": "total_errors",
    "trace.tokens": "total_tokens",
}
"""Columns of ``totals_sql.trace_totals``."""
