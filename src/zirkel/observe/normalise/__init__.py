"""OTLP spans of every dialect as canonical spans. Pure: no I/O, no clock."""

from zirkel.observe.normalise.span import normalise_span
from zirkel.observe.normalise.totals import leaf_model_spans

__all__ = ["leaf_model_spans", "normalise_span"]
