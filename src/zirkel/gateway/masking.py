"""Taking out of a record what must not be kept: personal data, secrets, and what releases and projects mask."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import get_args

import msgspec

from zirkel.core import Span, SpanEvent
from zirkel.core.guardrails import PiiEntity
from zirkel.core.privacy import MaskedField, MaskRule
from zirkel.gateway.guardrails import Guardrails
from zirkel.gateway.guardrails.personal_data import personal_data_matchers
from zirkel.gateway.guardrails.scanner import MatcherSet, Scanner, compile_matchers
from zirkel.gateway.guardrails.secret_forms import secret_matchers
from zirkel.gateway.guardrails.stages import MaskGuard
from zirkel.lib.recognisers import Masker, compile_masker

Mask = Callable[[str], str]
"""Takes out of a text what must not be kept."""
_MOST_DEPTH = 64
_RULED: tuple[MaskedField, ...] = ("input", "output", "tools", "status_message", "name")
"""The fields of a gateway's span that may hold texts of people, beside parameters and events."""


def mask_text(text: str) -> str:
    """Return ``text`` with every personal datum and secret of a known form as ``[KIND]``; not to be undone."""
    return _replace(_known_forms(), None, text)


def release_mask(guardrails: Guardrails) -> Mask | None:
    """Return what takes out of a text all that the guardrails mask anywhere; ``None`` if they mask nothing.

    Values that come back to the caller are taken out, too: they are no more to be kept than to be seen by the model.
    """
    every = (*guardrails.input_guards, *guardrails.output_guards)
    checks = list(dict.fromkeys(guard.check for guard in every if isinstance(guard.check, MaskGuard)))
    return _mask_of(checks) if checks else None


@lru_cache(maxsize=64)
def project_rules(encoded: bytes) -> Masker | None:
    """Return a project's masking rules, as the snapshot has them in JSON; ``None`` if it has none.

    Raises:
        msgspec.DecodeError: If they are no rules.
        RuleFault: If one cannot be used.
    """
    rules = msgspec.json.decode(encoded, type=list[MaskRule])
    return compile_masker(rules) if rules else None


def mask_span(span: Span, rules: Masker) -> Span:
    """Return a span without what its project's rules mask where it belongs; ids, measures and names of models stay."""
    changes: dict[str, str] = {}
    for field in _RULED:
        text: str = getattr(span, field)
        ruled = rules.at(field, span.service, span.environment) if text else None
        if ruled is not None:
            changes[field] = ruled.mask_json(text)
    return msgspec.structs.replace(
        span,
        parameters=_masked_values(span, "parameters", span.parameters, rules),
        events=[
            SpanEvent(event.name, event.time_ns, _masked_values(span, "events", event.attributes, rules))
            for event in span.events
        ],
        **changes,
    )


def mask_json(text: str, mask: Mask) -> str:
    """Return JSON text with each of its strings masked, also of JSON inside of strings; other text is masked as it is.

    Masked as it stands, an escape such as ``\\n`` would count as a letter of the word behind it.
    """
    return _masked_json(text, mask, 0)


def _masked_values(span: Span, field: MaskedField, values: dict[str, str], rules: Masker) -> dict[str, str]:
    ruled = rules.at(field, span.service, span.environment) if values else None
    return dict(ruled.mask_values(values)) if ruled is not None else values


def _mask_of(checks: Sequence[MaskGuard]) -> Mask:
    def mask(text: str) -> str:
        for check in checks:
            text = _replace(check.matchers, check.replacement, text)
        return text

    return mask


def _replace(matchers: MatcherSet, replacement: str | None, text: str) -> str:
    scanner = Scanner(matchers, lambda label, _: f"[{label.upper()}]" if replacement is None else replacement)
    return scanner.feed(text) + scanner.finish()


def _masked_json(text: str, mask: Mask, depth: int) -> str:
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return mask(text)
    return msgspec.json.encode(_masked(value, mask, depth)).decode()


def _masked(value: object, mask: Mask, depth: int) -> object:
    if isinstance(value, str):
        is_nested = depth < _MOST_DEPTH and value.lstrip()[:1] in ("{", "[")
        return _masked_json(value, mask, depth + 1) if is_nested else mask(value)
    if depth >= _MOST_DEPTH:
        # Nothing that deep is meant to be read, and what was not looked at is not kept.
        return None
    if isinstance(value, list):
        return [_masked(item, mask, depth + 1) for item in value]
    if isinstance(value, dict):
        return {mask(name): _masked(item, mask, depth + 1) for name, item in value.items()}
    if isinstance(value, int | float) and not isinstance(value, bool):
        masked = mask(str(value))
        return value if masked == str(value) else masked
    return value


@lru_cache(maxsize=1)
def _known_forms() -> MatcherSet:
    return compile_matchers([*secret_matchers(), *personal_data_matchers(list(get_args(PiiEntity)))])
