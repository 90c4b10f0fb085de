"""Any endpoint that speaks OpenAI's chat completions, asked directly."""

from collections.abc import Mapping, Sequence

from zirkel.core import Clock, JsonObject, new_span_id
from zirkel.evaluate.ports import Answer, Question
from zirkel.evaluate.systems.completion import read_completion
from zirkel.evaluate.systems.json_client import JsonClient, Unreached
from zirkel.evaluate.systems.templates import fill


class OpenAiSystem:
    """Asks a model with messages made of an item's input. What it costs is not known here."""

    def __init__(
        self,
        base_url: str,
        model: str,
        messages: Sequence[Mapping[str, str]],
        clock: Clock,
        *,
        api_key: str = "",
        parameters: JsonObject | None = None,
        timeout_s: float = 300,
    ) -> None:
        """Prepare.

        Args:
            base_url: Up to and with ``/v1``.
            model: As the endpoint calls it.
            messages: ``role`` and ``content``; in the content ``{{ name }}`` stands for a variable of the input.
            clock: Says how long answers take.
            api_key: Sent as a bearer token; none if empty.
            parameters: Sent as they are, e.g. ``temperature``.
            timeout_s: How long one answer may take.
        """
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._model = model
        self._messages = [dict(message) for message in messages]
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._parameters = dict(parameters or {})
        self._client = JsonClient(clock, timeout_s=timeout_s)

    async def ask(self, question: Question) -> Answer:
        """Return the answer."""
        body = {**self._parameters, "model": self._model, "messages": fill(self._messages, question.variables)}
        headers = {**self._headers, "traceparent": f"00-{question.trace_id}-{new_span_id()}-01"}
        try:
            reply = await self._client.post(self._url, headers, body)
        except Unreached as error:
            return Answer("", error=f"the endpoint could not be reached: {error}")
        return read_completion(reply)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
