"""Regular expressions in linear time (RE2): no look-around and no back-references."""

from functools import lru_cache
from typing import Literal

import msgspec

from zirkel.core import Score, Scored, Unscored
from zirkel.evaluate.evaluators.fields import read_field
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Tools
from zirkel.evaluate.subject import Subject
from zirkel.lib.patterns import Pattern, PatternFault, compile_whole


class RegexOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``regex``."""

    pattern: str
    """In RE2's syntax; `(?i)` in front ignores case, `(?s)` lets `.` match line breaks, `(?m)` is for lines."""
    mode: Literal["match", "fullmatch", "absent"] = "match"
    """Whether the pattern must match somewhere, match the whole text, or match nowhere."""
    group: int | None = None
    """Number of the group whose text must equal the item's expected output; 0 is the whole match."""
    field: str = ""
    """Field (or path) of the JSON output that is looked through; empty means the whole text."""


def score(options: RegexOptions, subject: Subject, _: Tools) -> Score:
    """Return 1 if the output (or its field) matches as asked, else 0; details have the text that matched.

    The first match counts. With ``group`` its text must equal the expected output, white space around both ignored, and
    an item without an expected output is unscored. An output without the field is 0.

    Source: https://github.com/google/re2/wiki/Syntax
    """
    if options.group is not None and subject.item.expected is None:
        return Unscored("the item has no expected output")
    text = read_field(subject.output, options.field)
    if text is None:
        return Scored(0.0, reason=f"the output has no field {options.field!r}")
    data = text.encode("utf-8", "surrogatepass")
    found = _compiled(options.pattern, options.mode == "fullmatch", options.group or 0).search(data, 0)
    if found is None:
        return Scored(float(options.mode == "absent"))
    matched = data[found.start : found.end].decode("utf-8", "replace") if found.start >= 0 else ""
    passes = options.mode != "absent"
    if options.group is not None:
        passes = matched.strip() == str(subject.item.expected).strip()
    return Scored(float(passes), details={"matched": matched[:200]})


@lru_cache(maxsize=256)
def _compiled(pattern: str, is_whole: bool, group: int) -> Pattern:
    return compile_whole(rf"\A(?:{pattern})\z" if is_whole else pattern, group=group)


def _check(options: RegexOptions) -> str:
    if options.mode == "absent" and options.group is not None:
        return "group says nothing about a pattern that must be absent"
    try:
        _compiled(options.pattern, False, options.group or 0)
        _compiled(options.pattern, options.mode == "fullmatch", options.group or 0)
    except PatternFault as error:
        return f"pattern {options.pattern!r}: {error} (the syntax is RE2's: no look-around, no back-references)"
    return ""


KIND = EvaluatorKind("regex", "matches a regular expression", RegexOptions, score, check=_check)
