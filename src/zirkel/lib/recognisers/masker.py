"""Masking by rules: what stands in the place of what is found, and where each rule holds."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from zirkel.lib.patterns import Pattern, PatternFault, compile_whole
from zirkel.lib.recognisers.finding import Recogniser, replace_hits
from zirkel.lib.recognisers.forms import BUILT_IN
from zirkel.lib.recognisers.jsontext import replace_strings
from zirkel.lib.recognisers.names import names_form

OWN_PLACEHOLDER = "[masked]"
_BETWEEN = "\x00"


class Rule(Protocol):
    """One rule; see ``core.privacy.MaskRule``, which fits it."""

    @property
    def recogniser(self) -> str: ...
    @property
    def pattern(self) -> str: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def placeholder(self) -> str: ...
    @property
    def fields(self) -> Collection[str]: ...
    @property
    def services(self) -> Collection[str]: ...
    @property
    def environments(self) -> Collection[str]: ...


class RuleFault(ValueError):
    """A rule cannot be used. ``str()`` says why."""

    def __init__(self, index: int, field: str, said: str) -> None:
        super().__init__(said)
        self.index = index
        self.field = field


class TextMasker:
    """Masks texts by some rules, all of them at once. Thread safe."""

    def __init__(self, known: Sequence[Recogniser], own: Sequence[Recogniser]) -> None:
        """Mask what is found by ``known``, whose matches never reach over a quote or NUL, or by ``own``."""
        self._all = (*known, *own)
        self._has_own = bool(own)
        sources = [f"(?:{recogniser.pattern.source})" for recogniser in known]
        self._candidates = compile_whole("|".join(sources)) if sources else None

    def mask_text(self, text: str) -> str:
        """Return ``text`` with a placeholder for all that is found."""
        data = text.encode("utf-8", "surrogatepass")
        if not self._has_own and not self._has_candidates(data):
            return text
        hits = [hit for recogniser in self._all for hit in recogniser.find(data)]
        return replace_hits(data, hits).decode("utf-8", "surrogatepass") if hits else text

    def mask_json(self, text: str) -> str:
        """Return JSON text with each of its strings masked, also of JSON inside of strings; other text as a text.

        Keys and numbers stay as they are, to the byte.
        """
        return text if self._is_clean_json(text) else replace_strings(text, self.mask_text)

    def mask_values(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Return JSON texts by name masked as by ``mask_json``; ``values`` itself if nothing is found."""
        if not values or self._is_clean_json(_BETWEEN.join(values.values())):
            return values
        masked = {name: self.mask_json(value) for name, value in values.items()}
        return values if masked == values else masked

    def _is_clean_json(self, text: str) -> bool:
        # Without escapes a string stands in JSON as it is, and quotes end what is looked for.
        if self._has_own or "\\" in text:
            return False
        return not self._has_candidates(text.encode("utf-8", "surrogatepass"))

    def _has_candidates(self, data: bytes) -> bool:
        return self._candidates is not None and self._candidates.search(data, 0) is not None


@dataclass(frozen=True, slots=True)
class _Compiled:
    fields: frozenset[str]
    services: frozenset[str]
    environments: frozenset[str]
    recognisers: tuple[Recogniser, ...]
    is_own: bool

    @property
    def is_everywhere(self) -> bool:
        return not (self.fields or self.services or self.environments)

    def holds(self, field: str, service: str, environment: str) -> bool:
        # Where it is not known what a text belongs to, it may belong to what the rule names.
        return (
            (not self.fields or field in self.fields)
            and (not self.services or not service or service in self.services)
            and (not self.environments or not environment or environment in self.environments)
        )


class Masker:
    """All rules of one owner. Thread safe."""

    def __init__(self, rules: Sequence[_Compiled]) -> None:
        self._rules = rules
        self._is_everywhere = all(rule.is_everywhere for rule in rules)
        self._all = _text_masker(rules)
        self._by_rules: dict[tuple[bool, ...], TextMasker | None] = {}

    def at(self, field: str, service: str = "", environment: str = "") -> TextMasker | None:
        """Return what masks the texts of one place, ``None`` if no rule holds there.

        A rule that names services or environments also holds where the text's own is not known (empty).
        """
        if self._is_everywhere:
            return self._all
        active = tuple(rule.holds(field, service, environment) for rule in self._rules)
        if active not in self._by_rules:
            chosen = [rule for rule, is_active in zip(self._rules, active, strict=True) if is_active]
            self._by_rules[active] = _text_masker(chosen) if chosen else None
        return self._by_rules[active]

    def mask_text(self, text: str) -> str:
        """Return ``text`` masked by every rule, wherever each holds."""
        return self._all.mask_text(text)

    def mask_json(self, text: str) -> str:
        """Return JSON text masked by every rule, wherever each holds; see ``TextMasker.mask_json``."""
        return self._all.mask_json(text)


def compile_masker(rules: Sequence[Rule]) -> Masker:
    """Return a masker for ``rules``.

    Raises:
        RuleFault: With the first rule that cannot be used.
    """
    return Masker([_compile_rule(index, rule) for index, rule in enumerate(rules)])


def _text_masker(rules: Sequence[_Compiled]) -> TextMasker:
    return TextMasker(
        [recogniser for rule in rules if not rule.is_own for recogniser in rule.recognisers],
        [recogniser for rule in rules if rule.is_own for recogniser in rule.recognisers],
    )


def _compile_rule(index: int, rule: Rule) -> _Compiled:
    placeholder = rule.placeholder or (OWN_PLACEHOLDER if rule.pattern else f"[{_label(rule)}]")
    try:
        recognisers = tuple(_recognisers(rule, placeholder.encode()))
    except PatternFault as fault:
        raise RuleFault(index, "pattern" if rule.pattern else "names", str(fault)) from fault
    except KeyError:
        raise RuleFault(index, "recogniser", f"{rule.recogniser!r} is none of {', '.join(BUILT_IN)}") from None
    return _Compiled(
        frozenset(rule.fields), frozenset(rule.services), frozenset(rule.environments), recognisers, bool(rule.pattern)
    )


def _recognisers(rule: Rule, placeholder: bytes) -> Iterator[Recogniser]:
    if rule.pattern:
        yield Recogniser(_own_pattern(rule.pattern), placeholder)
        return
    for form in (names_form(rule.names),) if rule.names else BUILT_IN[rule.recogniser]:
        pattern = compile_whole(form.pattern, group=form.group)
        yield Recogniser(pattern, placeholder, form.accept, form.joined_by.encode())


def _own_pattern(source: str) -> Pattern:
    pattern = compile_whole(source)
    if pattern.matches_nothing:
        raise PatternFault("it matches the empty text, and so every text everywhere")
    return pattern


def _label(rule: Rule) -> str:
    return "name" if rule.names else rule.recogniser
