"""Hub requests, written for upstreams that speak the Messages API."""

import pytest

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats.messages import MessagesFormat

OLD_MODEL = "claude-haiku-4-5-20251001"
NEW_MODEL = "claude-opus-5-5"
USER: JsonObject = {"role": "user", "content": "hi"}
TOOL: JsonObject = {"type": "function", "function": {"name": "f"}}
WRITTEN_TOOL: JsonObject = {"name": "f", "input_schema": {"type": "object", "properties": {}}}


def write(**members: object) -> JsonObject:
    return MessagesFormat().write_request({"model": OLD_MODEL, "messages": [USER], **members})


def written_messages(*messages: JsonObject) -> object:
    return write(messages=list(messages))["messages"]


def refused_path(**members: object) -> str | None:
    with pytest.raises(Invalid) as caught:
        write(**members)
    return caught.value.path


def call(call_id: str, arguments: str) -> JsonObject:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def test_a_request_without_a_limit_gets_one() -> None:
    assert write() == {"model": OLD_MODEL, "max_tokens": 4096, "messages": [USER]}


def test_parameters_get_anthropics_names() -> None:
    written = write(max_tokens=9, max_completion_tokens=7, stop="END", temperature=0.5, top_k=3, user="u", stream=True)
    assert written == {
        "model": OLD_MODEL,
        "max_tokens": 7,
        "messages": [USER],
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_k": 3,
        "metadata": {"user_id": "u"},
        "stream": True,
    }
    assert write(safety_identifier="s")["metadata"] == {"user_id": "s"}


def test_a_temperature_over_the_scale_is_its_top_and_a_top_p_of_1_is_left_out() -> None:
    written = write(temperature=1.7, top_p=1)
    assert written["temperature"] == 1.0
    assert "top_p" not in written
    assert write(top_p=0.9)["top_p"] == 0.9


def test_system_and_developer_messages_become_the_system_prompt() -> None:
    assert write(messages=[{"role": "system", "content": "a"}, USER])["system"] == "a"
    messages = [{"role": "system", "content": "a"}, USER, {"role": "developer", "content": "b"}]
    written = write(messages=messages)
    assert written["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert written["messages"] == [USER]


def test_results_of_tools_and_the_words_after_them_become_one_turn() -> None:
    assistant: JsonObject = {
        "role": "assistant", "content": None, "tool_calls": [call("a", '{"x":1}'), call("b", "")]
    }  # fmt: skip
    messages: tuple[JsonObject, ...] = (
        USER,
        assistant,
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": ""},
        {"role": "user", "content": "go on"},
    )
    assert written_messages(*messages) == [
        USER,
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "one"},
                {"type": "tool_result", "tool_use_id": "b"},
                {"type": "text", "text": "go on"},
            ],
        },
    ]


def test_neighbours_of_one_role_become_one_turn_and_empty_text_is_left_out() -> None:
    messages: tuple[JsonObject, ...] = (
        {"role": "user", "content": "a"},
        {"role": "user", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]},
        {"role": "assistant", "content": "c", "refusal": None},
    )
    assert written_messages(*messages) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": "c"},
    ]


def test_ids_of_calls_get_characters_that_anthropic_takes_on_both_sides() -> None:
    messages: tuple[JsonObject, ...] = (
        {"role": "assistant", "tool_calls": [call("functions.f:0", "{}")]},
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "x"},
    )
    assert written_messages(*messages) == [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions_f_0", "content": "x"}]},
    ]


def test_images_and_files_become_blocks_with_their_cache_marks() -> None:
    mark: JsonObject = {"type": "ephemeral", "ttl": "1h"}
    parts = [
        {"type": "text", "text": "see", "cache_control": mark},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://e.test/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
    ]
    assert written_messages({"role": "user", "content": parts}) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see", "cache_control": mark},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {"type": "image", "source": {"type": "url", "url": "https://e.test/a.png"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
                    "title": "a.pdf",
                },
            ],
        }
    ]


def test_functions_become_tools() -> None:
    schema = {"properties": {"x": {}}, "required": ["x"]}
    function = {"name": "g", "description": "d", "parameters": schema, "strict": True}
    assert write(tools=[TOOL, {"type": "function", "function": function}])["tools"] == [
        WRITTEN_TOOL,
        {"name": "g", "description": "d", "input_schema": {"type": "object", **schema}, "strict": True},
    ]


@pytest.mark.parametrize(
    ("members", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choices_are_translated(members: JsonObject, choice: JsonObject | None) -> None:
    assert write(tools=[TOOL], **members).get("tool_choice") == choice
    assert "tool_choice" not in write(**members)


@pytest.mark.parametrize(
    ("effort", "budget"), [("low", 1024), ("medium", 4096), ("high", 16384), ("xhigh", 32768), ("max", 32768)]
)
def test_models_up_to_4_5_get_a_budget_on_top_of_the_default_limit(effort: str, budget: int) -> None:
    written = write(reasoning_effort=effort)
    assert written["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert written["max_tokens"] == 4096 + budget
    assert "output_config" not in written


def test_a_budget_leaves_half_of_the_limit_for_the_answer_or_is_not_given() -> None:
    assert write(reasoning_effort="high", max_completion_tokens=8000)["thinking"] == {
        "type": "enabled", "budget_tokens": 4000,
    }  # fmt: skip
    assert "thinking" not in write(reasoning_effort="high", max_completion_tokens=2000)
    assert "thinking" not in write(reasoning_effort="none")


def test_later_models_are_told_an_effort() -> None:
    written = write(model=NEW_MODEL, reasoning_effort="high")
    assert written["thinking"] == {"type": "adaptive"}
    assert written["output_config"] == {"effort": "high"}
    assert written["max_tokens"] == 4096 + 16384
    quiet = write(model=NEW_MODEL, reasoning_effort="none")
    assert quiet["output_config"] == {"effort": "low"}
    assert "thinking" not in quiet


@pytest.mark.parametrize(
    ("model", "is_told_effort"),
    [
        ("claude-3-7-sonnet-20250219", False),
        ("claude-opus-4-20250514", False),
        ("claude-sonnet-4@20250514", False),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", False),
        ("claude-sonnet-4-6", True),
        ("claude-opus-5", True),
        ("claude-fable-5-1", True),
        ("claude-mythos-preview", True),
        ("deepseek-v4", False),
    ],
)
def test_the_models_name_decides_how_it_is_told_to_think(model: str, is_told_effort: bool) -> None:
    assert ("output_config" in write(model=model, reasoning_effort="medium")) is is_told_effort


def test_sampling_is_left_out_beside_thinking() -> None:
    assert (
        not {"temperature", "top_p", "top_k"}
        & write(reasoning_effort="low", temperature=0.3, top_p=0.5, top_k=2).keys()
    )


def test_thinking_is_not_asked_where_anthropic_would_refuse_it() -> None:
    assert "thinking" not in write(reasoning_effort="low", tools=[TOOL], tool_choice="required")
    result: JsonObject = {"role": "tool", "tool_call_id": "a", "content": "x"}
    turns = [USER, {"role": "assistant", "tool_calls": [call("a", "{}")]}, result]
    assert "thinking" not in write(reasoning_effort="low", messages=turns)
    assert "thinking" in write(model=NEW_MODEL, reasoning_effort="low", messages=turns)


def test_a_member_thinking_is_passed_on() -> None:
    thinking: JsonObject = {"type": "enabled", "budget_tokens": 2000}
    written = write(thinking=thinking, reasoning_effort="high")
    assert written["thinking"] == thinking
    assert written["max_tokens"] == 6096
    assert write(thinking={"type": "disabled"}, temperature=0.1)["temperature"] == 0.1


def test_a_schema_becomes_the_output_format_beside_the_effort() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}}
    written = write(model=NEW_MODEL, response_format=form, reasoning_effort="low")
    assert written["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": {"type": "object"}},
    }
    assert write(response_format={"type": "text"}) == write()


def test_a_wish_for_some_json_object_becomes_an_instruction() -> None:
    written = write(messages=[{"role": "system", "content": "s"}, USER], response_format={"type": "json_object"})
    system = written["system"]
    assert isinstance(system, list)
    assert system[0] == {"type": "text", "text": "s"}
    assert "JSON object" in system[1]["text"]


@pytest.mark.parametrize(
    "hint",
    [
        {"seed": 1}, {"frequency_penalty": 1}, {"presence_penalty": 1}, {"store": True}, {"metadata": {"a": "b"}},
        {"service_tier": "flex"}, {"prediction": {"type": "content"}}, {"n": 1}, {"logprobs": False},
        {"modalities": ["text"]}, {"stream_options": {"include_usage": True}}, {"made_up": 1}, {"logit_bias": {}},
    ],
)  # fmt: skip
def test_hints_and_unknown_members_are_dropped(hint: JsonObject) -> None:
    assert write(**hint) == write()


@pytest.mark.parametrize(
    "members",
    [
        {"n": 2}, {"logprobs": True}, {"top_logprobs": 3}, {"logit_bias": {"1": 5}}, {"modalities": ["text", "audio"]},
        {"audio": {"voice": "x"}}, {"functions": [{"name": "f"}]}, {"function_call": "auto"},
        {"web_search_options": {}}, {"stop": [" "]},
    ],
)  # fmt: skip
def test_what_would_change_the_answer_if_dropped_is_refused_by_name(members: JsonObject) -> None:
    assert refused_path(**members) == next(iter(members))


def test_content_that_cannot_be_said_is_refused_with_its_path() -> None:
    def path_of(*messages: JsonObject) -> str | None:
        return refused_path(messages=[USER, *messages])

    audio = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    image = {"type": "image_url", "image_url": {"url": "ftp://e.test/a"}}
    file = {"type": "file", "file": {"file_id": "x"}}
    assert path_of({"role": "user", "content": [audio]}) == "messages[1].content[0].type"
    assert path_of({"role": "user", "content": [image]}) == "messages[1].content[0].image_url.url"
    assert path_of({"role": "user", "content": [file]}) == "messages[1].content[0].file"
    broken: JsonObject = {"role": "assistant", "tool_calls": [call("a", "{}"), call("b", "[1]")]}
    assert path_of(broken) == "messages[1].tool_calls[1].function.arguments"
    custom = {"id": "a", "type": "custom", "custom": {"name": "x", "input": ""}}
    assert path_of({"role": "assistant", "tool_calls": [custom]}) == "messages[1].tool_calls[0]"
    assert path_of({"role": "tool", "content": "x"}) == "messages[1].tool_call_id"
    assert path_of({"role": "function", "name": "f", "content": "x"}) == "messages[1].role"
    legacy: JsonObject = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    assert path_of(legacy) == "messages[1].function_call"
    assert refused_path(tools=[{"type": "custom", "custom": {"name": "x"}}]) == "tools[0].type"
    assert refused_path(response_format={"type": "json_schema"}) == "response_format.json_schema"
