import base64
import functools
from typing import cast

import botocore.session
import pytest
from botocore.validate import ParamValidator

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats.base import UpstreamFormat
from zirkel.gateway.formats.converse import ConverseFormat

FORMAT: UpstreamFormat = ConverseFormat()
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
PNG = base64.b64encode(b"\x89PNG").decode()
WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Today's weather",
        "parameters": {"properties": {"city": {"type": "string"}}},
        "strict": True,
    },
}
CALL: JsonObject = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Bonn"}'}}


@functools.cache
def converse_shape() -> object:
    """AWS's own description of a Converse request."""
    model = botocore.session.Session().get_service_model("bedrock-runtime")
    return model.operation_model("Converse").input_shape


def write(**members: object) -> JsonObject:
    defaults = {"model": CLAUDE, "messages": [{"role": "user", "content": "Hi"}]}
    found = FORMAT.write_request({**defaults, **members})
    report = ParamValidator().validate({"modelId": CLAUDE, **found}, converse_shape())
    assert not report.has_errors(), report.generate_report()
    return found


def messages(*sent: JsonObject, **members: object) -> object:
    return write(messages=list(sent), **members)["messages"]


def test_a_whole_request_is_written_as_bedrock_documents_it() -> None:
    """Source: Amazon Bedrock API reference, Converse."""
    found = write(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather in Bonn?"},
            {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "21 degrees"},
            {"role": "user", "content": [{"type": "text", "text": "And now?"}]},
        ],
        tools=[WEATHER],
        tool_choice="auto",
        temperature=1.5,
        top_p=0.9,
        max_tokens=100,
        stop="END",
        top_k=40,
        seed=7,
        presence_penalty=1,
        reasoning_effort="low",
        stream=True,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    )

    assert found == {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "Weather in Bonn?"}]},
            {
                "role": "assistant",
                "content": [
                    {"text": "Let me look."},
                    {"toolUse": {"toolUseId": "c1", "name": "get_weather", "input": {"city": "Bonn"}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "c1", "content": [{"text": "21 degrees"}]}},
                    {"text": "And now?"},
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 100, "temperature": 1.0, "topP": 0.9, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "get_weather",
                        "description": "Today's weather",
                        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
                        "strict": True,
                    }
                }
            ],
            "toolChoice": {"auto": {}},
        },
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "a"}},
            }
        },
        "additionalModelRequestFields": {"top_k": 40},
    }


def test_a_request_that_asks_for_nothing_special_is_nothing_but_messages() -> None:
    assert write(n=1, logprobs=False) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


def test_turns_alternate_and_have_no_empty_text() -> None:
    found = messages(
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": None, "refusal": "no"},
    )

    assert found == [
        {"role": "user", "content": [{"text": "a"}, {"text": "b"}, {"text": "c"}]},
        {"role": "assistant", "content": [{"text": "no"}]},
    ]


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"image": {"format": "png", "source": {"bytes": PNG}}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"audio": {"format": "wav", "source": {"bytes": "UklGRg=="}}},
        ),
        (
            {"type": "file", "file": {"filename": "a_b (1).pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
            {"document": {"format": "pdf", "name": "a b (1) pdf", "source": {"bytes": "JVBERg=="}}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:text/plain;base64,YQ=="}},
            {"document": {"format": "txt", "name": "file", "source": {"bytes": "YQ=="}}},
        ),
    ],
)
def test_media_go_along(part: JsonObject, written: JsonObject) -> None:
    found = messages({"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]})

    assert found == [{"role": "user", "content": [{"text": "What is it?"}, written]}]


def test_an_image_in_a_tools_result_goes_along() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    result: JsonObject = {"role": "tool", "tool_call_id": "c1", "content": [image]}
    found = messages({"role": "assistant", "tool_calls": [CALL]}, result, tools=[WEATHER])

    assert cast(list[JsonObject], found)[1]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [{"image": {"format": "png", "source": {"bytes": PNG}}}]}}
    ]


@pytest.mark.parametrize("call_id", ["a b", "ü", "x" * 65])
def test_an_id_that_bedrock_would_refuse_is_replaced_in_call_and_result_alike(call_id: str) -> None:
    call: JsonObject = {**CALL, "id": call_id}
    result: JsonObject = {"role": "tool", "tool_call_id": call_id, "content": ""}
    found = messages({"role": "assistant", "tool_calls": [call]}, result, tools=[WEATHER])

    match found:
        case [
            {"content": [{"toolUse": {"toolUseId": str(called)}}]},
            {"content": [{"toolResult": {"toolUseId": answered}}]},
        ]:
            assert called == answered != call_id
            assert len(called) <= 64
            assert called.isascii()
        case _:
            pytest.fail(str(found))


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"tool": {"name": "get_weather"}}),
    ],
)
def test_the_choice_of_a_tool_is_said(choice: object, written: JsonObject) -> None:
    config = write(tools=[WEATHER], tool_choice=choice)["toolConfig"]

    assert cast(JsonObject, config)["toolChoice"] == written


def test_no_tool_is_said_by_naming_none() -> None:
    assert "toolConfig" not in write(tools=[WEATHER], tool_choice="none")


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    found = write(tools=[{"type": "function", "function": {"name": "now", "description": ""}}])

    spec = {"name": "now", "inputSchema": {"json": {"type": "object", "properties": {}}}}
    assert found["toolConfig"] == {"tools": [{"toolSpec": spec}]}


def test_the_end_of_a_cacheable_prefix_is_marked_for_models_that_know_it() -> None:
    """Source: Amazon Bedrock user guide, prompt caching."""
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    sent: JsonObject = {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": "Hi"},
        ],
        "tools": [{**WEATHER, **mark}],
    }

    cached, other = write(**sent), write(**{**sent, "model": "mistral.mistral-large-2407-v1:0"})

    assert cached["system"] == [{"text": "Long."}, {"cachePoint": {"type": "default"}}]
    tools = cast(dict[str, list[JsonObject]], cached["toolConfig"])["tools"]
    assert tools[1:] == [{"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert other["system"] == [{"text": "Long."}]
    assert len(cast(dict[str, list[JsonObject]], other["toolConfig"])["tools"]) == 1


def user(part: JsonObject) -> JsonObject:
    return {"messages": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"top_k": 5, "model": "amazon.nova-pro-v1:0"}, "top_k"),
        ({"tools": [WEATHER], "parallel_tool_calls": False}, "parallel_tool_calls"),
        (
            user({"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}),
            "messages[0].content[0].image_url.url",
        ),
        (
            user({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AA=="}}),
            "messages[0].content[0].image_url.url",
        ),
        (user({"type": "file", "file": {"file_id": "f"}}), "messages[0].content[0].file"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}]}, "messages[0].tool_calls[0].id"),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}]}, "tools"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [CALL]}], "tools": [WEATHER], "tool_choice": "none"},
            "tool_choice",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(members: JsonObject, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        write(**members)
    assert caught.value.path == path
