"""Zirkel's SDK: GenAI names where there are any; else ``zirkel.kind``, ``zirkel.input`` and ``zirkel.output``."""

import msgspec

from zirkel.core import SpanKind
from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.attributes import Attributes
from zirkel.observe.normalise.reading import Reading

_KINDS = {kind.value: kind for kind in SpanKind if kind is not SpanKind.CALL}


def read(span: DecodedSpan, attributes: Attributes) -> Reading:  # noqa: ARG001 (every dialect has this signature)
    """Return what the ``zirkel.*`` attributes of a span say; input and output are any JSON, as text."""
    return Reading(
        kind=_KINDS.get(attributes.text("zirkel.kind")),
        input=_json(attributes, "zirkel.input"),
        output=_json(attributes, "zirkel.output"),
    )


def _json(attributes: Attributes, key: str) -> JsonLike:
    text = attributes.raw(key)
    if not isinstance(text, str):
        return text
    try:
        value: JsonLike = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return text
    return value
