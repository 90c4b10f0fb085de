"""The prompt of a release as programs get it that render it themselves. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from zirkel.core import ReleaseBundle


@dataclass(frozen=True, slots=True)
class PromptPart:
    """One message. ``is_literal`` content is used as it is; otherwise it is a Jinja template."""

    role: str
    content: str
    is_literal: bool = False


@dataclass(frozen=True, slots=True)
class PromptView:
    """A prompt and what is needed to render it as the gateway does."""

    name: str
    version: str
    """The version's number, as spans of the gateway have it."""
    digest: str
    release: str
    release_number: int
    kind: str
    """``text`` if it is one message of the user, else ``chat``."""
    messages: tuple[PromptPart, ...]
    variables: Mapping[str, str]
    """Types by name."""
    documents: Mapping[str, str]
    """The context's documents by path; templates find them as ``context``."""


def prompt_view(bundle: ReleaseBundle) -> PromptView:
    """Return the prompt of a release."""
    messages = prompt_messages(bundle)
    is_text = len(messages) == 1 and messages[0].role == "user"
    return PromptView(
        name=bundle.service,
        version=str(bundle.prompt_version),
        digest=bundle.artefacts["prompt"],
        release=bundle.digest,
        release_number=bundle.number,
        kind="text" if is_text else "chat",
        messages=tuple(messages),
        variables=dict(bundle.prompt.variables),
        documents=dict(bundle.documents),
    )


def prompt_messages(bundle: ReleaseBundle) -> list[PromptPart]:
    """Return the prompt's messages with the examples between the system messages and the first other one."""
    templates = [PromptPart(message.role, message.content) for message in bundle.prompt.messages]
    if not bundle.prompt.examples or not bundle.examples:
        return templates
    turns: list[PromptPart] = []
    for example in bundle.examples:
        turns.append(PromptPart("user", example.user, is_literal=True))
        turns.append(PromptPart("assistant", example.assistant, is_literal=True))
    fixed = next((i for i, m in enumerate(templates) if m.role not in ("system", "developer")), len(templates))
    return [*templates[:fixed], *turns, *templates[fixed:]]
