"""The texts of a hub message: what is read of it, and the message with other texts in their places."""

from collections.abc import Callable
from dataclasses import dataclass

from zirkel.core import JsonObject

SPOKEN = ("reasoning_content", "content", "refusal")
"""The members of a message, and of a stream's delta, that are text for a person; the first is not for the caller."""
TOOL_TEXTS = (("function", "arguments"), ("custom", "input"))
"""Where a tool call has text: JSON, and free text."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands in a message."""

    name: str
    """A member of ``SPOKEN``, or the kind of a tool call: ``function`` or ``custom``."""
    index: int = 0
    """Which tool call."""

    @property
    def is_json(self) -> bool:
        """True if the text is JSON: what is put into it must be written as part of a JSON string."""
        return self.name == "function"


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a message."""

    text: str
    place: Place


Edit = Callable[[Text], str]


def texts_of(message: JsonObject) -> list[Text]:
    """Return a message's texts: its content (text, or its parts of type ``text``), and its tool calls' arguments."""
    found: list[Text] = []

    def keep(text: Text) -> str:
        found.append(text)
        return text.text

    edit_texts(message, keep)
    return found


def with_texts(message: JsonObject, texts: list[str]) -> JsonObject:
    """Return the message with ``texts`` in the places of those that ``texts_of`` returns; all else is as it was."""
    remaining = iter(texts)
    return edit_texts(message, lambda _: next(remaining))


def edit_texts(message: JsonObject, edit: Edit) -> JsonObject:
    """Return a copy of the message in which each text is what ``edit`` returns for it."""
    edited = dict(message)
    for name in SPOKEN:
        if name in message:
            edited[name] = _edit_spoken(message[name], Place(name), edit)
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        edited["tool_calls"] = [_edit_tool_call(call, index, edit) for index, call in enumerate(calls)]
    return edited


def delta_with(text: str, place: Place) -> JsonObject:
    """Return a stream's delta that brings ``text`` and nothing else."""
    if place.name in SPOKEN:
        return {place.name: text}
    member = dict(TOOL_TEXTS)[place.name]
    return {"tool_calls": [{"index": place.index, place.name: {member: text}}]}


def says_anything(delta: JsonObject) -> bool:
    """Return if a stream's delta brings text or anything else, such as a role or the name of a tool."""
    calls = delta.get("tool_calls")
    if isinstance(calls, list) and any(_says_tool(call) for call in calls):
        return True
    return any(value or name not in SPOKEN for name, value in delta.items() if name != "tool_calls")


def _says_tool(call: object) -> bool:
    if not isinstance(call, dict):
        return True
    if set(call) - {"index", "type", "function", "custom"}:
        return True
    inner = [call[kind] for kind, _ in TOOL_TEXTS if isinstance(call.get(kind), dict)]
    return any(value for members in inner for value in members.values())


def _edit_tool_call(call: object, position: int, edit: Edit) -> object:
    if not isinstance(call, dict):
        return call
    edited = dict(call)
    for kind, member in TOOL_TEXTS:
        inner = call.get(kind)
        if isinstance(inner, dict) and isinstance(text := inner.get(member), str):
            index = call.get("index", position)
            edited[kind] = {**inner, member: edit(Text(text, Place(kind, index)))}
    return edited


def spoken_text(message: JsonObject) -> str:
    """Return what the message says to a person: its content, several parts joined."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(_part_text(part) for part in content) if isinstance(content, list) else ""


def with_spoken_text(message: JsonObject, text: str) -> JsonObject:
    """Return the message with ``text`` as its content, in the place of all its parts of type ``text``."""
    content = message.get("content")
    if not isinstance(content, list):
        return {**message, "content": text}
    others = [part for part in content if not _is_text_part(part)]
    return {**message, "content": [{"type": "text", "text": text}, *others]}


def newest_texts(messages: list[JsonObject]) -> list[tuple[int, str]]:
    """Return what is new in a conversation, by the message's index: what people and tools said since the last answer.

    What stands before was new in an earlier call. If the prompt's own messages are all there is, it is those.
    """
    end = len(messages)
    while end and messages[end - 1].get("role") == "assistant":
        end -= 1
    start = end
    while start and messages[start - 1].get("role") != "assistant":
        start -= 1
    turn = range(start, end)
    said = [index for index in turn if messages[index].get("role") not in ("system", "developer")]
    found = [(index, spoken_text(messages[index])) for index in said or range(len(messages))]
    return [(index, text) for index, text in found if text]


def _edit_spoken(value: object, place: Place, edit: Edit) -> object:
    if isinstance(value, str):
        return edit(Text(value, place))
    if not isinstance(value, list):
        return value
    return [{**part, "text": edit(Text(_part_text(part), place))} if _is_text_part(part) else part for part in value]


def _is_text_part(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _part_text(part: object) -> str:
    return str(part["text"]) if isinstance(part, dict) and _is_text_part(part) else ""
