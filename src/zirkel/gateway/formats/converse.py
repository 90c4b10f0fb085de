"""Amazon Bedrock's ``Converse`` and ``ConverseStream``, as a format that upstreams speak.

Source: Amazon Bedrock API reference, ``Converse`` and ``ConverseStream``.
"""

from zirkel.core import JsonObject
from zirkel.gateway.formats.converse_answer import ConverseStreamReader, read_answer
from zirkel.gateway.formats.converse_request import write_request


class ConverseFormat:
    """The upstream format ``converse``. Stateless.

    Its answers name neither themselves nor the model, so ``id`` and ``model`` of the hub form are empty.
    """

    def write_request(self, hub: JsonObject) -> JsonObject:
        """Return the request body; the model's name is in the address and not here.

        System messages become the system prompt, wherever in the conversation they are. Hints are left out:
        ``seed``, penalties and ``reasoning_effort``, which models have words of their own for.

        Raises:
            Invalid: If it asks for what Converse cannot say, with the field's path.
        """
        return write_request(hub)

    def read_answer(self, body: JsonObject) -> JsonObject:
        """Return a whole answer in hub form.

        Raises:
            ValueError: If it is no answer of Converse, or the model ended without one, e.g. by a malformed call.
        """
        return read_answer(body)

    def stream_reader(self) -> ConverseStreamReader:
        """Return a reader for one answer, from events that ``EventStreamParser`` cut."""
        return ConverseStreamReader()
