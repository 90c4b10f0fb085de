"""A prompt as a release has it."""

from collections.abc import Callable, Mapping

import msgspec

from zirkel.core import Invalid, Json


class PromptMessage(msgspec.Struct, frozen=True):
    """One message; ``content`` is a Jinja template unless it ``is_literal``."""

    role: str
    content: str
    is_literal: bool = False


class ServedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """What the server answers under ``/api/v1/prompts``, and what is kept on disk. New fields are left unread."""

    name: str
    version: str
    """The prompt's version number, as the gateway's spans have it."""
    digest: str
    release: str
    """Digest of the release that the prompt belongs to."""
    release_number: int
    messages: list[PromptMessage]
    variables: dict[str, str] | None = None
    """Types by name; ``None`` for a fallback, of which only its author knows."""
    documents: dict[str, str] = {}


class Prompt:
    """A prompt of a service, ready to be rendered."""

    __slots__ = ("_served", "_used", "is_fallback")

    def __init__(
        self, served: ServedPrompt, used: "Callable[[Prompt], None]" = lambda _: None, *, is_fallback: bool = False
    ) -> None:
        """Make one; ``used`` is told whenever it is rendered."""
        self._served = served
        self._used = used
        self.is_fallback = is_fallback
        """Whether this is the caller's own fallback and no version of the server's."""

    @property
    def name(self) -> str:
        """The service's name."""
        return self._served.name

    @property
    def version(self) -> str:
        """The version's number as text, as the gateway's spans have it; empty for a fallback."""
        return self._served.version

    @property
    def digest(self) -> str:
        """The prompt artefact's digest, 64 hex digits; empty for a fallback."""
        return self._served.digest

    @property
    def release(self) -> str:
        """The release's digest, 64 hex digits; empty for a fallback."""
        return self._served.release

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables it takes, and of which type: ``string``, ``number``, ``boolean`` or ``json``."""
        return dict(self._served.variables or {})

    @property
    def messages(self) -> list[PromptMessage]:
        """The messages, not rendered."""
        return list(self._served.messages)

    @property
    def text(self) -> str:
        """The template of a prompt of one message.

        Raises:
            Invalid: If it has several.
        """
        return self._only(self._served.messages).content

    def render(self, **variables: Json) -> list[dict[str, str]]:
        """Return the messages with the variables put in: ``[{"role": …, "content": …}, …]``.

        They are the ones that the gateway sends for the same release. The current span notes name and version.

        Raises:
            Invalid: If a variable is missing, unknown or of another type, or the template cannot use a value.
        """
        from zirkel.client.template import render  # noqa: PLC0415 (Jinja is not light, and not every program renders)

        served = self._served
        self._used(self)
        return render(served.messages, served.variables, variables, served.documents)

    def render_text(self, **variables: Json) -> str:
        """Return the text of a prompt of one message, as ``render`` does; raises also ``Invalid`` if it has several."""
        self._only(self._served.messages)
        return self.render(**variables)[0]["content"]

    def _only(self, messages: list[PromptMessage]) -> PromptMessage:
        if len(messages) != 1:
            raise Invalid(f"prompt {self.name!r} has {len(messages)} messages and not one text; use messages or render")
        return messages[0]
