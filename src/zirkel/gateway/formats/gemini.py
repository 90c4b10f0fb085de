"""Gemini's ``generateContent`` and ``streamGenerateContent?alt=sse``, as a format that upstreams speak.

Source: Gemini API reference, ``models.generateContent``.
"""

from zirkel.core import JsonObject
from zirkel.gateway.formats.gemini_answer import GeminiStreamReader, read_answer
from zirkel.gateway.formats.gemini_request import write_request


class GeminiFormat:
    """The upstream format ``gemini``. Stateless.

    A call that Gemini gives no id gets one that is made from the answer, always the same. The seal of the thoughts
    behind a call is kept as ``extra_content.google.thought_signature`` of the tool call, where Google's own
    OpenAI-shaped API has it; callers who send it back keep the model's train of thought.
    """

    def write_request(self, hub: JsonObject) -> JsonObject:
        """Return the request body; the model's name is in the address and not here.

        System messages become the system instruction, wherever in the conversation they are. ``strict`` of a function
        and hints are left out.

        Raises:
            Invalid: If it asks for what Gemini cannot say, with the field's path.
        """
        return write_request(hub)

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return a whole answer in hub form; a blocked prompt is an answer that ended with ``content_filter``.

        Raises:
            ValueError: If it is no answer of Gemini, or the model ended without one, e.g. by a malformed call.
        """
        return read_answer(body)

    def stream_reader(self) -> GeminiStreamReader:
        """Return a reader for one answer."""
        return GeminiStreamReader()
