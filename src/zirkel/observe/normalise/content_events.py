"""Messages that came as events: of spans, of the logs signal, or listed in an attribute.

Source: GenAI conventions up to 1.36 (``gen_ai.user.message`` …) and 1.27 (``gen_ai.content.prompt``).
"""

from collections.abc import Iterable

from zirkel.lib.otlp import DecodedEvent, JsonLike
from zirkel.observe.normalise.attributes import as_count, as_list, as_mapping, as_text, parse_json
from zirkel.observe.normalise.messages import Message, text_message, to_messages, typed_parts

CONTENT_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
"""Events that carry one message, and whose it is if the message does not say so."""
CHOICE = "gen_ai.choice"

Bodies = Iterable[tuple[str, Message]]
"""Names and fields of events, in order."""


def span_event_bodies(events: Iterable[DecodedEvent]) -> list[tuple[str, Message]]:
    """Return the events of a span that can carry content."""
    return [(event.name, event.attributes) for event in events if event.name.startswith("gen_ai.")]


def listed_bodies(value: JsonLike) -> list[tuple[str, Message]]:
    """Return the events in Pydantic AI's ``events`` and ``all_messages_events`` attributes."""
    return [(as_text(body.get("event.name")), body) for body in map(as_mapping, as_list(value))]


def event_messages(bodies: Bodies) -> tuple[JsonLike, JsonLike]:
    """Return input and output messages; ``None`` where there is none. Choices are in order of their index."""
    given: list[JsonLike] = []
    answers: list[tuple[int, list[JsonLike]]] = []
    for name, body in bodies:
        if name == "gen_ai.content.prompt":
            given.extend(_listed(as_messages(parse_json(body.get("gen_ai.prompt")), "user")))
        elif name == "gen_ai.content.completion":
            answers.append((0, _listed(as_messages(parse_json(body.get("gen_ai.completion")), "assistant"))))
        elif role := CONTENT_EVENTS.get(name):
            messages = _listed(to_messages(_event_message(body, role)))
            if name == CHOICE:
                answers.append((as_count(body.get("index")) or 0, messages))
            else:
                given.extend(messages)
    answer = [message for _, messages in sorted(answers, key=lambda one: one[0]) for message in messages]
    return given or None, answer or None


def as_messages(value: JsonLike, role: str) -> JsonLike:
    """Return the messages of a value that may be plain text, which is then one message of ``role``."""
    found = to_messages(value)
    return [text_message(role, found)] if isinstance(found, str) and found else found or None


def _event_message(body: Message, role: str) -> Message:
    message = as_mapping(body.get("message"))
    if not message and isinstance(body.get("message"), str):
        message = {"content": body["message"]}
    fields = {key: parse_json(value) if key == "tool_calls" else value for key, value in body.items()}
    merged: Message = {"role": role, **fields, **message}
    merged.pop("message", None)
    merged["content"] = typed_parts(merged.get("content"))
    if role == "tool" and "tool_call_id" not in merged:
        merged["tool_call_id"] = merged.get("id")
    return {key: value for key, value in merged.items() if "." not in key}


def _listed(value: JsonLike) -> list[JsonLike]:
    return value if isinstance(value, list) else []
