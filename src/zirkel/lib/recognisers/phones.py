"""Telephone numbers: with a country's code, and as Switzerland, Germany, their neighbours and the US write theirs."""

import re
from collections.abc import Mapping

INTERNATIONAL = r"(?:\B\+|\b00)[1-9](?:[ ()./-]{0,3}[0-9]){6,14}\b"
"""E.164: a country code and up to 15 digits in all."""
NATIONAL = r"(?:\(|\b)0[1-9](?:[ ()./-]{0,3}[0-9]){6,11}\b"
"""With the 0 that most countries dial before an area code."""
US = r"(?:\b1[-. ])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[-.])[2-9][0-9]{2}[-. ][0-9]{4}\b"
"""Of the parts without parentheses, spaces alone would make a telephone number of any three counts in a row."""

_DIGITS = re.compile(r"[0-9]+")
_LEAST_TOGETHER = 10
_COUNTRY_CODE = re.compile(
    r"1|7|2(?:[07]|1[1-368]|[2-46-8]\d|5[0-8]|9[01789])|3(?:[0-469]|5\d|7\d|8[0-35-79])|4(?:[013-9]|2[013])"
    r"|5(?:[1-8]|0\d|9\d)|6(?:[0-6]|7[02-9]|8[0-35-9]|9[0-2])|8(?:[1246]|0[08]|5[02356]|7[08]|8[0-368])"
    r"|9(?:[0-58]|6[0-8]|7\d|9[2-68])",
    re.ASCII,
)
"""Source: ITU-T, list of E.164 assigned country codes."""
_LENGTHS: Mapping[str, tuple[int, int]] = {
    "1": (10, 10),
    "7": (10, 10),
    "33": (9, 9),
    "34": (9, 9),
    "41": (9, 9),
    "44": (9, 10),
    "49": (5, 11),
    "91": (10, 10),
}
_OTHER_LENGTHS = (6, 11)
"""Digits behind the country code, where they are not known more exactly."""
# Source: Swiss Federal Office of Communications, numbering plan E.164/2002.
_SWISS = re.compile(r"0(?:2[124679]|3[1-4]|4[134]|5[12568]|6[12]|7[4-9]|81|91|800|84[0248]|860|90[016])[0-9]*")
# Source: Bundesnetzagentur, numbering space for mobile services.
_GERMAN_MOBILE = re.compile(r"01[567][0-9]{8,9}")


def accept_international(text: str) -> int:
    """Accept a number with ``+`` or ``00`` and the code of a country, of a length that the country has."""
    for end in _ends(text):
        digits = "".join(_DIGITS.findall(text[:end]))
        number = digits if text[0] == "+" else digits[2:]
        is_separated = len(_DIGITS.findall(text[:end])) > 1
        if (text[0] == "+" or is_separated or len(number) >= _LEAST_TOGETHER) and _has_country(number):
            return end
    return 0


def accept_national(text: str) -> int:
    """Accept a Swiss number, a German mobile one, or a number in groups of which the first is an area code."""
    for end in _ends(text):
        groups = _DIGITS.findall(text[:end])
        digits = "".join(groups)
        is_swiss = len(digits) == 10 and _SWISS.fullmatch(digits) is not None
        if is_swiss or _GERMAN_MOBILE.fullmatch(digits) or _is_grouped(groups, len(digits)):
            return end
    return 0


def _ends(text: str) -> list[int]:
    """Return where a number may end: behind each group of digits, the longest text first."""
    return [found.end() for found in _DIGITS.finditer(text)][::-1]


def _has_country(number: str) -> bool:
    code = _COUNTRY_CODE.match(number)
    if code is None:
        return False
    rest = number[code.end() :]
    least, most = _LENGTHS.get(code.group(), _OTHER_LENGTHS)
    # Many write the 0 that is dialled within the country, too: +41 (0)44.
    return least <= len(rest.removeprefix("0")) <= most or least <= len(rest) <= most


def _is_grouped(groups: list[str], length: int) -> bool:
    if len(groups) == 5 and all(len(group) == 2 for group in groups):
        return True
    return 3 <= len(groups[0]) <= 6 and 2 <= len(groups) <= 5 and 9 <= length <= 12 and min(map(len, groups[1:])) > 1
