"""A release as the gateway serves it: priced, traced and recorded like any other call."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import httpx

from zirkel.core import Clock, new_span_id
from zirkel.evaluate.ports import Answer, Question


class GatewaySystem:
    """Asks the gateway, pinned to one release.

    ``api_key`` gives the key that Zirkel itself holds for a project.
    """

    def __init__(self, base_url: str, api_key: Callable[[str], str], clock: Clock, *, timeout_s: float = 300) -> None:
        self._client = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_s, connect=5),
            trust_env=False,
        )
        self._api_key = api_key
        self._clock = clock

    def ask(self, question: Question) -> Answer:
        """Return the answer of the question's release; an answer given by a fallback counts as none."""
        started_ns = self._clock.now_ns()
        body = {"model": f"service:{question.service}", "zirkel": {"variables": dict(question.variables)}}
        headers = {
            "authorization": f"Bearer {self._api_key(question.project_id)}",
            "x-zirkel-release": question.release,
            "x-zirkel-experiment": question.experiment_id,
            "x-zirkel-item": question.item_id,
            "x-zirkel-trial": str(question.trial),
            "traceparent": f"00-{question.trace_id}-{new_span_id()}-01",
        }
        try:
            response = self._client.post("/v1/chat/completions", json=body, headers=headers)
            payload = response.json()
        except httpx.HTTPError as error:
            return Answer("", error=f"the gateway could not be reached: {type(error).__name__}: {error}")
        except ValueError as error:
            return Answer("", error=f"HTTP {response.status_code} without JSON: {error}")
        duration_ms = (self._clock.now_ns() - started_ns) / 1e6
        if response.status_code != 200:
            return Answer("", error=f"HTTP {response.status_code}: {_message(response)}", duration_ms=duration_ms)
        if response.headers.get("x-zirkel-fallback", "0") != "0":
            model = response.headers.get("x-zirkel-model", "")
            return Answer("", error=f"the release's own model failed; its fallback {model} answered")
        try:
            output = payload["choices"][0]["message"].get("content") or ""
        except (LookupError, TypeError, AttributeError):
            return Answer("", error=f"the answer is no chat completion: {response.text[:200]}", duration_ms=duration_ms)
        if not isinstance(output, str):
            return Answer("", error=f"the answer is no text: {response.text[:200]}", duration_ms=duration_ms)
        cost = _decimal(response.headers.get("x-zirkel-cost-usd", "unknown"))
        return Answer(output, cost_usd=cost, duration_ms=duration_ms)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return response.text[:200]


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
