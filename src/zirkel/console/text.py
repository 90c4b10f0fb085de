"""Inputs and outputs of models, as text to read. Pure; templates escape what comes out."""

import json
from dataclasses import dataclass
from typing import cast

from zirkel.core import Json

LIMIT = 20_000
"""Characters shown of one text; the rest is in the API's answer."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text, and whose it is."""

    speaker: str
    """A message's role; empty where it is no message."""
    text: str
    left_out: int = 0
    """Characters that are not shown."""


def passages(recorded: str) -> tuple[Passage, ...]:
    """Return what a span recorded as passages: chat messages apart, other JSON indented, anything else as is."""
    if not recorded:
        return ()
    try:
        value: Json = json.loads(recorded)
    except (ValueError, RecursionError):
        return (_passage("", recorded),)
    if isinstance(value, dict) and _is_message(value):
        value = [value]
    if isinstance(value, list) and value and all(_is_message(part) for part in value):
        return tuple(_message(cast("dict[str, Json]", part)) for part in value)
    return (_passage("", value if isinstance(value, str) else _indent(value)),)


def _is_message(value: Json) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _message(message: dict[str, Json]) -> Passage:
    others = {name: part for name, part in message.items() if name not in ("role", "content") and part is not None}
    content = message.get("content")
    shown = [] if content is None else [content if isinstance(content, str) else _indent(content)]
    if others:
        shown.append(_indent(others))
    return _passage(str(message["role"]), "\n".join(shown))


def _indent(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _passage(speaker: str, text: str) -> Passage:
    return Passage(speaker, text[:LIMIT], max(len(text) - LIMIT, 0))
