"""Gemini's generateContent as the provider speaks it, and its OpenAI-shaped embeddings.

Source: Gemini API reference, ``models.generateContent``, ``models.streamGenerateContent`` and OpenAI compatibility.
"""

import json
import re
from collections.abc import Iterator
from typing import cast

import msgspec
from google.genai import types
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from tests.flows import provider_script as script
from tests.flows.provider_checks import decoded
from tests.flows.provider_openai import answer_embeddings
from tests.flows.provider_script import Asked, Json, NotValidError, Received, Reply, Said, whole

_PATH = re.compile(r"/models/([^/:]+):(generateContent|streamGenerateContent|countTokens)")
COUNTED_TOKENS = 15


class _Body(BaseModel):
    """The body of a request; its parts are the client package's own types, which refuse what they do not know."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    tools: list[types.Tool] = []
    tool_config: types.ToolConfig | None = None
    generation_config: types.GenerationConfig | None = None
    safety_settings: list[types.SafetySetting] = []


class _Part(msgspec.Struct, rename="camel"):
    text: str = ""
    function_call: Json | None = None
    function_response: Json | None = None
    inline_data: Json | None = None


class _Content(msgspec.Struct):
    parts: list[_Part]
    role: str = "user"


class _Tools(msgspec.Struct, rename="camel"):
    function_declarations: list[Json] = []


class _Request(msgspec.Struct, rename="camel"):
    contents: list[_Content]
    tools: list[_Tools] = []
    tool_config: Json = {}
    generation_config: Json = {}


def answer(request: Received) -> Reply:
    """Return what Gemini answers."""
    if request.path == "/openai/embeddings":
        return _embeddings(request)
    if request.headers.get("x-goog-api-key") != script.KEYS["gemini"]:
        return _error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.")
    found = _PATH.fullmatch(request.path)
    if found is None:
        return _error(404, "NOT_FOUND", f"no such path: {request.path}")
    model, action = found.groups()
    is_stream = action == "streamGenerateContent"
    if is_stream and not request.full_path.endswith("alt=sse"):
        return _error(400, "INVALID_ARGUMENT", "a stream is asked for with alt=sse")
    if action == "countTokens":
        return whole({"totalTokens": COUNTED_TOKENS})
    try:
        return _generate(model, json.loads(request.body), is_stream=is_stream)
    except NotValidError as error:
        return _error(400, "INVALID_ARGUMENT", str(error))


def _embeddings(request: Received) -> Reply:
    if request.headers.get("authorization") != f"Bearer {script.KEYS['gemini']}":
        return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
    try:
        return answer_embeddings(json.loads(request.body))
    except NotValidError as error:
        return _error(400, "INVALID_ARGUMENT", str(error))


def _error(status: int, name: str, message: str, *details: Json) -> Reply:
    error = {"code": status, "message": message, "status": name}
    return whole({"error": {**error, "details": list(details)} if details else error}, status)


def _generate(model: str, body: Json, *, is_stream: bool) -> Reply:
    request = _checked(body)
    asked = _read(model, request, is_stream=is_stream)
    match asked.fault:
        case "context":
            text = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
            return _error(400, "INVALID_ARGUMENT", text)
        case "rate":
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            delay: Json = {"@type": kind, "retryDelay": f"{script.RETRY_AFTER_S}s"}
            return _error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", delay)
        case "overloaded":
            return _error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
        case "midway" if not is_stream:
            return _error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")
    said = script.say(asked)
    count = cast(int, request.generation_config.get("candidateCount") or 1)
    if is_stream:
        return script.server_sent([_event(value) for value in _events(asked, said, count)], asked)
    candidates = [_candidate(index, _parts(said), "STOP") for index in range(count)]
    if request.generation_config.get("responseLogprobs"):
        chosen = [{"token": said.text, "logProbability": script.LOGPROB}]
        candidates = [{**found, "logprobsResult": {"chosenCandidates": chosen}} for found in candidates]
    return whole({"candidates": candidates, "usageMetadata": _usage(said), **_head(asked)})


def _checked(body: Json) -> _Request:
    try:
        found = _Body.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise NotValidError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    for content in found.contents:
        for part in content.parts or []:
            kinds = part.model_fields_set & {"text", "function_call", "function_response", "inline_data"}
            if len(kinds) != 1:
                raise NotValidError(f"a part has one kind of data, not {sorted(kinds)}")
    request = msgspec.convert(body, _Request)
    _check_turns(request)
    return request


def _check_turns(request: _Request) -> None:
    """Return if as many function responses follow a turn as it had calls.

    Raises:
        NotValidError: If not, or a role is unknown.
    """
    open_calls = 0
    for content in request.contents:
        if content.role not in ("user", "model"):
            raise NotValidError("Please use a valid role: user, model.")
        answered = sum(part.function_response is not None for part in content.parts)
        if answered != open_calls:
            raise NotValidError("the number of function response parts must be that of the function call parts")
        open_calls = sum(part.function_call is not None for part in content.parts)


def _read(model: str, request: _Request, *, is_stream: bool) -> Asked:
    config = request.generation_config
    choice = cast(Json, request.tool_config.get("functionCallingConfig") or {}).get("mode")
    names = [str(tool["name"]) for tools in request.tools for tool in tools.function_declarations]
    results = [part.function_response for part in request.contents[-1].parts if part.function_response is not None]
    images = [part.inline_data for content in request.contents for part in content.parts if part.inline_data]
    return Asked(
        model=model,
        is_stream=is_stream,
        tools=() if choice == "NONE" else tuple(names),
        results=tuple(" ".join(map(str, cast(Json, found["response"]).values())) for found in results),
        images=tuple(script.image_seen(str(i["mimeType"]), decoded(str(i["data"]))) for i in images),
        schema=cast("Json | None", config.get("responseJsonSchema")),
        thinks=bool(cast(Json, config.get("thinkingConfig") or {}).get("includeThoughts")),
    )


def _head(asked: Asked) -> Json:
    return {"modelVersion": asked.model, "responseId": "r-1"}


def _parts(said: Said) -> list[Json]:
    thought: Json = {"text": said.thought, "thought": True}
    parts: list[Json] = [thought] if said.thought else []
    parts.append({"text": said.text})
    # Gemini gives calls no id; the first of a turn carries the seal of the thoughts.
    for number, call in enumerate(said.calls):
        seal: Json = {} if number else {"thoughtSignature": "c2VhbA=="}
        parts.append({"functionCall": {"name": call.name, "args": call.arguments}, **seal})
    return parts


def _candidate(index: int, parts: list[Json], finish: str = "") -> Json:
    found: Json = {"content": {"parts": parts, "role": "model"}, "index": index}
    return {**found, "finishReason": finish} if finish else found


def _usage(said: Said) -> Json:
    return {
        "promptTokenCount": script.INPUT_TOKENS,
        "cachedContentTokenCount": script.CACHED_TOKENS,
        "candidatesTokenCount": script.OUTPUT_TOKENS - said.thought_tokens,
        "thoughtsTokenCount": said.thought_tokens,
        "totalTokenCount": script.INPUT_TOKENS + script.OUTPUT_TOKENS,
    }


def _events(asked: Asked, said: Said, count: int) -> Iterator[Json]:
    parts: list[Json] = [{"text": piece} for piece in script.pieces(said.text, asked)]
    streamed = [part for part in _parts(said) if part.get("thought")] + parts
    streamed += [part for part in _parts(said) if "functionCall" in part]
    for part in streamed:
        candidates = [_candidate(index, [part]) for index in range(count)]
        yield {"candidates": candidates, "usageMetadata": {"promptTokenCount": script.INPUT_TOKENS}, **_head(asked)}
        if asked.fault == "midway":
            error: Json = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
            yield {"error": error}
            return
    candidates = [_candidate(index, [{"text": ""}], "STOP") for index in range(count)]
    yield {"candidates": candidates, "usageMetadata": _usage(said), **_head(asked)}


def _event(value: Json) -> bytes:
    return b"data: " + script.as_json(value) + b"\r\n\r\n"
