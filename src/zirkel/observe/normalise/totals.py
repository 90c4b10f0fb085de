"""Which spans of a trace count when its tokens and cost are summed."""

from collections.abc import Sequence

from zirkel.core import MODEL_KINDS, Span


def leaf_model_spans(spans: Sequence[Span]) -> list[Span]:
    """Return the model calls that have no model call below them, in the order given.

    Many frameworks repeat the usage of a call on its parents, so a sum over all spans counts it several times.
    Of spans with the same ids (a batch sent twice) the first counts. A parent that is not in ``spans`` ends the
    way up: send whole traces, of any number.
    """
    by_id: dict[tuple[str, str], Span] = {}
    for span in spans:
        by_id.setdefault((span.trace_id, span.span_id), span)
    above: set[tuple[str, str]] = set()
    for key, span in by_id.items():
        if span.kind in MODEL_KINDS:
            _mark_ancestors(key, by_id, above)
    return [span for key, span in by_id.items() if span.kind in MODEL_KINDS and key not in above]


def _mark_ancestors(key: tuple[str, str], by_id: dict[tuple[str, str], Span], above: set[tuple[str, str]]) -> None:
    trace_id = key[0]
    parent = (trace_id, by_id[key].parent_span_id)
    has_model_below = False
    # What is marked has marked its own ancestors. The key itself comes up only in a cycle of broken parent ids; it is
    # then above every other model call of the cycle.
    while parent in by_id and parent not in above and parent != key:
        above.add(parent)
        has_model_below = has_model_below or by_id[parent].kind in MODEL_KINDS
        parent = (trace_id, by_id[parent].parent_span_id)
    if parent == key and has_model_below:
        above.add(key)
