"""The wire format ``messages``: Anthropic's Messages API, for callers and for upstreams.

Source: Anthropic API reference, Messages (POST /v1/messages).
"""

import msgspec

from zirkel.core import JsonObject
from zirkel.gateway.formats import messages_answer, messages_request_read, messages_request_write
from zirkel.gateway.formats.messages_stream_read import MessagesStreamReader
from zirkel.gateway.formats.messages_stream_write import MessagesStreamWriter


class MessagesFormat:
    """Reads and writes the Messages API. Stateless."""

    def read_request(self, body: JsonObject) -> JsonObject:
        """Return the hub request of a body.

        Left out, since no other model could use it: what was thought in earlier turns, and marks for the cache. A
        failed tool's result begins with ``Error:``; images among results follow in the user's own message. ``thinking``
        and ``output_config.effort`` become ``reasoning_effort`` (see ``messages_effort.effort_of``), ``max_tokens``
        becomes ``max_completion_tokens``, since both count what is thought. ``top_k`` keeps its name.

        Raises:
            Invalid: If it is malformed, or asks for what the hub form cannot say (tools that run at Anthropic,
                documents by URL or with citations, files), with the field's path.
        """
        return messages_request_read.read_request(body)

    def write_answer(self, hub: JsonObject, request: JsonObject) -> JsonObject:
        """Return the message of a hub answer's first choice.

        Raises:
            ValueError: If ``hub`` is no chat completion.
        """
        return messages_answer.write_answer(hub, request)

    def stream_writer(self, request: JsonObject) -> MessagesStreamWriter:
        """Return a writer for one answer."""
        return MessagesStreamWriter(request)

    def error_body(self, message: str, *, status: int, code: str, param: str | None = None) -> bytes:
        """Return the JSON body of an error, its ``type`` by the HTTP status."""
        return msgspec.json.encode(messages_answer.error_object(message, status=status, code=code, param=param))

    def write_request(self, hub: JsonObject) -> JsonObject:
        """Return the Messages request of a hub request.

        * System and developer messages become ``system``, wherever they are; neighbours of one role become one turn.
        * Without a limit, ``max_tokens`` is 4,096 and a thinking budget on top of it.
        * ``reasoning_effort`` becomes ``thinking`` and, from Claude 4.6 on, ``output_config.effort`` (see
          ``messages_effort``); not where a tool must be called, nor as a budget where tool results come last, since
          Anthropic refuses both. ``temperature``, ``top_p`` and ``top_k`` are left out beside it for the same reason; a
          temperature over 1 is 1. A member ``thinking`` is passed on as it is, and counts before the effort.
        * ``response_format`` of a schema becomes ``output_config.format``; ``json_object`` becomes an instruction, as
          Anthropic has no other word for it.
        * Hints and unknown members are dropped.

        Raises:
            Invalid: If it is malformed, or asks for what would change the answer and cannot be said: several choices,
                log probabilities, ``logit_bias``, audio, legacy functions, tools other than functions, stop sequences
                of white space.
        """
        return messages_request_write.write_request(hub)

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return an answer in hub form; ``created`` is 0, as Anthropic does not say when.

        A choice whose answer was ended by a stop sequence has it as ``stop_reason``.

        Raises:
            ValueError: If it is no message.
        """
        return messages_answer.read_answer(body)

    def stream_reader(self) -> MessagesStreamReader:
        """Return a reader for one answer."""
        return MessagesStreamReader()
