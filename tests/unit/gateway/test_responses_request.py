import pytest

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats.responses import ResponsesFormat

FORMAT = ResponsesFormat()
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS, "strict": True}}
RESPONSES_TOOL = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}


def read(**members: object) -> JsonObject:
    return FORMAT.read_request({"model": "m", "input": "hello", **members})


def messages_of(*items: object) -> object:
    return read(input=list(items))["messages"]


def test_a_text_is_the_users_and_instructions_go_before_it() -> None:
    assert read(instructions="be brief") == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}],
    }


def test_parameters_get_the_names_that_the_hub_form_has() -> None:
    hub = read(
        max_output_tokens=50,
        reasoning={"effort": "low", "summary": "auto"},
        temperature=0.5,
        top_p=0.9,
        parallel_tool_calls=False,
        user="u",
        safety_identifier="s",
        metadata={"k": "v"},
        text={"verbosity": "low", "format": {"type": "text"}},
        store=True,
        include=["reasoning.encrypted_content"],
        max_tool_calls=3,
        truncation="disabled",
        previous_response_id=None,
        stream=True,
        zirkel={"variables": {"a": "b"}},
    )
    del hub["messages"]
    assert hub == {
        "model": "m",
        "max_completion_tokens": 50,
        "reasoning_effort": "low",
        "temperature": 0.5,
        "top_p": 0.9,
        "parallel_tool_calls": False,
        "user": "u",
        "safety_identifier": "s",
        "metadata": {"k": "v"},
        "verbosity": "low",
        "stream": True,
        "zirkel": {"variables": {"a": "b"}},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "name": "n", "schema": PARAMETERS, "strict": True},
            {"type": "json_schema", "json_schema": {"name": "n", "schema": PARAMETERS, "strict": True}},
        ),
    ],
)
def test_the_texts_format_becomes_the_response_format(given: object, expected: object) -> None:
    assert read(text={"format": given})["response_format"] == expected


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tools_are_nested_and_a_choice_in_one_word_stays(choice: str) -> None:
    hub = read(tools=[RESPONSES_TOOL], tool_choice=choice)

    assert hub["tools"] == [CHAT_TOOL]
    assert hub["tool_choice"] == choice


def test_the_choice_of_a_function_is_nested() -> None:
    hub = read(tools=[RESPONSES_TOOL], tool_choice={"type": "function", "name": "weather"})

    assert hub["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_parts_of_a_users_message_are_translated() -> None:
    parts = [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    assert messages_of({"role": "user", "content": parts}) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            ],
        }
    ]


def test_an_answers_items_become_one_assistant_message_with_its_calls() -> None:
    """As an agent sends them back: what was thought is dropped, calls join the message, outputs follow."""
    found = messages_of(
        {"role": "user", "content": [{"type": "input_text", "text": "Bonn and Cologne?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city":"Bonn"}'},
        {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": '{"city":"Cologne"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "sun"}]},
        {"type": "function_call", "call_id": "c3", "name": "clock", "arguments": "{}"},
    )
    assert found == [
        {"role": "user", "content": "Bonn and Cologne?"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bonn"}'}},
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Cologne"}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "tool", "tool_call_id": "c2", "content": "sun"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c3", "type": "function", "function": {"name": "clock", "arguments": "{}"}}],
        },
    ]


def test_a_call_that_comes_before_its_message_joins_it_too() -> None:
    found = messages_of(
        {"type": "function_call", "call_id": "c1", "name": "clock", "arguments": "{}"},
        {"role": "assistant", "content": "One moment."},
    )
    call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    assert found == [{"role": "assistant", "content": "One moment.", "tool_calls": [call]}]


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"model": 7}, "model"),
        ({"instructions": ["a"]}, "instructions"),
        ({"max_output_tokens": "many"}, "max_output_tokens"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "top_logprobs"),
        ({"tools": [RESPONSES_TOOL, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": "all"}, "tools"),
        ({"tool_choice": "any"}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
        ({"input": [{"content": "x"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "refusal"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0]"),
        ({"input": ["hello"]}, "input[0]"),
    ],
)
def test_what_the_hub_form_cannot_say_is_refused_with_its_path(members: dict[str, object], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(**members)
    assert caught.value.path == path


def test_a_body_without_a_model_is_refused() -> None:
    with pytest.raises(Invalid, match="model"):
        FORMAT.read_request({"input": "hello"})


CONVERSATION: list[JsonObject] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "rain"},
]


def test_a_request_for_an_upstream_reads_back_as_it_was() -> None:
    hub: JsonObject = {
        "model": "m",
        "messages": CONVERSATION,
        "stream": True,
        "max_completion_tokens": 9,
        "reasoning_effort": "high",
        "temperature": 0.1,
        "tools": [CHAT_TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": PARAMETERS, "strict": True}},
    }
    body = FORMAT.write_request(hub)

    assert body["store"] is False
    assert FORMAT.read_request(body) == hub


def test_a_request_for_an_upstream_has_its_names() -> None:
    hub: JsonObject = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]},
            {"role": "assistant", "content": "No.", "refusal": "I will not."},
        ],
        "max_tokens": 9,
        "tools": [{"type": "function", "function": {"name": "clock"}}],
        "seed": 7,
        "stream_options": {"include_usage": True},
    }
    assert FORMAT.write_request(hub) == {
        "model": "m",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_image", "image_url": "https://example.org/a.png", "detail": "auto"}],
            },
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "No."},
                    {"type": "refusal", "refusal": "I will not."},
                ],
            },
        ],
        "store": False,
        "max_output_tokens": 9,
        "tools": [{"type": "function", "name": "clock", "parameters": None, "strict": False}],
    }


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"n": 2}, "n"),
        ({"stop": ["x"]}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"presence_penalty": 1}, "presence_penalty"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tool_choice": {"type": "custom"}}, "tool_choice"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
        ({"messages": None}, "messages"),
    ],
)
def test_what_an_upstream_cannot_be_asked_is_refused_with_its_path(members: dict[str, object], path: str) -> None:
    with pytest.raises(Invalid) as caught:
        FORMAT.write_request({"model": "m", "messages": [], **members})
    assert caught.value.path == path
