"""The forms of secrets: those of known makers, private keys, and random text that is assigned to a telling name."""

import math
from collections import Counter
from collections.abc import Mapping

from zirkel.gateway.guardrails.scanner import Matcher
from zirkel.lib.patterns import compile_pattern

_LEAST_BITS_PER_CHARACTER = 3.0
_JUDGED_CHARS = 200

# The prefixes are documented by those who issue the keys; the tails are open, so that none of a key is left over.
_FORMS: Mapping[str, str] = {
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
_ASSIGNED = (
    r"(?i)(?:api|access|auth|client|private|secret|signing)[_ -]?(?:key|token|secret)|secret|token|passw(?:or)?d|pwd"
)
_VALUE = r"""["'`]?[\t ]{0,4}(?::=|=>|[:=])[\t ]{0,4}["'`]?([A-Za-z0-9!#$%&*+./=?@^_~-]{16,})"""


def secret_matchers() -> list[Matcher]:
    """Return what finds each form of secret."""
    known = [Matcher(label, compile_pattern(pattern)) for label, pattern in _FORMS.items()]
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
