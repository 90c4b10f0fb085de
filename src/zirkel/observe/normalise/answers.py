"""Answers in a provider's own format as messages, and what they say beside them."""

from zirkel.lib.otlp import JsonLike
from zirkel.observe.normalise.attributes import as_list, as_mapping, as_text
from zirkel.observe.normalise.messages import Message, text_message, to_message, to_messages
from zirkel.observe.normalise.parts import first_of


def answer_messages(value: JsonLike) -> JsonLike:
    """Return the output messages of an answer, or the value if it is none.

    Understood are texts, messages, and the answers of OpenAI (chat, completions, responses), Anthropic, Gemini,
    Bedrock and LangChain. Source: the providers' API references.
    """
    if isinstance(value, str):
        return [text_message("assistant", value)]
    answer = as_mapping(value)
    found = [_from_choice(choice) for choice in _choices(answer)]
    if isinstance(answer.get("output"), dict):
        inner = as_mapping(as_mapping(answer["output"]).get("message"))
        found.append(to_message({**inner, "finish_reason": answer.get("stopReason")}))
    found.extend(to_message(item) for item in as_list(answer.get("output")))
    messages: list[JsonLike] = [message for message in found if message is not None]
    return messages or to_messages(value)


def answer_finish_reason(value: JsonLike) -> str:
    """Return why an answer ended, in its provider's words; empty if it does not say."""
    answer = as_mapping(value)
    for choice in _choices(answer):
        if reason := as_text(first_of(choice, "finish_reason", "finishReason")):
            return reason
    if answer.get("object") == "response":
        return as_text(answer.get("status"))
    return as_text(first_of(answer, "stop_reason", "stopReason"))


def _choices(answer: Message) -> list[Message]:
    listed = as_list(answer.get("choices")) or as_list(answer.get("candidates")) or as_list(answer.get("generations"))
    flat = [inner for item in listed for inner in (item if isinstance(item, list) else [item])]
    return [as_mapping(item) for item in flat]


def _from_choice(choice: Message) -> Message | None:
    message = as_mapping(choice.get("message")) or as_mapping(choice.get("content"))
    if not message and isinstance(choice.get("text"), str):
        message = {"role": "assistant", "content": choice["text"]}
    if not message:
        return None
    # Not every upstream repeats the role in what it streams.
    found = to_message(message) or to_message({"role": "assistant", **message})
    reason = as_text(first_of(choice, "finish_reason", "finishReason"))
    if found is None or not reason:
        return found
    return to_message({**found, "finish_reason": reason})
