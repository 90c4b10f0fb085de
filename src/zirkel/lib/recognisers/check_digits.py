"""Numbers that prove themselves: each function takes what a pattern found and returns how much of it is one."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence

_FEWEST_CARD_DIGITS = 13
_SOCIAL_SECURITY_WEIGHTS = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
_CARD_LENGTHS: Sequence[tuple[str, tuple[int, ...]]] = (
    # Visa, American Express, Diners Club, Mastercard, Mir, RuPay, Discover, JCB, UnionPay, Maestro.
    (r"4", (16, 19)),
    (r"3[47]", (15,)),
    (r"3(?:0[0-5]|[689])", (14, 16, 17, 18, 19)),
    (r"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)", (16,)),
    (r"220[0-4]", (16, 17, 18, 19)),
    (r"8[12]|508", (16, 17, 18, 19)),
    (r"6(?:011|22|4[4-9]|5|0)", (16, 17, 18, 19)),
    (r"35(?:2[89]|[3-8])", (16, 17, 18, 19)),
    (r"62", (16, 17, 18, 19)),
    (r"50(?:18|20|38)|5893|6(?:304|7)", (13, 14, 15, 16, 17, 18, 19)),
)
"""How the networks' numbers begin, and how many digits they have."""
_CARD_FORMS = tuple((re.compile(start), lengths) for start, lengths in _CARD_LENGTHS)
_IBAN_COUNTRIES: Mapping[int, str] = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
"""Which countries' numbers have how many characters."""
_IBAN_LENGTHS = {country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()}


def accept_iban(text: str) -> int:
    """Accept an international bank account number of its country's length, with or without spaces.

    Source: ISO 13616 (form), SWIFT IBAN Registry (lengths), ISO 7064 (MOD 97-10).
    """
    positions = [position for position, character in enumerate(text) if character.isalnum()]
    length = _IBAN_LENGTHS.get(text[:2].upper(), len(positions) + 1)
    if length > len(positions):
        return 0
    end = positions[length - 1] + 1
    plain = "".join(text[position] for position in positions[:length]).upper()
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    is_whole = end == len(text) or not text[end].isalnum()
    return end if is_whole and int(number) % 97 == 1 else 0


def accept_credit_card(text: str) -> int:
    """Accept a number of 13 to 19 digits with the check digit of payment cards, with or without spaces or hyphens.

    Source: ISO/IEC 7812-1, annex B (Luhn).
    """
    return _first_end(text, _has_luhn_digit)


def accept_card(text: str) -> int:
    """Accept a payment card number of a form that a network issues, with or without spaces or hyphens.

    Source: ISO/IEC 7812-1, annex B (Luhn); the networks' published ranges of issuer numbers.
    """
    return _first_end(text, lambda digits: _is_issued(digits) and _has_luhn_digit(digits))


def accept_ahv(text: str) -> int:
    """Accept a Swiss AHV/AVS number: 756, nine digits, check digit.

    Source: Swiss Central Compensation Office, "AHV-Nummer" (GS1 EAN-13 check digit).
    """
    digits = _digits(text)
    weighted = sum(digit * (3 if index % 2 else 1) for index, digit in enumerate(digits[:12]))
    return len(text) if len(digits) == 13 and (10 - weighted % 10) % 10 == digits[12] else 0


def accept_german_tax_id(text: str) -> int:
    """Accept a steuerliche Identifikationsnummer: eleven digits, of the first ten one occurs two or three times.

    Source: § 139b AO; ISO 7064 (MOD 11,10).
    """
    digits = _digits(text)
    if len(digits) != 11 or digits[0] == 0 or _mod_11_10(digits[:10]) != digits[10]:
        return 0
    repeated = [digits[:10].count(digit) for digit in set(digits[:10]) if digits[:10].count(digit) > 1]
    return len(text) if repeated in ([2], [3]) else 0


def accept_german_social_security(text: str) -> int:
    """Accept a Rentenversicherungsnummer: area, day of birth, letter, serial number, check digit.

    Source: § 147 SGB VI; § 2 VKVV.
    """
    plain = [character for character in text if character.isalnum()]
    letter = f"{ord(plain[8].upper()) - ord('A') + 1:02}"
    digits = [int(digit) for digit in "".join(plain[:8]) + letter + "".join(plain[9:11])]
    total = sum(_cross_sum(digit * weight) for digit, weight in zip(digits, _SOCIAL_SECURITY_WEIGHTS, strict=True))
    return len(text) if total % 10 == int(plain[11]) else 0


def accept_us_ssn(text: str) -> int:
    """Accept a US social security number that can have been assigned.

    Source: https://www.ssa.gov/employer/randomization.html
    """
    area, group, serial = text[:3], text[4:6], text[7:]
    is_valid = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return len(text) if is_valid and text[3] == text[6] else 0


def accept_ipv4(text: str) -> int:
    """Accept an address of four numbers up to 255.

    Source: RFC 6943, section 3.1.1 (strict form).
    """
    return len(text) if all(int(part) <= 255 for part in text.split(".")) else 0


def accept_ipv6(text: str) -> int:
    """Accept an address with a digit in it, which leaves out ``::`` and names such as ``a::b`` of programs.

    Source: RFC 4291, section 2.2.
    """
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return 0
    return len(text) if any(character.isdigit() for character in text) else 0


def _first_end(text: str, is_valid: Callable[[list[int]], bool]) -> int:
    """Return where the longest valid number of whole groups of digits ends, 0 if there is none."""
    for end in range(len(text), _FEWEST_CARD_DIGITS - 1, -1):
        is_whole = end == len(text) or not text[end].isdigit()
        if is_whole and text[end - 1].isdigit() and is_valid(_digits(text[:end])):
            return end
    return 0


def _has_luhn_digit(digits: Sequence[int]) -> bool:
    if not _FEWEST_CARD_DIGITS <= len(digits) <= 19:
        return False
    doubled = [_cross_sum(digit * 2) if index % 2 else digit for index, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_issued(digits: Sequence[int]) -> bool:
    plain = "".join(map(str, digits))
    return any(len(digits) in lengths and form.match(plain) for form, lengths in _CARD_FORMS)


def _mod_11_10(digits: Sequence[int]) -> int:
    """Return the check digit of ISO 7064 MOD 11,10."""
    product = 10
    for digit in digits:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10


def _cross_sum(number: int) -> int:
    return number // 10 + number % 10


def _digits(text: str) -> list[int]:
    return [int(character) for character in text if character.isdigit()]
