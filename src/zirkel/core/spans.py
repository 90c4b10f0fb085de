"""The canonical span: what every way in (gateway, OTLP) is turned into, and what the telemetry store keeps."""

from decimal import Decimal
from enum import StrEnum

import msgspec


class SpanKind(StrEnum):
    """What a span stands for. Only ``MODEL_KINDS`` carry usage and cost that count."""

    CALL = "call"
    """One request to the gateway; its attempts are its children."""
    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    TOOL = "tool"
    AGENT = "agent"
    WORKFLOW = "workflow"
    RETRIEVER = "retriever"
    RERANKER = "reranker"
    EVALUATOR = "evaluator"
    GUARDRAIL = "guardrail"
    EVENT = "event"
    SPAN = "span"


MODEL_KINDS = frozenset({SpanKind.CHAT, SpanKind.COMPLETION, SpanKind.EMBEDDING})


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Token counts in disjoint buckets; ``None`` is *not reported*, never 0."""

    input_tokens: int | None = None
    """Input tokens that are text and were neither read from nor written to a cache."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    """Written to a cache that keeps them for an hour, which some providers price higher."""
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_tokens: int | None = None
    """Output tokens that are text: without reasoning, audio and images."""
    reasoning_tokens: int | None = None
    output_audio_tokens: int | None = None
    output_image_tokens: int | None = None
    is_estimated: bool = False
    """True where the upstream reported nothing and the tokens were counted here."""


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened at one moment of a span."""

    name: str
    time_ns: int
    attributes: dict[str, str] = {}
    """Values as JSON text."""


class Span(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One span. Times are UTC nanoseconds; ids are lower-case hex; JSON is kept as text."""

    project_id: str
    trace_id: str
    """32 hex digits."""
    span_id: str
    """16 hex digits."""
    parent_span_id: str = ""
    name: str
    kind: SpanKind = SpanKind.SPAN
    source: str
    """``gateway`` or ``otlp``."""
    dialect: str = ""
    """Whose attribute names an OTLP span used, e.g. ``genai``, ``openinference``; empty if none was known."""
    start_ns: int
    end_ns: int
    status: str = "unset"
    """``unset``, ``ok`` or ``error``."""
    error_type: str = ""
    status_message: str = ""

    service: str = ""
    environment: str = ""
    release: str = ""
    """Release digest, 64 hex digits; of a span from elsewhere what its sender calls its release or version."""
    arm: str = ""
    """``stable`` or ``candidate``."""
    arm_probability: float | None = None
    """The probability with which this arm was assigned to this unit."""
    prompt_name: str = ""
    prompt_version: str = ""
    unit: str = ""
    """What traffic is split by; statistics analyse it."""
    session_id: str = ""
    user_id: str = ""
    key_id: str = ""
    tags: list[str] = []

    operation: str = ""
    """``gen_ai.operation.name``, e.g. ``chat``."""
    provider: str = ""
    request_model: str = ""
    response_model: str = ""
    parameters: dict[str, str] = {}
    """Request parameters, values as JSON text."""
    finish_reason: str = ""
    is_stream: bool = False
    attempt: int = 0
    """The link of the chain: 0 for the primary, 1 for the first fallback, …"""
    attempt_reason: str = ""
    """Why this attempt was made: ``first``, ``retry``, ``pool``, ``fallback``, ``hedge``, ``repair`` or ``guardrail``;
    empty for other spans."""
    cache: str = ""
    """``hit``, ``semantic_hit``, ``miss`` or ``bypass`` where a cache was configured."""
    settlement: str = ""
    """How an attempt's cost was settled: ``reported`` by the upstream, ``counted`` here, ``free`` (nothing was used)
    or ``reserved`` (the gateway died amid the call; the budget keeps the upper bound)."""
    reserved_usd: Decimal | None = None
    """Upper bound that was reserved before the attempt; ``None`` is *unknown*."""
    is_provisional: bool = False
    """Written by recovery after a crash; the span itself, should it arrive, replaces it."""
    time_to_first_token_ns: int | None = None
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    """``None`` is *unknown*."""
    price_digest: str = ""
    input: str = ""
    """Messages or text as JSON text."""
    output: str = ""
    tools: str = ""

    experiment_id: str = ""
    item_id: str = ""
    trial: int | None = None

    scope_name: str = ""
    attributes: dict[str, str] = {}
    """Attributes as sent, values as JSON text."""
    resource: dict[str, str] = {}
    unmapped: list[str] = []
    """Names of attributes that look like AI telemetry and that no field was read from, sorted, at most 20."""
    events: list[SpanEvent] = []
