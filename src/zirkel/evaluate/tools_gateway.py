"""One call of a model through the gateway: priced, limited and recorded like any other, and marked as a judge's."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import quote

import httpx

from zirkel.core import derived_trace_id, judging_trace_id, new_span_id
from zirkel.evaluate.chat import ChatAnswer, ChatRequest

_TRANSIENT = frozenset({402, 408, 409, 425, 429, 500, 502, 503, 504, 529})
_SAID_CHARACTERS = 200
_FREE = Decimal(0)


@dataclass(frozen=True, slots=True)
class ChatFailure:
    """There was no answer."""

    message: str
    is_transient: bool
    """Asking again may work."""
    cost_usd: Decimal | None = _FREE
    """``None`` if it is unknown whether something was used."""
    retry_after_s: float = 0.0
    """When whoever refused wants to be asked again."""


class GatewayChat:
    """Asks the gateway, once a call. Thread safe.

    ``api_key`` gives the key that Zirkel itself holds for a project; it needs the role ``admin``.
    """

    def __init__(self, base_url: str, api_key: Callable[[str], str], *, timeout_s: float = 300) -> None:
        # How many are asked at once is the experiment's to say.
        self._client = httpx.Client(
            base_url=base_url,
            timeout=httpx.Timeout(timeout_s, connect=5),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
        )
        self._api_key = api_key

    def ask(self, request: ChatRequest) -> ChatAnswer | ChatFailure:
        """Return what the model said, or why it did not; nothing is raised for what comes back."""
        body = {
            **request.parameters,
            "model": request.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        }
        try:
            response = self._client.post("/v1/chat/completions", json=body, headers=self._headers(request))
        except httpx.ConnectError as error:
            return ChatFailure(f"the gateway could not be reached: {error}", is_transient=True)
        except httpx.HTTPError as error:
            # The gateway ends a call of an experiment though nobody waits: what it costs is not known here.
            message = f"the gateway gave no answer: {type(error).__name__}: {error}"
            return ChatFailure(message, is_transient=True, cost_usd=None)
        return _failure(response) if response.status_code != 200 else _answer(response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _headers(self, request: ChatRequest) -> dict[bytes, bytes]:
        headers = {
            "authorization": f"Bearer {self._api_key(request.project_id)}",
            "x-zirkel-evaluator": request.purpose or "unnamed",
        }
        if request.experiment_id:
            headers["x-zirkel-experiment"] = request.experiment_id
            headers["x-zirkel-item"] = request.item_id
            headers["x-zirkel-trial"] = str(request.trial)
        judged = _judged_trace_id(request)
        if judged:
            headers["traceparent"] = f"00-{judging_trace_id(judged)}-{new_span_id()}-01"
        return {name.encode(): _header_value(value) for name, value in headers.items()}


def _judged_trace_id(request: ChatRequest) -> str:
    """Return the trace of the answer that is judged, empty if it has none; an experiment's is derived."""
    if request.subject_trace_id or not request.experiment_id:
        return request.subject_trace_id
    return derived_trace_id(request.experiment_id, request.item_id, str(request.trial))


def _header_value(text: str) -> bytes:
    return (text if text.isprintable() else quote(text)).strip().encode(errors="replace")


def _answer(response: httpx.Response) -> ChatAnswer | ChatFailure:
    cost_usd = _cost(response)
    try:
        content = response.json()["choices"][0]["message"].get("content")
    except (ValueError, LookupError, TypeError, AttributeError):
        said = response.text[:_SAID_CHARACTERS]
        return ChatFailure(f"the answer is no chat completion: {said}", is_transient=True, cost_usd=cost_usd)
    if content is not None and not isinstance(content, str):
        said = response.text[:_SAID_CHARACTERS]
        return ChatFailure(f"the answer is no text: {said}", is_transient=True, cost_usd=cost_usd)
    return ChatAnswer(content or "", cost_usd, response.headers.get("x-zirkel-trace-id", ""))


def _failure(response: httpx.Response) -> ChatFailure:
    return ChatFailure(
        f"HTTP {response.status_code}: {_message(response)}",
        is_transient=response.status_code in _TRANSIENT,
        cost_usd=_cost(response),
        retry_after_s=_retry_after_s(response),
    )


def _message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return response.text[:_SAID_CHARACTERS]


def _cost(response: httpx.Response) -> Decimal | None:
    try:
        found = Decimal(response.headers.get("x-zirkel-cost-usd", "unknown"))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _retry_after_s(response: httpx.Response) -> float:
    """Return the seconds of ``Retry-After``; the gateway sends no dates. Source: RFC 9110, section 10.2.3."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0.0
