"""The wire format ``completions``: OpenAI's legacy completions, which are passed on and read for the record only.

Source: OpenAI API reference, completions/object.
"""

from typing import NoReturn

import msgspec

from zirkel.core import Invalid, JsonObject
from zirkel.lib.sse import SseEvent


class _Choice(msgspec.Struct, frozen=True):
    text: str
    index: int = 0
    finish_reason: str | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    created: float = 0
    usage: JsonObject | None = None


class _Chunk(_Completion, frozen=True):
    choices: list[_Choice] = []
    error: JsonObject | None = None


_chunks = msgspec.json.Decoder(_Chunk)


class CompletionsFormat:
    """Reads legacy completions. Stateless."""

    def write_request(self, hub: JsonObject) -> NoReturn:  # noqa: ARG002 (as every format)
        """Refuse: a prompt without roles is not what a chat says.

        Raises:
            Invalid: Always.
        """
        raise Invalid("a chat cannot be said as a legacy completion; use a model whose upstream speaks chat")

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return an answer in hub form: each choice's text is the content of a message.

        Raises:
            ValueError: If it is no completion.
        """
        try:
            found = msgspec.convert(body, _Completion)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a completion: {error}") from None
        choices = [
            {
                "index": choice.index,
                "message": {"role": "assistant", "content": choice.text},
                "finish_reason": choice.finish_reason,
            }
            for choice in found.choices
        ]
        return _head(found, "chat.completion") | {"choices": choices, "usage": found.usage}

    def stream_reader(self) -> "CompletionsStreamReader":
        """Return a reader for one answer."""
        return CompletionsStreamReader()


class CompletionsStreamReader:
    """Reads the chunks of a legacy completion; an event of another form is passed over."""

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Return the hub chunk of an event, if it has one."""
        if event.data is None:
            return []
        try:
            found = _chunks.decode(event.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []
        if found.error is not None:
            return [{"error": found.error}]
        choices = [
            {"index": choice.index, "delta": {"content": choice.text}, "finish_reason": choice.finish_reason}
            for choice in found.choices
        ]
        return [_head(found, "chat.completion.chunk") | {"choices": choices, "usage": found.usage}]

    def finish(self) -> list[JsonObject]:
        """Return nothing: a good stream ended with its last event."""
        return []


def _head(found: _Completion, kind: str) -> JsonObject:
    return {"id": found.id or "", "object": kind, "created": int(found.created), "model": found.model or ""}
