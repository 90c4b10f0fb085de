"""The wire format ``chat``: OpenAI's Chat Completions, which is the hub form itself.

Source: OpenAI API reference, chat/create, chat/object and chat/streaming; OpenAI, "Error codes".
"""

import msgspec

from zirkel.core import JsonObject
from zirkel.lib.sse import SseEvent, encode_event

_DONE = b"[DONE]"
_ERROR_TYPES = {
    401: "authentication_error", 402: "insufficient_quota", 403: "permission_error", 429: "rate_limit_error",
    502: "upstream_error",
}  # fmt: skip
_objects = msgspec.json.Decoder(JsonObject)


def openai_error(message: str, *, status: int, code: str, param: str | None = None) -> JsonObject:
    """Return an error as OpenAI's clients read it: ``{"error": {…}}``; its ``type`` follows from the HTTP status."""
    kind = _ERROR_TYPES.get(status) or ("invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


class ChatFormat:
    """The hub form as it is, in both roles. Stateless."""

    def write_request(self, hub: JsonObject) -> JsonObject:
        """Return ``hub``."""
        return hub

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return ``body``.

        Raises:
            ValueError: If it has no choices.
        """
        if not isinstance(body.get("choices"), list):
            raise ValueError("not a chat completion: it has no choices")
        return body

    def stream_reader(self) -> "ChatStreamReader":
        """Return a reader, which passes chunks on."""
        return ChatStreamReader()

    def read_request(self, body: JsonObject) -> JsonObject:
        """Return ``body``, which is checked where its members are used."""
        return body

    def write_answer(self, hub: JsonObject, request: JsonObject) -> JsonObject:  # noqa: ARG002 (as every format)
        """Return ``hub``."""
        return hub

    def stream_writer(self, request: JsonObject) -> "ChatStreamWriter":
        """Return a writer for one answer."""
        return ChatStreamWriter(request)

    def error_body(self, message: str, *, status: int, code: str, param: str | None = None) -> bytes:
        """Return the JSON body of an error."""
        return msgspec.json.encode(openai_error(message, status=status, code=code, param=param))


class ChatStreamReader:
    """Reads hub chunks, which is what the events hold; what is no JSON object is passed over."""

    def feed(self, event: SseEvent) -> list[JsonObject]:
        """Return the chunk of an event, if it has one."""
        if event.data is None or event.data.strip() == _DONE:
            return []
        try:
            return [_objects.decode(event.data)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []

    def finish(self) -> list[JsonObject]:
        """Return nothing: a good stream ended with its last event."""
        return []


class ChatStreamWriter:
    """Writes hub chunks as they are. The chunk with nothing but usage is only for those who asked for it."""

    def __init__(self, request: JsonObject) -> None:
        options = request.get("stream_options")
        self._wants_usage = isinstance(options, dict) and options.get("include_usage") is True

    def write(self, chunk: JsonObject) -> bytes:
        """Return the event of a chunk, or nothing."""
        is_usage_only = not chunk.get("choices") and chunk.get("usage") is not None
        if is_usage_only and not self._wants_usage:
            return b""
        return encode_event(msgspec.json.encode(chunk))

    def end(self) -> bytes:
        """Return the event that ends a good stream."""
        return encode_event(_DONE)

    def fail(self, message: str, *, status: int, code: str) -> bytes:
        """Return the event that ends a stream with an error; no ``[DONE]`` follows."""
        return encode_event(msgspec.json.encode(openai_error(message, status=status, code=code)))
