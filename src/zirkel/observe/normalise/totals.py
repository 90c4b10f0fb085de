"""Which spans of a trace count when its tokens and cost are summed."""

from collections.abc import Sequence

from zirkel.core import MODEL_KINDS, Span, SpanKind

Key = tuple[str, str]
"""Ids of trace and span."""
_REPLACING = MODEL_KINDS | {SpanKind.CALL}
"""What replaces the model calls above it: a call through the gateway does even if a cache answered it for nothing."""


def leaf_model_spans(spans: Sequence[Span]) -> list[Span]:
    """Return the model calls that have no model call or call of the gateway below them, in the order given.

    Many frameworks repeat the usage of a call on its parents, so a sum over all spans counts it several times; and a
    client's own span of a call through the gateway is a parent of the gateway's, which knows what was spent.
    Of spans with the same ids (a batch sent twice) the first counts. A parent that is not in ``spans`` ends the
    way up: send whole traces, of any number.
    """
    by_id: dict[Key, Span] = {}
    for span in spans:
        by_id.setdefault((span.trace_id, span.span_id), span)
    above: set[Key] = set()
    looped: dict[Key, Key] = {}
    for key, span in by_id.items():
        if span.kind in _REPLACING:
            _mark_ancestors(key, by_id, above, looped)
    return [span for key, span in by_id.items() if span.kind in MODEL_KINDS and key not in above]


def _mark_ancestors(key: Key, by_id: dict[Key, Span], above: set[Key], looped: dict[Key, Key]) -> None:
    """Mark what is above ``key``; ``looped`` tells of marked spans which one above them is not marked yet.

    What is marked has marked its own ancestors. Only in a cycle of broken parent ids the key itself comes up: it is
    above every other call of the cycle, and of those that lead into it.
    """
    trace_id = key[0]
    parent = (trace_id, by_id[key].parent_span_id)
    passed: list[Key] = []
    has_call_below = False
    while parent in by_id and parent not in above and parent != key:
        above.add(parent)
        passed.append(parent)
        has_call_below = has_call_below or by_id[parent].kind in _REPLACING
        parent = (trace_id, by_id[parent].parent_span_id)
    if parent in looped and looped[parent] != key:
        above.add(looped[parent])
    if parent == key:
        looped.update(dict.fromkeys(passed, key))
        if has_call_below:
            above.add(key)
