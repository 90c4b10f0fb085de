"""What programs call: ``zirkel.init`` and the rest. Nothing here waits for the server but ``flush`` and ``shutdown``,
and ``prompt`` for the first time ever.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from opentelemetry import propagate, trace
from opentelemetry.trace import format_span_id, format_trace_id

from zirkel.client.capture import capture_json
from zirkel.client.contents import input_attributes, output_attributes
from zirkel.client.instrumentation import instrument_clients
from zirkel.client.outbox import Delivery
from zirkel.client.prompt_shelf import PromptKey
from zirkel.client.prompts import Prompt, PromptMessage, ServedPrompt
from zirkel.client.recording import current_recording
from zirkel.client.runtime import EXIT_S, Runtime, close_runtime, current_runtime, install_runtime
from zirkel.client.score_body import (
    ScoreKindName,
    ScoreOriginName,
    ScoreValue,
    score_identity,
    score_subject,
    score_value,
    without_empty,
)
from zirkel.client.settings import read_settings
from zirkel.client.spool import Record, RecordKind, SpoolLimits
from zirkel.core import Conflict, Invalid, Json, ZirkelError

_LIMITS = SpoolLimits()
_log = logging.getLogger("zirkel")


def init(
    *,
    url: str = "",
    api_key: str = "",
    service: str = "",
    environment: str = "",
    instrument: Sequence[str] = (),
    folder: Path | None = None,
    spool_limits: SpoolLimits = _LIMITS,
) -> None:
    """Send this program's spans and scores to Zirkel, beside what OpenTelemetry does with them already.

    A tracer provider that is there is kept and gets one more span processor; else one is made. Called again with
    the same settings it changes nothing; with others they take the place of the former ones.

    Args:
        url: The core's address; ``ZIRKEL_URL`` by default, or ``http://127.0.0.1:4040``.
        api_key: A key with the role ``ingest``, for prompts also ``call`` or ``read``; ``ZIRKEL_API_KEY`` by default.
        service: Under which name spans are listed; OpenTelemetry's ``service.name`` is set to it too.
        environment: The deployment environment, e.g. ``production``.
        instrument: Clients whose calls are recorded, ``openai`` and ``anthropic`` among them, by the OpenTelemetry
            packages that are installed for them.
        folder: Where prompts, and what cannot be sent, are kept; ``zirkel`` in the user's cache folder by default.
        spool_limits: How much of what cannot be sent is kept, and for how long; the oldest goes first.

    Raises:
        Invalid: If there is no key, a setting cannot be one, nothing installed instruments a client of
            ``instrument``, or the program's tracer provider takes no span processors.
    """
    if isinstance(instrument, str):
        raise Invalid(f"instrument takes a list of names: ({instrument!r},)", path="instrument")
    settings = read_settings(url=url, api_key=api_key, service=service, environment=environment, folder=folder)
    install_runtime(settings, spool_limits)
    instrument_clients(instrument, trace.get_tracer_provider())


def score(
    name: str,
    value: ScoreValue,
    *,
    trace_id: str = "",
    span_id: str = "",
    session_id: str = "",
    score_id: str = "",
    kind: ScoreKindName | None = None,
    comment: str = "",
    origin: ScoreOriginName = "code",
    author: str = "",
    evaluator: str = "",
    user_id: str = "",
    metadata: Mapping[str, object] | None = None,
) -> str:
    """Give a score to the current span, or to what is named, and return the score's id. It is sent in the background.

    Args:
        name: What is judged, e.g. ``helpfulness``.
        value: A number, a truth value, or a text: a category, or with ``kind="text"`` words.
        trace_id: The trace, 32 hex digits; alone the score is the whole trace's.
        span_id: The span in it, 16 hex digits.
        session_id: The session, in place of a trace.
        score_id: By default, code and judges have one id per subject, name and evaluator, so that a score given
            again corrects the former; scores of people have one each.
        kind: If the value does not say it.
        comment: Why, in words.
        origin: Who gives it.
        author: A judge's model.
        evaluator: Name and version of the evaluator.
        user_id: The end user who gives it.
        metadata: More of it, kept as JSON.

    Raises:
        Invalid: If value, kind or subject will not do, or nothing is named and no span is current.
    """
    fields = score_value(name, value, kind)
    runtime = current_runtime()
    if runtime is None:
        _log.warning("Zirkel: score %r is not sent, since zirkel.init has not been called", name)
        return score_id
    if not (trace_id or span_id or session_id):
        trace_id, span_id = _current_ids()
    subject = score_subject(trace_id.lower(), span_id.lower(), session_id)
    identity = score_id or score_identity(runtime.clock, origin, subject, name, evaluator)
    described: dict[str, Json] = {
        "score_id": identity,
        "comment": comment,
        "origin": origin,
        "author": author,
        "evaluator": evaluator,
        "user_id": user_id,
        "time_ns": runtime.clock.now_ns(),
    }
    details = {key: msgspec.Raw(capture_json(item).encode()) for key, item in (metadata or {}).items()}
    body = {**without_empty({**fields, **subject, **described}), "metadata": details}
    runtime.outbox.put(Record(RecordKind.SCORES, msgspec.json.encode([body])))
    return identity


def prompt(
    name: str, *, environment: str = "", release: str = "", fallback: str | Sequence[Mapping[str, str]] | None = None
) -> Prompt:
    """Return the prompt of a service's release. It waits for the server only if there has never been a copy here.

    A copy older than about a minute is returned all the same, and fetched anew in the background. The last one known
    is on disk, for when the server is down. The current span, and spans below it from now on, carry name and version.

    Args:
        name: The service.
        environment: Whose stable release; that of ``init``, or ``production``, by default.
        release: In place of an environment: ``candidate``, ``baseline``, a release's number, or the start of a digest.
        fallback: What to return, in the same form, if there is no copy and none can be got: a text, or messages.

    Raises:
        Unreachable: If there is no copy and the server does not answer.
        NotFound: If there is no copy and nothing of the service serves there.
        Conflict: If ``init`` has not been called and there is no fallback.
        Invalid: If environment and release are both given.
    """
    if environment and release:
        raise Invalid("name an environment or a release, not both", path="release")
    try:
        runtime = _required()
        key = PromptKey(name, "" if release else environment or runtime.settings.environment or "production", release)
        found = Prompt(runtime.prompts.get(key), _mark_prompt)
    except ZirkelError as error:
        if fallback is None:
            raise
        _log.warning("Zirkel: the fallback of prompt %r is used: %s", name, error)
        found = Prompt(_fallback(name, fallback), _mark_prompt, is_fallback=True)
    _mark_prompt(found)
    return found


def update_current(
    *,
    session_id: str = "",
    user_id: str = "",
    tags: Sequence[str] = (),
    input: object = None,  # noqa: A002 (what it is)
    output: object = None,
) -> None:
    """Say more of the current span; what is left out stays as it is. Without a current span it does nothing.

    Args:
        session_id: The conversation; spans below this one have it from now on too.
        user_id: The end user; the same.
        tags: Words to find it by; the same.
        input: In place of the captured arguments.
        output: In place of the captured result.
    """
    span = trace.get_current_span()
    if not span.is_recording():
        return
    named: dict[str, str | Sequence[str]] = {"session.id": session_id, "user.id": user_id, "zirkel.tags": list(tags)}
    span.set_attributes({key: value for key, value in named.items() if value})
    recording = current_recording()
    if input is not None:
        recording.set_input(input) if recording else span.set_attributes(input_attributes("span", input))
    if output is not None:
        recording.set_output(output) if recording else span.set_attributes(output_attributes("span", output))


def current_trace_id() -> str:
    """Return the current trace's id, 32 hex digits; empty if there is none."""
    return _current_ids()[0]


def trace_headers() -> dict[str, str]:
    """Return the headers that join a request to the current trace, e.g. for the OpenAI client's ``extra_headers``."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


def flush(timeout_s: float = 5.0) -> bool:
    """Send everything now, and return whether the server has all of it within ``timeout_s``."""
    runtime = current_runtime()
    return runtime is None or runtime.flush(timeout_s)


def shutdown(timeout_s: float = EXIT_S) -> bool:
    """Send everything, keep on disk what is left after ``timeout_s``, and stop; the end of the program does so too.

    Returns whether the server has everything. ``init`` may be called again.
    """
    return close_runtime(timeout_s)


def delivery() -> Delivery:
    """Return what this process has sent, what waits, and what was dropped or refused.

    Raises:
        Conflict: If ``init`` has not been called.
    """
    return _required().outbox.delivery()


def _required() -> Runtime:
    runtime = current_runtime()
    if runtime is None:
        raise Conflict("call zirkel.init first")
    return runtime


def _current_ids() -> tuple[str, str]:
    context = trace.get_current_span().get_span_context()
    return (format_trace_id(context.trace_id), format_span_id(context.span_id)) if context.is_valid else ("", "")


def _mark_prompt(found: Prompt) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        version = {"gen_ai.prompt.version": found.version} if found.version else {}
        span.set_attributes({"gen_ai.prompt.name": found.name, **version})


def _fallback(name: str, given: str | Sequence[Mapping[str, str]]) -> ServedPrompt:
    texts = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = [PromptMessage(message["role"], message["content"]) for message in texts]
    return ServedPrompt(name=name, version="", digest="", release="", release_number=0, messages=messages)
