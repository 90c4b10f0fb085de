from typing import cast

import pytest

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats.base import UpstreamFormat
from zirkel.gateway.formats.gemini import GeminiFormat

FORMAT: UpstreamFormat = GeminiFormat()
PNG = "iVBORw0KGgo="
WEATHER: JsonObject = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Today's weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "additionalProperties": False},
        "strict": True,
    },
}
CALL: JsonObject = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Bonn"}'}}


def write(**members: object) -> JsonObject:
    defaults = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hi"}]}
    return FORMAT.write_request({**defaults, **members})


def config(**members: object) -> object:
    return write(**members).get("generationConfig")


def contents(*messages: JsonObject, model: str = "gemini-2.5-flash") -> object:
    return FORMAT.write_request({"model": model, "messages": list(messages)})["contents"]


def test_a_whole_request_is_written_as_gemini_documents_it() -> None:
    """Source: Gemini API docs, text-generation and function-calling."""
    found = FORMAT.write_request(
        {
            "model": "gemini-2.5-flash",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Weather in Bonn?"},
                {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": '{"celsius": 21}'},
                {"role": "developer", "content": [{"type": "text", "text": "In English."}]},
            ],
            "tools": [WEATHER],
            "tool_choice": "auto",
            "temperature": 0.2,
            "top_p": 0.9,
            "max_completion_tokens": 100,
            "stop": "END",
            "seed": 7,
            "stream": True,
            "user": "u1",
        }
    )

    assert found == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "In English."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Weather in Bonn?"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Let me look."},
                    {"functionCall": {"name": "get_weather", "args": {"city": "Bonn"}, "id": "c1"}},
                ],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "get_weather", "response": {"celsius": 21}, "id": "c1"}}],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "get_weather",
                        "description": "Today's weather",
                        "parametersJsonSchema": {
                            "type": "object",
                            "properties": {"city": {"type": "string"}},
                            "additionalProperties": False,
                        },
                    }
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {
            "temperature": 0.2,
            "topP": 0.9,
            "maxOutputTokens": 100,
            "stopSequences": ["END"],
            "seed": 7,
        },
    }


def test_a_request_that_asks_for_nothing_special_is_nothing_but_contents() -> None:
    assert write() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "low"}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://example.org/a/cat.jpg?x=1"}},
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.org/a/cat.jpg?x=1"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://bucket/object"}},
            {"fileData": {"fileUri": "gs://bucket/object"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg=="}},
        ),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
        ),
    ],
)
def test_media_go_along(part: JsonObject, written: JsonObject) -> None:
    found = contents({"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]})

    assert found == [{"role": "user", "parts": [{"text": "What is it?"}, written]}]


def test_results_of_calls_made_together_are_one_turn_in_the_order_given() -> None:
    second: JsonObject = {"id": "c2", "type": "function", "function": {"name": "get_time", "arguments": ""}}
    found = contents(
        {"role": "assistant", "content": None, "tool_calls": [CALL, second]},
        {"role": "tool", "tool_call_id": "c2", "content": "noon"},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "[1]"}]},
        {"role": "user", "content": "Thanks"},
    )

    assert found == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "get_weather", "args": {"city": "Bonn"}, "id": "c1"}},
                {"functionCall": {"name": "get_time", "args": {}, "id": "c2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "get_time", "response": {"output": "noon"}, "id": "c2"}},
                {"functionResponse": {"name": "get_weather", "response": {"output": "[1]"}, "id": "c1"}},
            ],
        },
        {"role": "user", "parts": [{"text": "Thanks"}]},
    ]


def test_an_image_in_a_tools_result_goes_along() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    found = contents(
        {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": [image]}
    )

    assert cast(list[JsonObject], found)[1]["parts"] == [
        {
            "functionResponse": {
                "name": "get_weather",
                "response": {"output": ""},
                "id": "c1",
                "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
            }
        }
    ]


@pytest.mark.parametrize(
    ("model", "extra", "signatures"),
    [
        ("gemini-2.5-pro", {}, [None, None]),
        ("gemini-3.1-pro-preview", {}, ["skip_thought_signature_validator", None]),
        ("gemini-flash-latest", {}, ["skip_thought_signature_validator", None]),
        ("gemini-3-flash", {"extra_content": {"google": {"thought_signature": "c2VhbA=="}}}, ["c2VhbA==", None]),
        ("gemini-2.5-pro", {"extra_content": {"google": {"thought_signature": "c2VhbA=="}}}, ["c2VhbA==", None]),
    ],
)
def test_the_seal_of_the_thoughts_goes_back_and_a_model_that_needs_one_gets_a_word_for_it(
    model: str, extra: JsonObject, signatures: list[str | None]
) -> None:
    """Source: Gemini API docs, thought-signatures."""
    found = contents({"role": "assistant", "tool_calls": [{**CALL, **extra}, CALL]}, model=model)

    parts = cast(list[dict[str, list[JsonObject]]], found)[0]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == signatures


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["get_weather"]},
        ),
    ],
)
def test_the_choice_of_a_tool_is_a_mode(choice: object, written: JsonObject) -> None:
    found = write(tools=[WEATHER], tool_choice=choice, parallel_tool_calls=True)

    assert found["toolConfig"] == {"functionCallingConfig": written}


@pytest.mark.parametrize(
    ("members", "written"),
    [
        ({"n": 2}, {"candidateCount": 2}),
        ({"max_tokens": 5, "top_k": 40}, {"maxOutputTokens": 5, "topK": 40}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        (
            {"presence_penalty": 0, "frequency_penalty": -1.5},
            {"presencePenalty": 0.0, "frequencyPenalty": -1.5},
        ),
        ({"logprobs": True, "top_logprobs": 3}, {"responseLogprobs": True, "logprobs": 3}),
        ({"logprobs": True, "top_logprobs": 0}, {"responseLogprobs": True}),
        ({"logprobs": False, "temperature": 0}, {"temperature": 0.0}),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}},
        ),
    ],
)
def test_settings_become_the_generation_config(members: JsonObject, written: JsonObject | None) -> None:
    """Source: Gemini API reference, GenerationConfig."""
    assert config(**members) == written


@pytest.mark.parametrize(
    ("model", "effort", "written"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ("gemini-2.5-pro", "xhigh", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3-flash-preview", "none", {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("gemini-3.8-flash", "minimal", {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-3.8-flash-lite", "minimal", {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("gemini-3.1-pro-preview", "none", {"thinkingLevel": "low", "includeThoughts": True}),
        ("models/gemini-3.1-pro-preview", "medium", {"thinkingLevel": "medium", "includeThoughts": True}),
        ("gemini-pro-latest", "max", {"thinkingLevel": "high", "includeThoughts": True}),
    ],
)
def test_the_effort_is_a_budget_or_a_level_by_the_models_generation(
    model: str, effort: str, written: JsonObject
) -> None:
    """Source: Gemini API docs, thinking ("Thinking levels and budgets") and openai ("Thinking")."""
    assert config(model=model, reasoning_effort=effort) == {"thinkingConfig": written}


def test_an_effort_is_a_hint_for_models_that_do_not_think() -> None:
    assert config(model="gemma-3-27b-it", reasoning_effort="high") is None


def user(part: JsonObject) -> JsonObject:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"tools": [WEATHER], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": "sometimes", "tools": [WEATHER]}, "tool_choice"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        (user({"type": "video", "video": {}}), "messages[0].content[1].type"),
        (user({"type": "image_url", "image_url": {"url": "cat.png"}}), "messages[0].content[1].image_url.url"),
        (user({"type": "image_url", "image_url": {"url": "http://[::1"}}), "messages[0].content[1].image_url.url"),
        (user({"type": "file", "file": {"file_id": "file-1"}}), "messages[0].content[1].file"),
        ({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}, "messages[0].audio"),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "[1]"}}]}
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(members: JsonObject, path: str) -> None:
    with pytest.raises(Invalid) as caught:
        write(**members)
    assert caught.value.path == path
