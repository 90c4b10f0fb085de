"""Hub requests, written for upstreams that speak the Messages API."""

from collections.abc import Sequence

from zirkel.core import Invalid, JsonObject
from zirkel.gateway.formats import hub_request
from zirkel.gateway.formats import messages_effort as effort
from zirkel.gateway.formats import messages_hub as hub
from zirkel.gateway.formats.messages_content import content_blocks, tool_use_block, tool_use_id, with_cache_control
from zirkel.gateway.formats.messages_wire import shaped

DEFAULT_MAX_TOKENS = 4096
"""Tokens of an answer whose request sets no limit, which Anthropic asks for; a thinking budget comes on top."""

_JSON_ONLY = "Answer with one JSON object and nothing else: no text around it, no code fence."
_TOOL_CHOICES = {"none": "none", "auto": "auto", "required": "any"}
_EMPTY_SCHEMA: JsonObject = {"type": "object", "properties": {}}


def write_request(body: JsonObject) -> JsonObject:
    """Return the Messages request of a hub request; see ``MessagesFormat.write_request``."""
    refuse_what_cannot_be_said(body)
    request = shaped(body, hub.Request, what="the request")
    system, messages = _conversation(request)
    if isinstance(request.response_format, hub_request.JsonObjectFormat):
        system.append({"type": "text", "text": _JSON_ONLY})
    members: JsonObject = {"model": request.model, "messages": messages, "system": _one_text_or_blocks(system)}
    members |= {"stop_sequences": _stop_sequences(request.stop), "stream": request.stream}
    members |= {"tools": _tools(request.tools), "tool_choice": _tool_choice(request), "metadata": _metadata(request)}
    members |= _sampling(request)
    return {name: value for name, value in members.items() if value not in (None, [])}


def refuse_what_cannot_be_said(body: JsonObject) -> None:
    """Refuse members that would change what the answer is, and that the Messages API has no word for.

    Hints (``seed``, penalties, ``store``, ``service_tier``, ``prediction``, ``verbosity``, …) are no such members.

    Raises:
        Invalid: If there is one; names it.
    """
    asked = {
        "n": body.get("n") not in (None, 1),
        "logprobs": bool(body.get("logprobs")),
        "top_logprobs": bool(body.get("top_logprobs")),
        "logit_bias": bool(body.get("logit_bias")),
        "modalities": body.get("modalities") not in (None, ["text"]),
        "audio": body.get("audio") is not None,
        "functions": bool(body.get("functions")),
        "function_call": body.get("function_call") is not None,
        "web_search_options": body.get("web_search_options") is not None,
    }
    for name, is_asked in asked.items():
        if is_asked:
            raise Invalid(f"{name} cannot be asked of this model, whose API has nothing like it", path=name)


def _conversation(request: hub.Request) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return the system's blocks, wherever in the conversation they are, and the turns, alternating."""
    system: list[JsonObject] = []
    turns: list[JsonObject] = []
    for position, message in enumerate(request.messages):
        path = f"messages[{position}]"
        blocks = _message_blocks(message, path=path)
        if message.role in ("system", "developer"):
            system += blocks
            continue
        role = "assistant" if message.role == "assistant" else "user"
        last = turns[-1] if turns else {}
        earlier = last.get("content")
        if last.get("role") == role and isinstance(earlier, list):
            earlier += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return system, [{"role": turn["role"], "content": _one_text_or_blocks(turn["content"])} for turn in turns]


def _message_blocks(message: hub.Message, *, path: str) -> list[JsonObject]:
    if message.function_call is not None:
        raise Invalid("function_call is not supported; use tool_calls", path=f"{path}.function_call")
    blocks = content_blocks(message.content, path=f"{path}.content")
    if message.role == "tool":
        return [_tool_result(message, blocks, path=path)]
    if message.role != "assistant":
        return blocks
    calls = message.tool_calls or ()
    return [
        *blocks,
        *content_blocks(message.refusal, path=f"{path}.refusal"),
        *(tool_use_block(call, path=f"{path}.tool_calls[{at}]") for at, call in enumerate(calls)),
    ]


def _tool_result(message: hub.Message, blocks: list[JsonObject], *, path: str) -> JsonObject:
    if not message.tool_call_id:
        raise Invalid("a tool's message needs the id of its call", path=f"{path}.tool_call_id")
    result: JsonObject = {"type": "tool_result", "tool_use_id": tool_use_id(message.tool_call_id)}
    return {**result, "content": _one_text_or_blocks(blocks)} if blocks else result


def _one_text_or_blocks(blocks: object) -> object:
    """Return a single plain text as a string, which is the same thing and easier to read."""
    match blocks:
        case [{"type": "text", "text": text, **others}] if not others:
            return text
    return blocks


def _tools(tools: Sequence[hub_request.Tool] | None) -> list[JsonObject]:
    return [with_cache_control(_tool(tool.function), tool.cache_control) for tool in tools or ()]


def _tool(function: hub_request.Function) -> JsonObject:
    tool: JsonObject = {"name": function.name}
    if function.description:
        tool["description"] = function.description
    tool["input_schema"] = {"type": "object", **function.parameters} if function.parameters else _EMPTY_SCHEMA
    return {**tool, "strict": True} if function.strict else tool


def _tool_choice(request: hub.Request) -> JsonObject | None:
    if not request.tools:
        return None
    asked = request.tool_choice
    if isinstance(asked, hub_request.NamedTool):
        choice: JsonObject = {"type": "tool", "name": asked.function.name}
    elif asked is not None or request.parallel_tool_calls is False:
        choice = {"type": _TOOL_CHOICES[asked or "auto"]}
    else:
        return None
    if request.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice


def _stop_sequences(stop: str | Sequence[str] | None) -> list[str]:
    sequences = [stop] if isinstance(stop, str) else list(stop or ())
    for sequence in sequences:
        if not sequence.strip():
            raise Invalid("a stop sequence for this model must have more than white space in it", path="stop")
    return sequences


def _metadata(request: hub.Request) -> JsonObject | None:
    user = request.user or request.safety_identifier
    return {"user_id": user} if user else None


def _sampling(request: hub.Request) -> JsonObject:
    """Return limits, temperature, thinking and the form of the answer."""
    limit = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    thinking, config, budget = _thinking(request, limit)
    if isinstance(request.response_format, hub_request.JsonSchemaFormat):
        config["format"] = {"type": "json_schema", "schema": request.response_format.json_schema.schema}
    members: JsonObject = {"max_tokens": DEFAULT_MAX_TOKENS + budget if limit is None else limit}
    members |= {"thinking": thinking, "output_config": config or None}
    if thinking is None or thinking.get("type") == "disabled":
        temperature = None if request.temperature is None else min(request.temperature, 1.0)
        top_p = None if request.top_p == 1 else request.top_p  # says nothing, and is refused beside a temperature
        members |= {"temperature": temperature, "top_p": top_p, "top_k": request.top_k}
    return members


def _thinking(request: hub.Request, limit: int | None) -> tuple[JsonObject | None, JsonObject, int]:
    """Return ``thinking``, ``output_config``, and how many tokens may go into thinking."""
    if request.thinking is not None:
        given = request.thinking.get("budget_tokens")
        return request.thinking, {}, given if isinstance(given, int) else 0
    if request.reasoning_effort is None:
        return None, {}, 0
    budget = effort.budget_tokens(request.reasoning_effort, limit)
    is_adaptive = effort.is_adaptive(request.model)
    config: JsonObject = {"effort": effort.adaptive_effort(request.reasoning_effort)} if is_adaptive else {}
    if not budget or _forces_tool(request) or (not is_adaptive and _continues_tools(request)):
        return None, config, 0
    return effort.thinking_member(budget, adaptive=is_adaptive), config, budget


def _forces_tool(request: hub.Request) -> bool:
    """Thinking cannot be combined with a tool that must be called."""
    return request.tool_choice == "required" or isinstance(request.tool_choice, hub_request.NamedTool)


def _continues_tools(request: hub.Request) -> bool:
    """With a budget, a turn that is still calling tools has to begin with its thinking, which the hub does not keep."""
    return bool(request.messages) and request.messages[-1].role == "tool"
