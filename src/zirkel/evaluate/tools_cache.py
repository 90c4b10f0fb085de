"""Answers of models that are used again: the same question, asked again, costs nothing."""

from decimal import Decimal
from typing import Protocol, cast

import msgspec

from zirkel.core import Json, digest
from zirkel.evaluate.chat import Chat, ChatAnswer, ChatRequest
from zirkel.lib.named_locks import NamedLocks

_SERVICE = "service:"
_LOCKS = 1024


class KeptAnswer(msgspec.Struct, frozen=True):
    """What a model said once."""

    text: str
    cost_usd: Decimal | None
    """What it cost then; ``None`` if it is unknown."""
    trace_id: str


class AnswerShelf(Protocol):
    """Where answers are kept. One that cannot be read or written holds nothing; it never raises."""

    def get(self, key: str) -> KeptAnswer | None:
        """Return the answer under a ``request_key``."""
        ...

    def put(self, project_id: str, key: str, answer: KeptAnswer) -> None:
        """Keep an answer of a project, or not."""
        ...


class CachedChat:
    """Asks only what was not asked before. Thread safe. A ``Chat``."""

    def __init__(self, chat: Chat, shelf: AnswerShelf) -> None:
        self._chat = chat
        self._shelf = shelf
        self._locks = NamedLocks(_LOCKS)

    def chat(self, request: ChatRequest) -> ChatAnswer:
        """Return the kept answer, at no cost, or ask; raises what the asking raises.

        An answer that the request calls unusable is not kept, and neither is a service's: what answers under its name
        changes with each release. Of several threads that ask the same, one does.
        """
        if request.model.startswith(_SERVICE):
            return self._chat.chat(request)
        key = request_key(request)
        with self._locks.hold([key]):
            kept = self._shelf.get(key)
            if kept is not None and request.is_usable(kept.text):
                return ChatAnswer(kept.text, Decimal(0), kept.trace_id, is_cached=True)
            found = self._chat.chat(request)
            if request.is_usable(found.text):
                self._shelf.put(request.project_id, key, KeptAnswer(found.text, found.cost_usd, found.trace_id))
            return found


def request_key(request: ChatRequest) -> str:
    """Return the digest of what is asked: project, model, messages, parameters and attempt; 64 hex digits."""
    asked = {
        "project": request.project_id,
        "model": request.model,
        "messages": [[message.role, message.content] for message in request.messages],
        "parameters": cast(Json, dict(request.parameters)),
        "attempt": request.attempt,
    }
    return digest(asked)
