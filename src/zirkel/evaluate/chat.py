"""Asking a model for something other than an answer under test: judges, and what writes test cases."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from zirkel.core import JsonObject


class TransientFailure(Exception):
    """A model could not be asked now; asking again later may work. ``str()`` says what happened."""


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
    """Name of the evaluator that asks; stands in the trace."""
    experiment_id: str = ""
    item_id: str = ""
    trial: int = 0
    attempt: int = 0
    """Asking the same again on purpose (a juror's second vote) has another number, and its own answer in the cache."""


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What the model said."""

    text: str
    cost_usd: Decimal | None
    """``None`` if the price is unknown; 0 from the cache."""
    trace_id: str
    is_cached: bool = False
