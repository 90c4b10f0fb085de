"""The forms of secrets: those of known makers, private keys, and random text that is assigned to a telling name."""

import math
from collections import Counter

from zirkel.gateway.guardrails.scanner import Matcher
from zirkel.lib.patterns import compile_pattern
from zirkel.lib.recognisers import SECRET_FORMS

_LEAST_BITS_PER_CHARACTER = 3.0
_JUDGED_CHARS = 200

_ASSIGNED = (
    r"(?i)(?:api|access|auth|client|private|secret|signing)[_ -]?(?:key|token|secret)|secret|token|passw(?:or)?d|pwd"
)
_VALUE = r"""["'`]?[\t ]{0,4}(?::=|=>|[:=])[\t ]{0,4}["'`]?([A-Za-z0-9!#$%&*+./=?@^_~-]{16,})"""


def secret_matchers() -> list[Matcher]:
    """Return what finds each form of secret."""
    known = [Matcher(label, compile_pattern(pattern)) for label, pattern in SECRET_FORMS.items()]
    assigned = compile_pattern(rf"(?:{_ASSIGNED}){_VALUE}", group=1)
    return [*known, Matcher("assigned", assigned, _accept_random)]


def _accept_random(text: str) -> int:
    """Accept text that looks drawn at random: letters and digits mixed, and no character too often.

    Source: Shannon (1948), entropy of the characters' own frequencies.
    """
    judged = text[:_JUDGED_CHARS]
    if judged.isalpha() or not any(map(str.isdigit, judged)) or not any(map(str.isalpha, judged)):
        return 0
    shares = [count / len(judged) for count in Counter(judged).values()]
    return len(text) if -sum(share * math.log2(share) for share in shares) >= _LEAST_BITS_PER_CHARACTER else 0
