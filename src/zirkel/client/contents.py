"""Kinds, inputs and outputs as span attributes: OpenTelemetry's GenAI names where there are any, ``zirkel.*`` else.

Source: GenAI conventions 1.38 and later: "GenAI agent spans", "Execute tool span", input and output messages.
"""

from collections.abc import Mapping, Sequence

from zirkel.client.capture import LONGEST_TEXT, capture_json
from zirkel.client.observing import ObservedKind

KIND = "zirkel.kind"
INPUT = "zirkel.input"
OUTPUT = "zirkel.output"
_OPERATIONS: Mapping[ObservedKind, str] = {
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "workflow": "invoke_workflow",
    "retriever": "retrieval",
    "chat": "chat",
    "completion": "text_completion",
    "embedding": "embeddings",
}
_NAMES: Mapping[ObservedKind, str] = {
    "agent": "gen_ai.agent.name",
    "tool": "gen_ai.tool.name",
    "workflow": "gen_ai.workflow.name",
}
_OF_MESSAGES = frozenset({"agent", "chat"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


def kind_attributes(kind: ObservedKind, name: str) -> dict[str, str]:
    """Return what a span says of its kind and of what it is named after."""
    found: dict[str, str] = {KIND: kind}
    if operation := _OPERATIONS.get(kind):
        found["gen_ai.operation.name"] = operation
    if attribute := _NAMES.get(kind):
        found[attribute] = name
    return found


def input_attributes(kind: ObservedKind, value: object) -> dict[str, str]:
    """Return what a span says of its input: of an agent and a chat as messages, if it looks like such.

    Args:
        kind: The span's kind.
        value: Arguments by name, or whatever the program says the input is.
    """
    if kind == "tool":
        return {"gen_ai.tool.call.arguments": capture_json(value)}
    if kind in _OF_MESSAGES and (messages := _messages(_only(value), "user")):
        return {"gen_ai.input.messages": capture_json(messages)}
    only = _only(value)
    if kind == "retriever" and isinstance(only, str):
        return {"gen_ai.retrieval.query.text": only[:LONGEST_TEXT]}
    return {INPUT: capture_json(value)}


def output_attributes(kind: ObservedKind, value: object) -> dict[str, str]:
    """Return what a span says of its output."""
    if kind == "tool":
        return {"gen_ai.tool.call.result": capture_json(value)}
    if kind in _OF_MESSAGES and (messages := _messages(value, "assistant")):
        return {"gen_ai.output.messages": capture_json(messages)}
    return {OUTPUT: capture_json(value)}


def _only(value: object) -> object:
    """Return the only argument there is, or the value itself."""
    return next(iter(value.values())) if isinstance(value, Mapping) and len(value) == 1 else value


def _messages(value: object, role: str) -> list[dict[str, object]] | None:
    """Return a text, or a list of messages with texts, in the conventions' schema; ``None`` for anything else."""
    if isinstance(value, str):
        return [_message(role, value)]
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray) or not value:
        return None
    messages = []
    for item in value:
        if not isinstance(item, Mapping) or set(item) - {"role", "content"} or item.get("role") not in _ROLES:
            return None
        content = item.get("content")
        if not isinstance(content, str):
            return None
        messages.append(_message(str(item["role"]), content))
    return messages


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}
