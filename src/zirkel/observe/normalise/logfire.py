"""Logfire's own instrumentations of model clients: the request and the answer as objects, beside GenAI names."""

from dataclasses import replace

from zirkel.lib.otlp import DecodedSpan, JsonLike
from zirkel.observe.normalise.answers import answer_finish_reason, answer_messages
from zirkel.observe.normalise.attributes import Attributes, as_mapping, as_text
from zirkel.observe.normalise.messages import to_messages, to_tools
from zirkel.observe.normalise.reading import Reading, filled
from zirkel.observe.normalise.usages import counts_of

_PARAMETERS = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop", "n")


def read(span: DecodedSpan, attributes: Attributes) -> Reading:  # noqa: ARG001 (every dialect has this signature)
    """Return what ``request_data``, ``response_data`` and the provider's own usage say."""
    request, response = attributes.mapping("request_data"), attributes.mapping("response_data")
    streamed = as_text(response.get("combined_chunk_content"))
    answer: JsonLike = streamed or response.get("message") or None
    sent = to_messages(request)
    usage = attributes.mapping("gen_ai.usage.raw") or as_mapping(response.get("usage"))
    flag = request.get("stream")
    return Reading(
        request_model=as_text(request.get("model")),
        parameters={name: value for name in _PARAMETERS if (value := request.get(name)) is not None},
        finish_reason=answer_finish_reason(response),
        is_stream=flag if isinstance(flag, bool) else None,
        counts=counts_of(usage),
        input=sent if isinstance(sent, list) else None,
        output=answer_messages(answer) if answer else None,
        tools=to_tools(request.get("tools")),
    )


def completed(reading: Reading, span: DecodedSpan, attributes: Attributes) -> Reading:
    """Return a GenAI reading with what only Logfire's objects say; of usage the provider's own comes first."""
    if attributes.families.isdisjoint(("request_data", "response_data")):
        return reading
    own = read(span, attributes)
    return replace(filled(reading, own), counts=filled(own, reading).counts)
