"""Rendering a release's prompt. Templates are sandboxed: they come from whoever may push, not from the operator."""

from collections.abc import Mapping
from dataclasses import dataclass

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from zirkel.core import Corrupt, Invalid, Json
from zirkel.core.definitions import variable_kind
from zirkel.gateway.snapshot import SnapshotRelease

_DOCUMENTS = "context"


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str


@dataclass(frozen=True, slots=True)
class CompiledPrompt:
    """The prompt of one release, ready to render."""

    release: SnapshotRelease
    templates: tuple[jinja2.Template | None, ...]
    """One for each message; ``None`` where the content is literal."""


def compile_prompt(release: SnapshotRelease) -> CompiledPrompt:
    """Return the release's prompt, compiled.

    Raises:
        Corrupt: If a template is malformed, which the registry should not have let through.
    """
    # The output is text for a model, not HTML: escaping would change the prompt.
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    templates: list[jinja2.Template | None] = []
    for index, message in enumerate(release.messages):
        try:
            templates.append(None if message.is_literal else environment.from_string(message.content))
        except jinja2.TemplateSyntaxError as error:
            raise Corrupt(
                f"message {index} of prompt {release.prompt_name!r} {release.prompt_version} does not compile: {error}"
            ) from None
    return CompiledPrompt(release, tuple(templates))


def render_messages(prompt: CompiledPrompt, variables: Mapping[str, Json]) -> bytes:
    """Return the messages as a JSON array.

    Raises:
        Invalid: If a variable is missing, unknown or of another type, or the template cannot use a value.
    """
    release = prompt.release
    check_variables(release, variables)
    names = {**variables, _DOCUMENTS: release.documents}
    rendered: list[_Message] = []
    for message, template in zip(release.messages, prompt.templates, strict=True):
        try:
            content = message.content if template is None else template.render(names)
        except Exception as error:  # noqa: BLE001 (a template is a plug-in: whatever it raises is told to the caller)
            raise Invalid(
                f"prompt {release.prompt_name!r} {release.prompt_version} cannot be rendered: "
                f"{type(error).__name__}: {error}",
                path="zirkel.variables",
            ) from None
        rendered.append(_Message(message.role, content))
    return msgspec.json.encode(rendered)


def check_variables(release: SnapshotRelease, variables: Mapping[str, Json]) -> None:
    """Return if the variables are exactly those that the release declares.

    Raises:
        Invalid: Naming the first that is missing, unknown or of another type.
    """
    for name, kind in release.variables.items():
        if name not in variables:
            raise Invalid(
                f"the variable {name!r} ({kind}) is missing; send it as zirkel.variables.{name}",
                path=f"zirkel.variables.{name}",
            )
        if not _is_of_kind(variables[name], kind):
            raise Invalid(
                f"the variable {name!r} is a {kind}, not {variable_kind(variables[name])}",
                path=f"zirkel.variables.{name}",
            )
    for name in variables:
        if name not in release.variables:
            known = ", ".join(sorted(release.variables)) or "none"
            raise Invalid(
                f"the variable {name[:100]!r} is unknown; service {release.service!r} takes: {known}",
                path=f"zirkel.variables.{name[:100]}",
            )


def _is_of_kind(value: Json, kind: str) -> bool:
    return kind == "json" or variable_kind(value) == kind
