"""The wire format ``responses``: OpenAI's Responses API, for callers and for upstreams.

Source: OpenAI API reference, responses and responses-streaming.
"""

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import responses_answer, responses_request, responses_send
from zirkel.gateway.formats.chat import openai_error
from zirkel.gateway.formats.responses_stream_read import ResponsesStreamReader
from zirkel.gateway.formats.responses_stream_write import ResponsesStreamWriter


class ResponsesFormat:
    """Reads and writes the Responses API. Stateless."""

    def read_request(self, body: JsonObject) -> JsonObject:
        """Return the hub request of a body.

        Instructions become the first message; calls of one turn become members of one message. Left out: ``store``,
        since nothing is kept here, what was thought in earlier turns, and hints such as ``include`` and
        ``max_tool_calls``. ``max_output_tokens`` becomes ``max_completion_tokens``, since both count what is thought.

        Raises:
            Invalid: If it is malformed, or says what the hub form cannot, with the field's path: what refers to an
                upstream's state (``previous_response_id``, ``conversation``, ``prompt``, ``item_reference``, files by
                id or URL), ``background``, tools that run at one provider, log probabilities.
        """
        return responses_request.read_request(body)

    def write_answer(self, hub: JsonObject, request: JsonObject) -> JsonObject:
        """Return the response object of a hub answer's first choice.

        Raises:
            ValueError: If ``hub`` is no chat completion.
        """
        return responses_answer.write_answer(hub, request)

    def stream_writer(self, request: JsonObject) -> ResponsesStreamWriter:
        """Return a writer for one answer."""
        return ResponsesStreamWriter(request)

    def error_body(self, message: str, *, status: int, code: str, param: str | None = None) -> bytes:
        """Return the JSON body of an error, in OpenAI's shape."""
        return msgspec.json.encode(openai_error(message, status=status, code=code, param=param))

    def write_request(self, hub: JsonObject) -> JsonObject:
        """Return the Responses request of a hub request. ``store`` is false: the conversation stays with the caller.

        Hints such as ``seed`` and ``prediction``, ``stream_options`` and unknown members are dropped.

        Raises:
            Invalid: If it is malformed, or asks for what would change the answer and cannot be said: several choices,
                stop sequences, penalties, ``logit_bias``, log probabilities, audio, legacy functions, other tools than
                functions; with the field's path.
        """
        return responses_send.write_request(hub)

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return an answer in hub form; what built-in tools did is left out. An unfinished one has no finish reason.

        Raises:
            ValueError: If it is no response object, or tells that the answer failed.
        """
        return responses_answer.read_answer(body)

    def stream_reader(self) -> ResponsesStreamReader:
        """Return a reader for one answer."""
        return ResponsesStreamReader()
