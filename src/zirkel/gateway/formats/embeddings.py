"""The wire format ``embeddings``: OpenAI's embeddings, which are passed on and read for the record only.

Source: OpenAI API reference, embeddings/create.
"""

from typing import NoReturn

import msgspec

from zirkel.core import Invalid, JsonObject
from zirkel.lib.sse import SseEvent


class _Answer(msgspec.Struct, frozen=True):
    data: list[object]
    model: str | None = None
    usage: JsonObject | None = None


class EmbeddingsFormat:
    """Reads embeddings. Stateless."""

    def write_request(self, hub: JsonObject) -> NoReturn:  # noqa: ARG002 (as every format)
        """Refuse: embeddings answer no chat.

        Raises:
            Invalid: Always.
        """
        raise Invalid("embeddings answer no chat; use a model whose upstream speaks chat")

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return an answer in hub form: no choices, and a usage whose completion has no tokens.

        The vectors are left out: they are large, and of no use to a reader.

        Raises:
            ValueError: If it is no list of embeddings.
        """
        try:
            found = msgspec.convert(body, _Answer)
        except msgspec.ValidationError as error:
            raise ValueError(f"not embeddings: {error}") from None
        usage = None if found.usage is None else {**found.usage, "completion_tokens": 0}
        return {"object": "chat.completion", "model": found.model or "", "choices": [], "usage": usage}

    def stream_reader(self) -> "EmbeddingsStreamReader":
        """Return a reader that finds nothing: embeddings are not streamed."""
        return EmbeddingsStreamReader()


class EmbeddingsStreamReader:
    """Reads nothing."""

    def feed(self, event: SseEvent) -> list[JsonObject]:  # noqa: ARG002 (as every format)
        """Return nothing."""
        return []

    def finish(self) -> list[JsonObject]:
        """Return nothing."""
        return []
