"""How personal data and secrets are written. Patterns say what may be one, check digits what is."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zirkel.lib.recognisers import phones
from zirkel.lib.recognisers.check_digits import (
    accept_ahv,
    accept_card,
    accept_credit_card,
    accept_german_social_security,
    accept_german_tax_id,
    accept_iban,
    accept_ipv4,
    accept_ipv6,
    accept_us_ssn,
)

Accept = Callable[[str], int]
"""Judges what a pattern found, e.g. by its check digits: how many of its characters it is, 0 for nothing."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write one kind of datum."""

    pattern: str
    """In RE2's syntax. The empty text is no match."""
    accept: Accept | None = None
    group: int = 0
    """The group that is the datum; 0 for all that matches."""
    joined_by: str = ""
    """Characters, ASCII: what one of them joins to a letter or digit, or a point to a digit, is a part of an id or of a
    decimal, and no such datum."""


# Letters and digits of any alphabet, but no punctuation of other alphabets; as ranges, which are small once compiled.
_LETTERS = r"A-Za-z\x{C0}-\x{1FFF}\x{3040}-\x{D7FF}"
_IPV4 = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"

# The parts' lengths are those of RFC 5321, section 4.5.3.1.
EMAIL = Form(rf"[{_LETTERS}0-9_%+.-]{{1,64}}@[{_LETTERS}0-9.-]{{1,190}}\.[{_LETTERS}]{{2,24}}")
INTERNATIONAL_PHONE = Form(phones.INTERNATIONAL)
IBAN = Form(r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}\b", accept_iban)
CREDIT_CARD = Form(r"\b[2-6](?:[ -]?[0-9]){12,18}\b", accept_credit_card)
CARD = Form(r"\b[2-68](?:[ -]?[0-9]){12,18}\b", accept_card, joined_by="-")
AHV = Form(r"\b756[. ]?[0-9]{4}[. ]?[0-9]{4}[. ]?[0-9]{2}\b", accept_ahv, joined_by="-")
IPV4 = Form(rf"\b{_IPV4}\b", accept_ipv4, joined_by="-")
IPV6 = Form(
    rf"(?:\A|[^0-9A-Za-z_:.])((?:[0-9A-Fa-f]{{0,4}}:){{2,8}}(?:{_IPV4}|[0-9A-Fa-f]{{0,4}}))(?:\z|[^0-9A-Za-z_:])",
    accept_ipv6,
    group=1,
)
US_SSN = Form(r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b", accept_us_ssn, joined_by="-")
GERMAN_TAX_ID = Form(r"\b[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b", accept_german_tax_id, joined_by="-")
GERMAN_SOCIAL_SECURITY = Form(
    r"\b[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Za-z] ?[0-9]{2} ?[0-9]\b", accept_german_social_security
)

SECRET_FORMS: Mapping[str, str] = {
    # The prefixes are documented by those who issue the keys; the tails are open, so that none of a key is left over.
    "anthropic": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "openai": r"\bsk-[A-Za-z0-9_-]{20,}",
    "aws": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "github": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    "slack": r"\b(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}|\bhooks\.slack\.com/services/[A-Za-z0-9/_-]{20,}",
    "google": r"\bAIza[A-Za-z0-9_-]{35,}",
    "stripe": r"\b(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,}",
    # RFC 7519 in the compact form of RFC 7515, section 7.1: the header is a JSON object, so it begins with {" encoded.
    "jwt": r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*",
    # RFC 7468, section 10 and 13. Without an end it counts up to the end of the text.
    "private_key": (
        r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.)*?(?:-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----|\z)"
    ),
}
"""Secrets of known makers, by maker or kind."""

_IMAGE = re.compile(r"@[1-4]x\.(?:png|jpe?g|gif|webp|svg)", re.IGNORECASE)


def accept_address(text: str) -> int:
    """Accept a mail address that is no image's name for screens of a higher density, such as ``logo@2x.png``."""
    return 0 if _IMAGE.search(text) else len(text)


BUILT_IN: Mapping[str, tuple[Form, ...]] = {
    "email": (Form(EMAIL.pattern, accept_address),),
    "phone": (
        Form(phones.INTERNATIONAL, phones.accept_international, joined_by="-"),
        Form(phones.NATIONAL, phones.accept_national, joined_by="-/"),
        Form(phones.US, joined_by="-/"),
    ),
    "iban": (IBAN,),
    "card": (CARD,),
    "ahv": (AHV,),
    "ip": (IPV4, IPV6),
    "us_ssn": (US_SSN,),
    "de_tax_id": (GERMAN_TAX_ID,),
    "de_social_security": (GERMAN_SOCIAL_SECURITY,),
    "secret": (Form("|".join(SECRET_FORMS.values())),),
}
"""What masking rules can name, and the ways in which each is written."""
