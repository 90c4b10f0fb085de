"""Asking a judge: the options that all judges share, the request, and what happens if the answer cannot be read."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar, cast

import msgspec

from zirkel.core import Invalid, Json, JsonObject, canonical_json
from zirkel.evaluate.chat import ChatMessage, ChatRequest
from zirkel.evaluate.evaluators.kind import Tools
from zirkel.evaluate.judging_answer import Form, Unreadable, read_answer
from zirkel.evaluate.judging_material import Section
from zirkel.evaluate.subject import Subject

T = TypeVar("T")
_OURS = frozenset({"model", "messages", "stream", "stream_options", "response_format", "n", "tools", "temperature"})
_OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")
_LONGEST_SAID = 4000
_AGAIN = """\
Your answer cannot be read: {problem}. Judge again, and answer with one JSON object of the form that was asked for, \
and with nothing else."""

Presence = Literal["none", "if_present", "required"]
"""Whether something is shown to the judge: never, where an item has it, or always, so that others are not scored."""


class AskOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a judge is asked."""

    parameters: JsonObject = {}
    """Sent as they are, e.g. ``seed``, ``reasoning_effort``."""
    temperature: float | Literal["default"] = 0.0
    """``default`` sends none, for models that take none."""
    max_tokens: int = 2048
    """Of one answer, reasoning included."""
    answer_format: Literal["json_schema", "json_object", "text"] = "json_schema"
    """What the model can be held to; an answer is checked strictly in any case."""
    input: str = ""
    """The variable of the item that is the question; all of them, if empty."""


class ModelOptions(AskOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one judge is asked."""

    model: str
    """``UPSTREAM/MODEL``."""


def check_asking(options: AskOptions, models: Sequence[str]) -> str:
    """Return what is wrong with how judges are to be asked, empty if nothing is."""
    for model in models:
        upstream, _, name = model.partition("/")
        if not upstream or not name or model.startswith("service:"):
            return f"model: a judge is named as UPSTREAM/MODEL, not {model!r}"
    temperature = options.temperature
    if temperature != "default" and not (math.isfinite(temperature) and temperature >= 0):
        return f"temperature: a number of at least 0, or 'default', not {temperature}"
    if options.max_tokens < 1:
        return f"max_tokens: at least 1, not {options.max_tokens}"
    ours = sorted(_OURS & options.parameters.keys())
    if ours:
        return f"parameters: {ours[0]!r} is not one of them"
    try:
        canonical_json(cast(Json, options.parameters))
    except (TypeError, ValueError) as error:
        return f"parameters: they are not JSON: {error}"
    return ""


def ask_judge(
    tools: Tools,
    options: AskOptions,
    model: str,
    messages: Sequence[ChatMessage],
    form: Form[T],
    *,
    attempt: int = 0,
) -> T:
    """Return what a judge says; an answer that cannot be read is asked for once more.

    Raises:
        Unreadable: If neither answer could be read.
        TransientFailure: If the model could not be reached or was overloaded.
        Invalid: If the request can never succeed.
    """
    request = ChatRequest(
        # Whose, and what it is about, ``score_subject`` knows.
        project_id="",
        model=model,
        messages=tuple(messages),
        parameters=_parameters(options, form),
        attempt=attempt,
        is_usable=lambda text: _is_readable(form, text),
    )
    said = tools.chat(request).text
    try:
        return read_answer(form, said)
    except Unreadable as error:
        again = [
            *messages,
            ChatMessage("assistant", said[:_LONGEST_SAID] or "(nothing)"),
            ChatMessage("user", _AGAIN.format(problem=error)),
        ]
    said = tools.chat(replace(request, messages=tuple(again))).text
    try:
        return read_answer(form, said)
    except Unreadable as error:
        raise Unreadable(f"{model} was asked twice, and its answer cannot be read: {error}") from error


def input_section(subject: Subject, variable: str) -> Section:
    """Return what the system was asked: one variable of the item, or all of them.

    Raises:
        Invalid: If the item has no such variable.
    """
    variables: Mapping[str, object] = subject.item.input
    if variable and variable not in variables:
        raise Invalid(f"item {subject.item.id!r} has no input {variable!r}", path="input")
    if variable:
        return Section("input", _shown(variables[variable]))
    if len(variables) == 1:
        return Section("input", _shown(next(iter(variables.values()))))
    return Section("input", _shown(variables))


def context_sections(subject: Subject) -> list[Section]:
    """Return what the system retrieved, numbered from 1; the item's own contexts where that is not known."""
    contexts = subject.contexts or tuple(subject.item.contexts)
    return [Section(f"context_{number}", text) for number, text in enumerate(contexts, start=1)]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _parameters(options: AskOptions, form: Form[T]) -> JsonObject:
    parameters = dict(options.parameters)
    if options.temperature != "default":
        parameters["temperature"] = options.temperature
    if not any(name in parameters for name in _OUTPUT_LIMITS):
        parameters["max_tokens"] = options.max_tokens
    if options.answer_format == "json_schema":
        schema = {"name": form.name, "schema": form.schema, "strict": True}
        parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif options.answer_format == "json_object":
        parameters["response_format"] = {"type": "json_object"}
    return parameters


def _is_readable(form: Form[T], text: str) -> bool:
    try:
        read_answer(form, text)
    except Unreadable:
        return False
    return True
