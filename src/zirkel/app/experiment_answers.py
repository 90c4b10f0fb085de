"""What the telemetry knows of experiments: answers under way at a crash, and what systems did on the way to one."""

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from zirkel.core import MODEL_KINDS, Json, Span, SpanKind
from zirkel.evaluate import Activity, Answer
from zirkel.evaluate.subject import Step, ToolCall
from zirkel.jobs import Ingest
from zirkel.store.telemetry.answers import ExperimentAnswer

_STEPS = MODEL_KINDS | {SpanKind.TOOL, SpanKind.AGENT, SpanKind.RETRIEVER, SpanKind.RERANKER}
_TEXT_FIELDS = ("text", "content", "page_content", "body")
"""Where a retrieved document has its text, by dialect."""
_TOOL_PREFIX = "execute_tool "
"""Of a tool span's name. Source: GenAI conventions, "Execute tool span"."""


class ExperimentTelemetry(Protocol):
    """What is used of ``TelemetryStore``."""

    def experiment_answers(self, project_id: str, experiment_id: str) -> list[ExperimentAnswer]: ...
    def trace(self, project_id: str, trace_id: str) -> list[Span]: ...


class SpooledAnswers:
    """An experiment's answers in the telemetry, after everything that is on its way there has arrived."""

    def __init__(self, ingest: Ingest, telemetry: ExperimentTelemetry) -> None:
        self._ingest = ingest
        self._telemetry = telemetry

    def recorded(self, project_id: str, experiment_id: str) -> Mapping[str, Answer]:
        """Return the answers of the release's own model by trace id; a fallback's answer is none of the release's."""
        self._ingest.drain()
        answers = self._telemetry.experiment_answers(project_id, experiment_id)
        return {
            answer.trace_id: _recorded(answer) for answer in answers if answer.status != "error" and answer.attempt == 0
        }


class SpooledTraces:
    """What systems did, after everything that is on its way has arrived."""

    def __init__(self, ingest: Ingest, telemetry: ExperimentTelemetry) -> None:
        self._ingest = ingest
        self._telemetry = telemetry

    def activities(self, project_id: str, trace_ids: Sequence[str], /) -> Mapping[str, Activity]:
        """Return steps and retrieved texts by trace id."""
        self._ingest.drain()
        return {trace_id: activity(self._telemetry.trace(project_id, trace_id)) for trace_id in set(trace_ids)}


def activity(spans: Sequence[Span]) -> Activity:
    """Return what a trace's spans, in order of start, tell of the way to an answer."""
    steps = tuple(
        Step(span.kind, _step_name(span), span.input, span.output, is_error=span.status == "error")
        for span in spans
        if span.kind in _STEPS
    )
    retrieved = [span.output for span in spans if span.kind == SpanKind.RETRIEVER]
    return Activity(steps, tuple(text for output in retrieved for text in document_texts(output)))


def document_texts(output: str) -> list[str]:
    """Return the texts of what a retriever gave, JSON text of any dialect; what is no such list is one text."""
    if not output:
        return []
    try:
        found: Json = json.loads(output)
    except (ValueError, RecursionError):
        return [output]
    if isinstance(found, dict):
        listed = found.get("documents", found.get("results"))
        found = listed if isinstance(listed, list) else [found]
    documents = found if isinstance(found, list) else [found]
    return [_document_text(document) for document in documents]


def _document_text(document: Json) -> str:
    if isinstance(document, dict):
        inner = document.get("document")
        if isinstance(inner, dict):
            return _document_text(inner)
        for name in _TEXT_FIELDS:
            text = document.get(name)
            if isinstance(text, str):
                return text
    return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)


def _step_name(span: Span) -> str:
    if span.kind in MODEL_KINDS:
        return span.response_model or span.request_model or span.name
    named = span.attributes.get("gen_ai.tool.name", "")
    if span.kind == SpanKind.TOOL and named:
        return str(json.loads(named))
    return span.name.removeprefix(_TOOL_PREFIX)


def _recorded(answer: ExperimentAnswer) -> Answer:
    message: Json = json.loads(answer.output) if answer.output else ""
    text = message if isinstance(message, str) else ""
    calls: tuple[ToolCall, ...] = ()
    if isinstance(message, dict):
        text, calls = str(message.get("content") or ""), _tool_calls(message.get("tool_calls"))
    return Answer(
        text,
        cost_usd=answer.cost_usd,
        duration_ms=answer.duration_ns / 1e6,
        tool_calls=calls,
        input_tokens=_input_tokens(answer),
        output_tokens=_sum(answer.usage.output_tokens, answer.usage.reasoning_tokens),
    )


def _tool_calls(listed: Json) -> tuple[ToolCall, ...]:
    calls = [call for call in listed if isinstance(call, dict)] if isinstance(listed, list) else []
    functions = [(call, call.get("function")) for call in calls]
    return tuple(
        ToolCall(str(function.get("name") or ""), str(function.get("arguments") or ""), str(call.get("id") or ""))
        for call, function in functions
        if isinstance(function, dict)
    )


def _input_tokens(answer: ExperimentAnswer) -> int | None:
    usage = answer.usage
    return _sum(usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens)


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
