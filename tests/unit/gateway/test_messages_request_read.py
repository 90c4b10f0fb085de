"""Requests of the Messages API, read into hub requests."""

import pytest

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats.messages import MessagesFormat

TEXT_BLOCK: JsonObject = {"type": "text", "text": "hello"}


def read(**members: object) -> JsonObject:
    body: JsonObject = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **members}
    return MessagesFormat().read_request(body)


def read_messages(*messages: object) -> object:
    return read(messages=list(messages))["messages"]


def refused_path(**members: object) -> str | None:
    with pytest.raises(Invalid) as caught:
        read(**members)
    return caught.value.path


def user_refused_path(block: JsonObject) -> str | None:
    return refused_path(messages=[{"role": "user", "content": [block]}])


def test_a_plain_request_keeps_its_parameters_under_the_hubs_names() -> None:
    assert read(
        system="be kind", temperature=0.5, top_p=0.9, top_k=5, stop_sequences=["END"], metadata={"user_id": "u1"}
    ) == {
        "model": "m",
        "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
        "max_completion_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stop": ["END"],
        "user": "u1",
    }


def test_a_stream_always_asks_the_upstream_for_its_usage() -> None:
    hub = read(stream=True)
    assert hub["stream"] is True
    assert hub["stream_options"] == {"include_usage": True}
    assert "stream" not in read(stream=False)


def test_system_blocks_stay_apart_and_lose_their_cache_marks() -> None:
    first = {**TEXT_BLOCK, "cache_control": {"type": "ephemeral"}}
    messages = read(system=[first, {"type": "text", "text": "b"}])["messages"]
    assert isinstance(messages, list)
    assert messages[0] == {"role": "system", "content": [TEXT_BLOCK, {"type": "text", "text": "b"}]}


def test_a_system_message_between_turns_stays_where_it_is() -> None:
    turns = ({"role": "user", "content": "a"}, {"role": "system", "content": "now in French"})
    assert read_messages(*turns) == list(turns)


def test_images_become_data_urls_or_keep_their_address() -> None:
    data = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    remote = {"type": "image", "source": {"type": "url", "url": "https://e.test/a.png"}}
    assert read_messages({"role": "user", "content": [TEXT_BLOCK, data, remote]}) == [
        {
            "role": "user",
            "content": [
                TEXT_BLOCK,
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "https://e.test/a.png"}},
            ],
        }
    ]


def test_a_pdf_becomes_a_file_and_a_text_document_becomes_text() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}
    pdf = {"type": "document", "title": "bill.pdf", "source": source}
    plain = {"type": "document", "title": "Note", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    assert read_messages({"role": "user", "content": [pdf, plain]}) == [
        {
            "role": "user",
            "content": [
                {"type": "file", "file": {"filename": "bill.pdf", "file_data": "data:application/pdf;base64,aGk="}},
                {"type": "text", "text": "Note\n\nx"},
            ],
        }
    ]


def test_results_become_tool_messages_in_order_and_the_rest_follows() -> None:
    content = [
        {"type": "tool_result", "tool_use_id": "a", "content": "one"},
        {"type": "text", "text": "go on"},
        {"type": "tool_result", "tool_use_id": "b", "content": [TEXT_BLOCK, TEXT_BLOCK]},
        {"type": "tool_result", "tool_use_id": "c"},
    ]
    assert read_messages({"role": "user", "content": content}) == [
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "tool", "tool_call_id": "b", "content": [TEXT_BLOCK, TEXT_BLOCK]},
        {"role": "tool", "tool_call_id": "c", "content": ""},
        {"role": "user", "content": "go on"},
    ]


def test_a_failed_result_says_so_in_its_text() -> None:
    failed: JsonObject = {"type": "tool_result", "tool_use_id": "a", "is_error": True}
    results = [{**failed, "content": "disk full"}, {**failed, "content": [TEXT_BLOCK, TEXT_BLOCK]}]
    assert read_messages({"role": "user", "content": results}) == [
        {"role": "tool", "tool_call_id": "a", "content": "Error: disk full"},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "Error:"}, TEXT_BLOCK, TEXT_BLOCK]},
    ]


def test_images_in_results_move_into_the_users_message() -> None:
    image = {"type": "image", "source": {"type": "url", "url": "https://e.test/a.png"}}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [image]}
    assert read_messages({"role": "user", "content": [result, TEXT_BLOCK]}) == [
        {"role": "tool", "tool_call_id": "a", "content": "(see the images in the next message)"},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "https://e.test/a.png"}}, TEXT_BLOCK],
        },
    ]


def test_an_assistants_calls_keep_their_ids_and_its_thoughts_are_left_out() -> None:
    content = [
        {"type": "thinking", "thinking": "hmm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        TEXT_BLOCK,
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ]
    assert read_messages({"role": "assistant", "content": content}) == [
        {
            "role": "assistant",
            "content": "hello",
            "tool_calls": [
                {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "toolu_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            ],
        }
    ]


def test_an_assistant_that_only_calls_has_null_content() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    messages = read_messages({"role": "assistant", "content": [call]})
    assert isinstance(messages, list)
    assert messages[0]["content"] is None


def test_own_tools_become_functions() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "number"}}}
    tool = {"name": "f", "description": "d", "input_schema": schema, "strict": True, "cache_control": {"type": "x"}}
    assert read(tools=[tool, {"type": "custom", "name": "g", "input_schema": schema}])["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema, "strict": True}},
        {"type": "function", "function": {"name": "g", "parameters": schema}},
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"tool_choice": "required", "parallel_tool_calls": False}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ],
)
def test_tool_choices_are_translated(choice: JsonObject, expected: JsonObject) -> None:
    hub = read(tools=[{"name": "f", "input_schema": {}}], tool_choice=choice)
    assert {name: hub[name] for name in ("tool_choice", "parallel_tool_calls") if name in hub} == expected


def test_a_tool_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in read(tool_choice={"type": "auto"})


@pytest.mark.parametrize(
    ("members", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16384}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 60000}}, "xhigh"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"effort": "high"}}, "high"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({}, None),
    ],
)
def test_thinking_becomes_an_effort(members: JsonObject, effort: str | None) -> None:
    assert read(**members).get("reasoning_effort") == effort


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_an_answers_schema_is_kept_where_it_is_now_and_where_it_was(place: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    hub = read(**{place: {"format": form} if place == "output_config" else form})
    assert hub["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }


def test_what_the_hub_cannot_say_is_refused_with_its_path() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}
    remote = {"type": "url", "url": "https://e.test/a.pdf"}
    assert user_refused_path({"type": "document", "source": remote}) == "messages[0].content[0].source"
    cited: JsonObject = {"type": "document", "source": pdf, "citations": {"enabled": True}}
    assert user_refused_path(cited) == "messages[0].content[0].citations"
    file = {"type": "file", "file_id": "f"}
    assert user_refused_path({"type": "image", "source": file}) == "messages[0].content[0].source.type"
    inner: JsonObject = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image", "source": file}]}
    assert user_refused_path(inner) == "messages[0].content[0].content[0].source.type"
    assert user_refused_path({"type": "container_upload"}) == "messages[0].content[0].type"
    assert refused_path(tools=[{"type": "web_search_20250305", "name": "web_search"}]) == "tools[0].type"


def test_malformed_requests_are_refused_with_the_path_of_the_fault() -> None:
    assert refused_path(max_tokens=None) == "max_tokens"
    assert refused_path(messages=[{"role": "user"}]) == "messages[0].content"
    assert refused_path(messages=[{"role": "robot", "content": ""}]) == "messages[0].role"
    assert refused_path(tools=[{"name": "f"}]) == "tools[0].input_schema"
    tools = [{"name": "f", "input_schema": {}}]
    assert refused_path(tools=tools, tool_choice={"type": "tool"}) == "tool_choice.name"
    call: JsonObject = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    assert user_refused_path(call) == "messages[0].content[0]"
    result = {"type": "tool_result", "tool_use_id": "t"}
    assert refused_path(messages=[{"role": "assistant", "content": [result]}]) == "messages[0].content[0]"
    with pytest.raises(Invalid) as caught:
        MessagesFormat().read_request({"model": "m", "messages": []})
    assert caught.value.path == "max_tokens"
