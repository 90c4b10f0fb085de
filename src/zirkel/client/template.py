"""Rendering a prompt as the gateway does: Jinja in a sandbox, and exactly the variables that the release declares."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from zirkel.client.prompts import PromptMessage
from zirkel.core import Invalid, Json
from zirkel.core.definitions import variable_kind

DOCUMENTS = "context"
"""The name under which templates find the release's documents."""


def render(
    messages: Sequence[PromptMessage],
    kinds: Mapping[str, str] | None,
    values: Mapping[str, Json],
    documents: Mapping[str, str],
) -> list[dict[str, str]]:
    """Return the messages with the variables put in.

    Args:
        messages: Templates, or literal contents.
        kinds: The declared variables: ``string``, ``number``, ``boolean`` or ``json`` by name; ``None``
            if nobody knows.
        values: A value for each of them.
        documents: The release's documents by path.

    Raises:
        Invalid: If a variable is missing, unknown or of another type, or the template cannot use a value.
    """
    if kinds is not None:
        _check(kinds, values)
    names = {**values, DOCUMENTS: documents}
    return [{"role": message.role, "content": _content(message, names)} for message in messages]


def _content(message: PromptMessage, names: Mapping[str, object]) -> str:
    if message.is_literal:
        return message.content
    try:
        return _compiled(message.content).render(names)
    except Exception as error:
        raise Invalid(f"the prompt cannot be rendered: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=256)
def _compiled(template: str) -> jinja2.Template:
    # The output is text for a model, not HTML: escaping would change the prompt.
    return ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(template)


def _check(kinds: Mapping[str, str], values: Mapping[str, Json]) -> None:
    known = ", ".join(sorted(kinds)) or "none"
    for name in values:
        if name not in kinds:
            raise Invalid(f"the variable {name!r} is unknown; the prompt takes: {known}", path=name)
    for name, kind in kinds.items():
        if name not in values:
            raise Invalid(f"the variable {name!r} ({kind}) is missing", path=name)
        if kind not in ("json", found := variable_kind(values[name])):
            raise Invalid(f"the variable {name!r} is a {kind}, not {found}", path=name)
