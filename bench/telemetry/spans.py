"""Spans to send and to store: made up from a seed, with text that compresses about as well as prose."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from zirkel.core import Span, SpanKind, Usage

SPANS_PER_TRACE = 5
SERVICES = ("review-triage", *(f"service-{number}" for number in range(19)))
MODELS = ("gpt-4o-mini", "gpt-4o", "claude-sonnet", "mistral-small", "llama-70b", "gemini-flash")
RARE_WORD = "refundable"
"""What the search for text looks for: about one span in 2,000 has it."""
DAY_NS = 86_400 * 10**9
_OTHER_BYTES = 500
"""What a span takes beside its two texts, about."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request of an exporter."""

    body: bytes
    """``ExportTraceServiceRequest`` in protobuf."""
    trace_ids: Sequence[str]
    spans: int


class Prose:
    """Text of made-up words: few of them often and many seldom, as in a language."""

    def __init__(self, random: Random) -> None:
        self._random = random
        letters = "etaoinshrdlucmfwypvbgk"
        self._words = ["".join(random.choices(letters, k=random.randint(2, 9))) for _ in range(20_000)]
        total, self._weights = 0.0, []
        for rank in range(len(self._words)):
            total += 1 / (rank + 3)
            self._weights.append(total)

    def text(self, size: int) -> str:
        """Return about ``size`` characters."""
        words = self._random.choices(self._words, cum_weights=self._weights, k=size // 6 + 1)
        if self._random.random() < 1 / 2000:
            words[len(words) // 2] = RARE_WORD
        return " ".join(words)[:size]


def exported(count: int, batch: int, span_bytes: int, start_ns: int, seed: int) -> Iterator[Sent]:
    """Yield requests of ``batch`` spans each, as OpenTelemetry's exporters send them in GenAI conventions."""
    random = Random(seed)
    prose = Prose(random)
    for number in range(0, count, batch):
        spans: list[ProtoSpan] = []
        traces: list[str] = []
        while len(spans) < batch:
            trace_id = random.randbytes(16)
            traces.append(trace_id.hex())
            at_ns = start_ns + number * 1_000_000 + len(spans) * 1000
            spans += _exported_trace(random, prose, trace_id, at_ns, span_bytes)
        resource = Resource(attributes=[_attribute("service.name", "bench")])
        group = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=spans[:batch])])
        yield Sent(ExportTraceServiceRequest(resource_spans=[group]).SerializeToString(), traces, batch)


def _exported_trace(
    random: Random, prose: Prose, trace_id: bytes, start_ns: int, span_bytes: int
) -> Iterator[ProtoSpan]:
    root = random.randbytes(8)
    for place in range(SPANS_PER_TRACE):
        model = random.choice(MODELS)
        half = max(50, (span_bytes - _OTHER_BYTES) // 2)
        values = {
            "gen_ai.operation.name": "chat" if place else "invoke_agent",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": model,
            "session.id": f"session-{random.randrange(20_000)}",
            "user.id": f"user-{random.randrange(5_000)}",
            "gen_ai.input.messages": _message("user", prose.text(half)),
            "gen_ai.output.messages": _message("assistant", prose.text(half)),
        }
        attributes = [_attribute(key, value) for key, value in values.items()]
        if place:
            attributes.append(KeyValue(key="gen_ai.usage.input_tokens", value=AnyValue(int_value=half // 4)))
            attributes.append(KeyValue(key="gen_ai.usage.output_tokens", value=AnyValue(int_value=half // 4)))
        yield ProtoSpan(
            trace_id=trace_id,
            span_id=random.randbytes(8) if place else root,
            parent_span_id=root if place else b"",
            name=f"chat {model}" if place else "agent",
            kind=ProtoSpan.SpanKind.SPAN_KIND_CLIENT,
            start_time_unix_nano=start_ns + place * 1000,
            end_time_unix_nano=start_ns + random.randint(10**8, 5 * 10**9),
            attributes=attributes,
        )


def recorded(count: int, span_bytes: int, until_ns: int, days: int, seed: int) -> Iterator[list[Span]]:
    """Yield what the gateway records, one call at a time, spread over ``days`` up to ``until_ns``, in order of time."""
    random = Random(seed)
    prose = Prose(random)
    calls = count // 2
    step_ns = days * DAY_NS // calls
    for number in range(calls):
        start_ns = until_ns - (calls - number) * step_ns
        yield _recorded_call(random, prose, start_ns, span_bytes)


def _recorded_call(random: Random, prose: Prose, start_ns: int, span_bytes: int) -> list[Span]:
    model, service = random.choice(MODELS), random.choice(SERVICES)
    is_bad = random.random() < 0.02
    end_ns = start_ns + int(random.lognormvariate(0, 0.6) * 1e9)
    half = max(50, (span_bytes - _OTHER_BYTES) // 2)
    call = Span(
        project_id="default",
        trace_id=random.randbytes(16).hex(),
        span_id=random.randbytes(8).hex(),
        name=f"service:{service}",
        kind=SpanKind.CALL,
        source="gateway",
        start_ns=start_ns,
        end_ns=end_ns,
        status="error" if is_bad else "ok",
        error_type="http_500" if is_bad else "",
        service=service,
        environment="production",
        release=f"{random.randrange(3):064x}",
        arm="stable",
        unit=f"user-{random.randrange(5_000)}",
        session_id=f"session-{random.randrange(20_000)}",
        user_id=f"user-{random.randrange(5_000)}",
        key_id=f"key-{random.randrange(10)}",
        input=msgspec.json.encode({"review": prose.text(half)}).decode(),
        output=msgspec.json.encode(prose.text(half)).decode(),
    )
    usage = Usage(input_tokens=random.randint(50, 2000), output_tokens=random.randint(10, 800))
    tokens = (usage.input_tokens or 0) + 4 * (usage.output_tokens or 0)
    attempt = msgspec.structs.replace(
        call,
        span_id=random.randbytes(8).hex(),
        parent_span_id=call.span_id,
        name=f"chat {model}",
        kind=SpanKind.CHAT,
        operation="chat",
        provider="openai",
        request_model=model,
        response_model=model,
        attempt_reason="first",
        settlement="reported",
        parameters={"temperature": "0.2", "max_tokens": "800"},
        usage=usage,
        cost_usd=Decimal(tokens) / 2_000_000,
        price_digest="b" * 64,
        input=_message("user", prose.text(half)),
        output=_message("assistant", prose.text(half))[1:-1],
    )
    return [call, attempt]


def _message(role: str, text: str) -> str:
    return msgspec.json.encode([{"role": role, "parts": [{"type": "text", "content": text}]}]).decode()


def _attribute(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
