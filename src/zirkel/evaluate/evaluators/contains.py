"""Does the output contain what it should, and nothing that it should not?"""

from zirkel.core import Json, Score, Scored, Unscored
from zirkel.evaluate.evaluators.fields import read_field
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.evaluators.text_forms import TextForm, fold_text
from zirkel.evaluate.subject import Subject


class ContainsOptions(TextForm, frozen=True, forbid_unknown_fields=True):
    """Options of ``contains``. Without any of the lists the expected output is looked for."""

    all_of: tuple[str, ...] = ()
    """Each of these must be in the output."""
    any_of: tuple[str, ...] = ()
    """At least one of these must be in the output."""
    none_of: tuple[str, ...] = ()
    """None of these may be in the output."""
    field: str = ""
    """Field (or path) of the JSON output that is looked through; empty means the whole text."""


def score(options: ContainsOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if the output has what the lists ask for, else 0; details name what is missing and what is too much.

    An output without the field is 0. Without lists, an item without an expected output is unscored.
    """
    wanted = options.all_of
    if not (options.all_of or options.any_of or options.none_of):
        if subject.item.expected is None:
            return Unscored("the item has no expected output, and no text is named in the options")
        wanted = (subject.item.expected.strip(),)
    found = read_field(subject.output, options.field)
    if found is None:
        return Scored(0.0, reason=f"the output has no field {options.field!r}")
    text = fold_text(found, options)
    missing = [part for part in wanted if fold_text(part, options) not in text]
    if options.any_of and not any(fold_text(part, options) in text for part in options.any_of):
        missing.append(" or ".join(options.any_of))
    surplus = [part for part in options.none_of if fold_text(part, options) in text]
    details: dict[str, Json] = {
        name: parts for name, parts in (("missing", missing), ("not_allowed", surplus)) if parts
    }
    return Scored(float(not details), details=details)


def _check(options: ContainsOptions) -> str:
    empty = [part for part in (*options.all_of, *options.any_of, *options.none_of) if not part.strip()]
    return "a text to look for is empty, and would be found in every output" if empty else ""


KIND = EvaluatorKind("contains", "contains texts, or the expected output", ContainsOptions, score, check=_check)
