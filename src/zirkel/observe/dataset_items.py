"""From what was observed to items of a dataset: each input once, and each item says where it came from. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from zirkel.core import MODEL_KINDS, Json, JsonObject, Span, SpanKind, canonical_json, iso_utc, sha256_hex
from zirkel.core.definitions import DatasetItem

DEFAULT_VARIABLE = "input"
"""The variable that takes the last user message of a call that names no service."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A trace that no item can be made of."""

    trace_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CollectedItems:
    """Items made of traces."""

    items: tuple[DatasetItem, ...]
    duplicates: int
    """Traces whose input was there already."""
    unusable: tuple[Unusable, ...]


def input_digest(item_input: JsonObject) -> str:
    """Return what tells two inputs apart: the digest of their canonical JSON."""
    return sha256_hex(canonical_json(cast(Json, item_input)))


def collect_items(
    spans: Sequence[Span], known: Collection[str] = (), *, variable: str = DEFAULT_VARIABLE
) -> CollectedItems:
    """Return one item for each trace that has a new input.

    Of a call to a service the input is the prompt's variables; of any other the last user message, as ``variable``. The
    output stands in the metadata, not in ``expected``: what a model said is no label. Items of one session share a
    cluster, because they are not independent.

    Args:
        spans: Of any number of traces; of each the earliest call counts, else the earliest leaf model span.
        known: ``input_digest`` of the inputs that the dataset has.
        variable: Name of the prompt's variable for calls that name no service.
    """
    seen, duplicates = set(known), 0
    items: list[DatasetItem] = []
    unusable: list[Unusable] = []
    for trace_id, span in _chosen(spans).items():
        found = _input(span, variable) if span is not None else None
        if span is None or found is None:
            reason = "it has no model call" if span is None else "its input was not recorded, or is no text"
            unusable.append(Unusable(trace_id, reason))
            continue
        digest = input_digest(found)
        if digest in seen:
            duplicates += 1
            continue
        seen.add(digest)
        items.append(_item(span, found, digest))
    return CollectedItems(tuple(items), duplicates, tuple(unusable))


def _chosen(spans: Sequence[Span]) -> dict[str, Span | None]:
    best: dict[str, Span | None] = {}
    for span in spans:
        best.setdefault(span.trace_id, None)
        if span.kind is SpanKind.CALL or span.kind in MODEL_KINDS:
            known = best[span.trace_id]
            if known is None or _rank(span) < _rank(known):
                best[span.trace_id] = span
    return best


def _rank(span: Span) -> tuple[bool, int, str]:
    return span.kind is not SpanKind.CALL, span.start_ns, span.span_id


def _input(span: Span, variable: str) -> JsonObject | None:
    try:
        found: object = msgspec.json.decode(span.input) if span.input else None
    except (msgspec.DecodeError, RecursionError):
        return None
    if isinstance(found, dict):
        return found
    text = found if isinstance(found, str) else _last_user_text(found)
    return {variable: text} if text else None


def _last_user_text(messages: object) -> str:
    if not isinstance(messages, list):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text(message.get("content") or message.get("parts"))
    return ""


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") or part.get("content") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _item(span: Span, found: JsonObject, digest: str) -> DatasetItem:
    provenance = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "time": iso_utc(span.start_ns),
        "service": span.service,
        "release": span.release,
        "session_id": span.session_id,
        "user_id": span.user_id,
    }
    metadata: JsonObject = {"provenance": {name: value for name, value in provenance.items() if value}}
    if span.output:
        metadata["output"] = span.output
    return DatasetItem(id=f"t-{digest[:16]}", input=found, cluster=span.session_id, metadata=metadata)
