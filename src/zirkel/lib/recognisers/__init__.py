"""Recognising personal data in text, and masking it. Pure, and in time proportional to the text."""

from zirkel.lib.recognisers.forms import BUILT_IN, SECRET_FORMS, Accept, Form
from zirkel.lib.recognisers.masker import Masker, Rule, RuleFault, TextMasker, compile_masker

__all__ = [
    "BUILT_IN",
    "SECRET_FORMS",
    "Accept",
    "Form",
    "Masker",
    "Rule",
    "RuleFault",
    "TextMasker",
    "compile_masker",
]
