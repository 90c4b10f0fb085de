"""What stands for masked text within one call, and how it comes back."""

import json
import re
from collections import Counter

from zirkel.gateway.guardrails.scanner import Matcher, MatcherSet, compile_matchers
from zirkel.lib.patterns import compile_pattern

_FORM = r"\[[A-Z][A-Z0-9_]{0,30}_[1-9][0-9]{0,6}\]"
_PLACEHOLDER = re.compile(_FORM)


def placeholder_matchers() -> MatcherSet:
    """Return what finds anything that looks like a placeholder."""
    return compile_matchers([Matcher("placeholder", compile_pattern(_FORM))])


class Placeholders:
    """The masked values of one call: equal values have equal placeholders, others have others."""

    def __init__(self) -> None:
        self._by_value: dict[tuple[str, str], str] = {}
        self._originals: dict[str, str] = {}
        self._taken: set[str] = set()
        self._count: Counter[str] = Counter()

    @property
    def has_originals(self) -> bool:
        """True if there is something to put back."""
        return bool(self._originals)

    def reserve(self, text: str) -> None:
        """Keep clear of what looks like a placeholder in the caller's own text: it must come back as it is."""
        if "[" in text:
            self._taken.update(_PLACEHOLDER.findall(text))

    def mask(self, label: str, value: str, *, is_reversible: bool) -> str:
        """Return the placeholder of a value, e.g. ``[EMAIL_1]``. A reversible one has an original from now on."""
        key = (label, value)
        placeholder = self._by_value.get(key)
        if placeholder is None:
            placeholder = self._by_value[key] = self._next(label.upper())
        if is_reversible:
            self._originals[placeholder] = value
        return placeholder

    def original(self, placeholder: str, *, is_json: bool) -> str:
        """Return what a placeholder stands for, itself if it stands for nothing.

        Args:
            placeholder: As found in the answer.
            is_json: It stands in JSON text, within a string.
        """
        original = self._originals.get(placeholder)
        if original is None:
            return placeholder
        return json.dumps(original, ensure_ascii=False)[1:-1] if is_json else original

    def _next(self, label: str) -> str:
        while True:
            self._count[label] += 1
            placeholder = f"[{label}_{self._count[label]}]"
            if placeholder not in self._taken:
                return placeholder
