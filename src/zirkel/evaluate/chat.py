"""Asking a model for something other than an answer under test: judges, and what writes test cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

from zirkel.core import JsonObject

_FREE = Decimal(0)


class TransientFailure(Exception):
    """A model could not be asked now; asking again later may work. ``str()`` says what happened."""

    def __init__(self, message: str, *, cost_usd: Decimal | None = _FREE) -> None:
        super().__init__(message)
        self.cost_usd = cost_usd
        """What the attempts cost all the same; ``None`` if it is unknown."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call. The same request has the same answer from the cache."""

    project_id: str
    model: str
    """``UPSTREAM/MODEL``, as the gateway knows it, or ``service:NAME``."""
    messages: Sequence[ChatMessage]
    parameters: JsonObject = field(default_factory=dict)
    """Sent as they are, e.g. ``temperature``, ``response_format``."""
    purpose: str = ""
    """Name of the evaluator that asks; stands in the trace. Filled in by ``score_subject`` if empty."""
    experiment_id: str = ""
    item_id: str = ""
    trial: int = 0
    attempt: int = 0
    """Asking the same again on purpose (a juror's second vote) has another number, and its own answer in the cache."""
    subject_trace_id: str = ""
    """Trace of the answer that is judged; the judge's calls are in another one, ``core.judging_trace_id``."""
    is_usable: Callable[[str], bool] = field(default=bool, compare=False)
    """Whether a text answers the question: what does not is not kept in the cache."""


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What the model said."""

    text: str
    cost_usd: Decimal | None
    """``None`` if the price is unknown; 0 from the cache."""
    trace_id: str
    is_cached: bool = False


class Chat(Protocol):
    """Asks models."""

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Ask a model; see ``evaluators.kind.Tools``.

        Raises:
            TransientFailure: If the model could not be reached or was overloaded, after retries.
            Invalid: If the request can never succeed.
        """
        ...
