"""The SDK, and the REST API as a Python object. Light: each name is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zirkel.client.evaluating import evaluate
    from zirkel.client.http import Client, Unreachable
    from zirkel.client.observing import observe
    from zirkel.client.outbox import Delivery
    from zirkel.client.prompts import Prompt
    from zirkel.client.sdk import (
        current_trace_id,
        delivery,
        flush,
        init,
        prompt,
        score,
        shutdown,
        trace_headers,
        update_current,
    )

__all__ = [
    "Client",
    "Delivery",
    "Prompt",
    "Unreachable",
    "current_trace_id",
    "delivery",
    "evaluate",
    "flush",
    "init",
    "observe",
    "prompt",
    "score",
    "shutdown",
    "trace_headers",
    "update_current",
]

_ELSEWHERE = {
    "Client": "http",
    "Unreachable": "http",
    "Delivery": "outbox",
    "Prompt": "prompts",
    "evaluate": "evaluating",
    "observe": "observing",
}
"""Modules of the names that ``sdk`` does not have."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'sdk')}"), name)
