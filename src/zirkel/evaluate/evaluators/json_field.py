"""Is the output JSON with a field, and is its value one of those allowed?"""

import msgspec

from zirkel.core import Score, Scored
from zirkel.evaluate.evaluators.fields import read_field
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject


class JsonFieldOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``json_field``."""

    field: str
    """Name of the field, or a path such as `/items/0/name`."""
    one_of: list[str] = []
    """Allowed values; any, if empty."""


def score(options: JsonFieldOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if the output is a JSON object with the field (and an allowed value, if any are named), else 0."""
    found = read_field(subject.output, options.field)
    return Scored(float(found is not None and (not options.one_of or found in options.one_of)))


KIND = EvaluatorKind("json_field", "is JSON with a field, of an allowed value", JsonFieldOptions, score)
