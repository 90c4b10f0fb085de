"""Forms of a text that count as the same, where options say so; numbers in texts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import msgspec

_SIGN = r"(?:(?<![\w.,)])[-+\u2212])?"
_GROUPS = {".": r",'\u2019\u00a0\u202f_", ",": r".'\u2019\u00a0\u202f_"}


class TextForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options that two texts are compared by."""

    ignore_case: bool = False
    """Upper and lower case count as the same."""
    ignore_spacing: bool = False
    """Runs of white space count as one space."""
    ignore_number_format: bool = False
    """`1,000`, `1000` and `1000.0` count as the same, and so do `0.5` and `.50`."""


@dataclass(frozen=True, slots=True)
class FoundNumber:
    """A number in a text."""

    start: int
    end: int
    value: Decimal


def reduce_text(text: str, form: TextForm) -> str:
    """Return ``text`` in the form in which texts that count as the same are equal, without white space around it."""
    return fold_text(text, form).strip()


def fold_text(text: str, form: TextForm) -> str:
    """Return ``text`` as ``reduce_text``, with the white space around it."""
    if form.ignore_case:
        text = text.casefold()
    if form.ignore_number_format:
        text = _with_plain_numbers(text)
    if form.ignore_spacing:
        text = re.sub(r"\s+", " ", text)
    return text


def find_numbers(text: str, *, decimal_sign: str = ".") -> Iterator[FoundNumber]:
    """Yield the numbers of a text in order, exactly as written.

    Groups of three digits may be set apart by a comma (by a point, if the decimal sign is a comma), an apostrophe, an
    underscore or a space that does not break. A minus right behind a letter, digit or bracket is none: ``5-3`` has a 5
    and a 3. What has several decimal signs, as a version or an address has, is no number.
    """
    for found in _number_pattern(decimal_sign).finditer(text):
        digits = re.sub(f"[{_GROUPS[decimal_sign]}]", "", found.group()).replace("\u2212", "-")
        yield FoundNumber(found.start(), found.end(), Decimal(digits.replace(",", ".")))


def _number_pattern(decimal_sign: str) -> re.Pattern[str]:
    point = re.escape(decimal_sign)
    before, behind = rf"(?<![0-9])(?<![0-9]{point})", rf"(?![0-9])(?!{point}[0-9])"
    whole = rf"(?:[1-9][0-9]{{0,2}}(?:[{_GROUPS[decimal_sign]}][0-9]{{3}})+(?![0-9])|[0-9]+)"
    number = rf"(?:{whole}(?:{point}[0-9]+)?|{point}[0-9]+)"
    return re.compile(rf"{before}{_SIGN}{number}{behind}(?:[eE][-+]?[0-9]{{1,3}}(?![0-9A-Za-z]))?")


def _with_plain_numbers(text: str) -> str:
    parts, end = [], 0
    for found in find_numbers(text):
        written = text[found.start : found.end]
        # What begins with a zero that says nothing is a code of something, and no number.
        plain = written if re.match(r"[-+\u2212]?0[0-9]", written) else _plain(found.value)
        parts += [text[end : found.start], plain]
        end = found.end
    return "".join([*parts, text[end:]])


def _plain(value: Decimal) -> str:
    written = format(value, "f")
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written
