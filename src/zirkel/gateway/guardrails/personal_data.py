"""Which form of personal data each entity of a guardrail is."""

from collections.abc import Mapping, Sequence

from zirkel.core.guardrails import PiiEntity
from zirkel.gateway.guardrails.scanner import Matcher
from zirkel.lib.patterns import compile_pattern
from zirkel.lib.recognisers import forms

_FORMS: Mapping[PiiEntity, forms.Form] = {
    "email": forms.EMAIL,
    "phone": forms.INTERNATIONAL_PHONE,
    "iban": forms.IBAN,
    "credit_card": forms.CREDIT_CARD,
    "ipv4": forms.IPV4,
    "ipv6": forms.IPV6,
    "us_ssn": forms.US_SSN,
    "de_tax_id": forms.GERMAN_TAX_ID,
    "de_social_security": forms.GERMAN_SOCIAL_SECURITY,
}


def personal_data_matchers(entities: Sequence[PiiEntity]) -> list[Matcher]:
    """Return what finds ``entities``, in the order in which they stand here whatever that of the argument."""
    return [
        Matcher(entity, compile_pattern(form.pattern, group=form.group), form.accept)
        for entity, form in _FORMS.items()
        if entity in entities
    ]
