"""A release as the gateway serves it: priced, traced and recorded like any other call."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from urllib.parse import quote

from zirkel.core import Clock, new_span_id
from zirkel.evaluate.ports import Answer, Question
from zirkel.evaluate.systems.completion import read_completion
from zirkel.evaluate.systems.json_client import JsonClient, Unreached


class GatewaySystem:
    """Asks the gateway, pinned to one release.

    ``api_key`` gives the key that Zirkel itself holds for a project.
    """

    def __init__(self, base_url: str, api_key: Callable[[str], str], clock: Clock, *, timeout_s: float = 300) -> None:
        self._url = f"{base_url.rstrip('/')}/v1/chat/completions"
        self._client = JsonClient(clock, timeout_s=timeout_s)
        self._api_key = api_key

    async def ask(self, question: Question) -> Answer:
        """Return the answer of the question's release; an answer given by a fallback counts as none."""
        body = {"model": f"service:{question.service}", "zirkel": {"variables": dict(question.variables)}}
        headers = {
            "authorization": f"Bearer {self._api_key(question.project_id)}",
            "x-zirkel-release": question.release,
            "x-zirkel-experiment": question.experiment_id,
            "x-zirkel-item": _header_value(question.item_id),
            "x-zirkel-trial": str(question.trial),
            "traceparent": f"00-{question.trace_id}-{new_span_id()}-01",
        }
        try:
            reply = await self._client.post(self._url, headers, body)
        except Unreached as error:
            return Answer("", error=f"the gateway could not be reached: {error}")
        if reply.status == 200 and reply.headers.get("x-zirkel-fallback", "0") != "0":
            model = reply.headers.get("x-zirkel-model", "")
            return Answer("", error=f"the release's own model failed; its fallback {model} answered")
        answer = read_completion(reply)
        return (
            answer if answer.error else replace(answer, cost_usd=_decimal(reply.headers.get("x-zirkel-cost-usd", "")))
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _header_value(text: str) -> str:
    return text if text.isascii() and text.isprintable() else quote(text)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
