"""Words and patterns of the release's own."""

import unicodedata
from collections.abc import Sequence

from zirkel.gateway.guardrails.scanner import Matcher
from zirkel.lib.patterns import compile_pattern

_WORD = r"\pL\pN\pM_"
_SPECIAL = frozenset("\\.+*?()|[]{}^$")


def pattern_matchers(patterns: Sequence[str]) -> list[Matcher]:
    """Return what finds each pattern, reported by its place in the list, e.g. ``patterns[0]``."""
    return [Matcher(f"patterns[{index}]", compile_pattern(pattern)) for index, pattern in enumerate(patterns)]


def word_matchers(words: Sequence[str]) -> list[Matcher]:
    """Return what finds the words, whole and in any case, composed or not, longer ones first.

    All are one pattern, so they are reported together as ``words``.

    Source: Unicode Standard Annex #15 (normal forms), Annex #29 (a mark belongs to the letter before).
    """
    forms = {unicodedata.normalize(form, word) for word in words for form in ("NFC", "NFD")}
    ordered = sorted(forms, key=lambda word: (-len(word), word))
    choice = "|".join(_literal(word) for word in ordered)
    return [Matcher("words", compile_pattern(rf"(?i)(?:\A|[^{_WORD}])({choice})(?:\z|[^{_WORD}])", group=1))]


def _literal(word: str) -> str:
    """Return the word as a pattern; a space stands for up to four of any kind."""
    escaped = "".join(f"\\{character}" if character in _SPECIAL else character for character in word)
    return r"\s{1,4}".join(escaped.split())
