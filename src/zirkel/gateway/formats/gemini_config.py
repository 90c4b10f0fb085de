"""How Gemini is to generate: sampling, limits, the answer's form, thinking.

Source: Gemini API reference, ``GenerationConfig`` and ``ThinkingConfig``; Gemini API docs, thinking and openai.
"""

import re

from zirkel.core import JsonObject
from zirkel.gateway.formats import gemini_hub as hub
from zirkel.gateway.formats import hub_request

_JSON = "application/json"
_GENERATION = re.compile(r"gemini-(\d+)")
_TAKES_MINIMAL = re.compile(r"gemini-3(?:\.[0-6])?-flash|gemini-3[.\d]*-flash-lite")
_BUDGETS: dict[hub_request.Effort, int] = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192}
_MOST_BUDGET = 24576
_LEVELS: dict[hub_request.Effort, str] = {"low": "low", "medium": "medium"}


def generation_config(request: hub.Request) -> JsonObject:
    """Return the member ``generationConfig``, empty if the request asks for nothing of it."""
    return hub.compact(
        {
            "temperature": request.temperature,
            "topP": request.top_p,
            "topK": request.top_k,
            "candidateCount": request.n,
            "maxOutputTokens": request.limit,
            "stopSequences": request.stop_sequences,
            "seed": request.seed,
            "presencePenalty": request.presence_penalty,
            "frequencyPenalty": request.frequency_penalty,
            "responseLogprobs": request.logprobs or None,
            "logprobs": (request.top_logprobs or None) if request.logprobs else None,
            "thinkingConfig": _thinking(request),
            **_answer_form(request),
        }
    )


def needs_signatures(model: str) -> bool:
    """Return whether a model refuses calls of an earlier turn without the seal of its thoughts; judged by its name."""
    return _generation(model) >= 3


def _generation(model: str) -> int:
    """Return the number in a model's name; one without a number, such as ``gemini-flash-latest``, is a new one."""
    found = _GENERATION.search(model)
    if found is not None:
        return int(found[1])
    return 3 if "gemini" in model else 0


def _answer_form(request: hub.Request) -> JsonObject:
    match request.response_format:
        case hub_request.JsonObjectFormat():
            return {"responseMimeType": _JSON}
        case hub_request.JsonSchemaFormat(json_schema=asked):
            return {"responseMimeType": _JSON, "responseJsonSchema": asked.schema}
    return {}


def _thinking(request: hub.Request) -> JsonObject | None:
    """Return how much to think: a budget of tokens up to Gemini 2.5, a level from Gemini 3 on.

    From Gemini 3 on thinking cannot be switched off, and not every model knows the level ``minimal``: the least it
    knows is what it is told then. Thoughts are asked for along with an effort; they cost nothing more.
    """
    effort, generation = request.reasoning_effort, _generation(request.model)
    if effort is None or not generation:
        return None
    if generation < 3:
        budget = _BUDGETS.get(effort, _MOST_BUDGET)
        return {"thinkingBudget": budget, "includeThoughts": True} if budget else {"thinkingBudget": 0}
    level = _LEVELS.get(effort, "high")
    if effort in ("none", "minimal"):
        level = "minimal" if _TAKES_MINIMAL.search(request.model) else "low"
    return {"thinkingLevel": level, "includeThoughts": True}
