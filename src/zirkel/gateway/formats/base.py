"""The hub form and what a wire format does with it. Pure: no I/O, no clock.

The hub form is OpenAI's Chat Completions as parsed JSON: its request, its answer, its stream chunks. Whatever a caller
speaks is read into it, whatever an upstream speaks is written from it, and every answer is recorded from it, also one
that is passed on unchanged. Extensions of the hub form, each absent where there is nothing to say:

* message ``reasoning_content`` (text), delta ``reasoning_content``
* ``usage.prompt_tokens_details``: ``cached_tokens``, ``cache_write_tokens``, ``cache_write_1h_tokens``,
  ``audio_tokens``, ``image_tokens``; ``usage.completion_tokens_details``: ``reasoning_tokens``, ``audio_tokens``,
  ``image_tokens``. As with OpenAI, details are parts of ``prompt_tokens`` and ``completion_tokens``.

Source: OpenAI API reference, chat/object and chat/streaming.
"""

from typing import Protocol

from zirkel.core import JsonObject
from zirkel.lib.sse import SseEvent


class StreamReader(Protocol):
    """Reads one answer's stream."""

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Return the hub chunks (``chat.completion.chunk``) that an event brings, often none.

        An error event becomes a chunk with a top-level ``error`` object (``message``, ``type``, ``code``).
        """
        ...

    def finish(self) -> list[JsonObject]:
        """Return what the end of the body brings. An answer that ended well has had a finish reason by now."""
        ...


class StreamWriter(Protocol):
    """Writes one answer's stream to a caller, as whole events."""

    def write(self, chunk: JsonObject) -> bytes:
        """Return the bytes for a hub chunk, maybe none."""
        ...

    def end(self) -> bytes:
        """Return the bytes that end a good stream."""
        ...

    def fail(self, message: str, *, status: int, code: str) -> bytes:
        """Return the bytes that end a stream, begun or not, with an error in the format's own shape."""
        ...


class UpstreamFormat(Protocol):
    """A format that upstreams speak."""

    def write_request(self, hub: JsonObject) -> JsonObject:
        """Return the request body for a hub request; the model's name stays in ``model`` where the format has one.

        Raises:
            Invalid: If it asks for what the format cannot say, with the field's path.
        """
        ...

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return a whole answer in hub form.

        Raises:
            ValueError: If it is no answer of this format.
        """
        ...

    def stream_reader(self) -> StreamReader:
        """Return a reader for one answer."""
        ...


class CallerFormat(Protocol):
    """A format that callers speak."""

    def read_request(self, body: JsonObject) -> JsonObject:
        """Return the hub request of a body; members the format does not share with the hub's are translated.

        Raises:
            Invalid: If it is malformed, or says what the hub form cannot, with the field's path.
        """
        ...

    def write_answer(self, hub: JsonObject, request: JsonObject) -> JsonObject:
        """Return the body of a whole answer to ``request`` (the caller's own body)."""
        ...

    def stream_writer(self, request: JsonObject) -> StreamWriter:
        """Return a writer for one answer to ``request`` (the caller's own body)."""
        ...

    def error_body(self, message: str, *, status: int, code: str, param: str | None = None) -> bytes:
        """Return the JSON body of an error as the format's own clients read it."""
        ...
