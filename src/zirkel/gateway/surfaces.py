"""What callers may speak: each path with its wire format and what kind of model work it asks for."""

from collections.abc import Mapping
from dataclasses import dataclass

from zirkel.core import SpanKind
from zirkel.gateway.formats.base import CallerFormat, UpstreamFormat
from zirkel.gateway.formats.chat import ChatFormat
from zirkel.gateway.formats.completions import CompletionsFormat
from zirkel.gateway.formats.converse import ConverseFormat
from zirkel.gateway.formats.embeddings import EmbeddingsFormat
from zirkel.gateway.formats.gemini import GeminiFormat
from zirkel.gateway.formats.messages import MessagesFormat
from zirkel.gateway.formats.responses import ResponsesFormat


@dataclass(frozen=True, slots=True)
class Surface:
    """One thing that callers may ask for."""

    format_name: str
    caller: CallerFormat
    """Writes errors and translated answers."""
    kind: SpanKind
    operation: str
    """``gen_ai.operation.name``."""
    input_member: str
    """The body's member that holds what is asked."""
    is_chat: bool = True
    """It can be said in the hub form, so it may be translated, rendered from a prompt, cached and guarded."""


_CHAT = ChatFormat()
_MESSAGES = MessagesFormat()
_RESPONSES = ResponsesFormat()

CHAT = Surface("chat", _CHAT, SpanKind.CHAT, "chat", "messages")
SURFACES: Mapping[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": Surface("responses", _RESPONSES, SpanKind.CHAT, "chat", "input"),
    "/v1/messages": Surface("messages", _MESSAGES, SpanKind.CHAT, "chat", "messages"),
    "/v1/completions": Surface("completions", _CHAT, SpanKind.COMPLETION, "text_completion", "prompt", is_chat=False),
    "/v1/embeddings": Surface("embeddings", _CHAT, SpanKind.EMBEDDING, "embeddings", "input", is_chat=False),
}
COUNT_TOKENS_PATH = "/v1/messages/count_tokens"

UPSTREAM_FORMATS: Mapping[str, UpstreamFormat] = {
    "chat": _CHAT,
    "responses": _RESPONSES,
    "messages": _MESSAGES,
    "gemini": GeminiFormat(),
    "converse": ConverseFormat(),
    "completions": CompletionsFormat(),
    "embeddings": EmbeddingsFormat(),
}
"""Every format whose answers can be read."""
