"""The forms of personal data. Patterns say what may be one, check digits what is."""

from collections.abc import Mapping, Sequence

from zirkel.core.guardrails import PiiEntity
from zirkel.gateway.guardrails.check_digits import (
    accept_credit_card,
    accept_german_social_security,
    accept_german_tax_id,
    accept_iban,
    accept_ipv4,
    accept_ipv6,
    accept_us_ssn,
)
from zirkel.gateway.guardrails.scanner import Accept, Matcher
from zirkel.lib.patterns import compile_pattern

# Letters and digits of any alphabet, but no punctuation of other alphabets; as ranges, which are small once compiled.
_LETTERS = r"A-Za-z\x{C0}-\x{1FFF}\x{3040}-\x{D7FF}"
_IPV4 = r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"

_FORMS: Mapping[PiiEntity, tuple[str, Accept | None]] = {
    # The parts' lengths are those of RFC 5321, section 4.5.3.1.
    "email": (rf"[{_LETTERS}0-9_%+.-]{{1,64}}@[{_LETTERS}0-9.-]{{1,190}}\.[{_LETTERS}]{{2,24}}", None),
    # E.164: a country code and up to 15 digits in all.
    "phone": (r"(?:\B\+|\b00)[1-9](?:[ ()./-]{0,3}[0-9]){6,14}\b", None),
    "iban": (r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}\b", accept_iban),
    "credit_card": (r"\b[2-6](?:[ -]?[0-9]){12,18}\b", accept_credit_card),
    "ipv4": (rf"\b{_IPV4}\b", accept_ipv4),
    "ipv6": (
        rf"(?:\A|[^0-9A-Za-z_:.])((?:[0-9A-Fa-f]{{0,4}}:){{2,8}}(?:{_IPV4}|[0-9A-Fa-f]{{0,4}}))(?:\z|[^0-9A-Za-z_:])",
        accept_ipv6,
    ),
    "us_ssn": (r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b", accept_us_ssn),
    "de_tax_id": (r"\b[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b", accept_german_tax_id),
    "de_social_security": (
        r"\b[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Za-z] ?[0-9]{2} ?[0-9]\b",
        accept_german_social_security,
    ),
}


def personal_data_matchers(entities: Sequence[PiiEntity]) -> list[Matcher]:
    """Return what finds ``entities``, in the order in which they stand here whatever that of the argument."""
    return [
        Matcher(entity, compile_pattern(pattern, group=1 if entity == "ipv6" else 0), accept)
        for entity, (pattern, accept) in _FORMS.items()
        if entity in entities
    ]
