"""``zirkel.evaluate``: run in the caller's process, and uploaded if a server is set."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from time import sleep

import msgspec

from zirkel.app.config import load_client_config
from zirkel.app.local_inputs import DatasetLike, EvaluatorLike, open_dataset, open_evaluators
from zirkel.client import Client
from zirkel.core import Clock, Invalid, Json, SystemClock, TrialRecord, TrialState, ZirkelError, new_id
from zirkel.evaluate import SystemUnderTest
from zirkel.evaluate.chat import Chat
from zirkel.evaluate.code_runner import CodeRunner
from zirkel.evaluate.embedding import LocalEmbedder
from zirkel.evaluate.local import LocalPlan, LocalRun, run_locally
from zirkel.evaluate.local_result import EvaluationResult, with_units
from zirkel.evaluate.posting import Poster
from zirkel.evaluate.systems import FunctionSystem, load_function
from zirkel.evaluate.systems.function import Function
from zirkel.evaluate.tools import AllTools, NoTools
from zirkel.evaluate.tools_gateway import GatewayChat
from zirkel.evaluate.tools_retry import RetryingChat, RetryPolicy

ANSWERS_A_REQUEST = 1000
_log = logging.getLogger("zirkel")

Evaluated = Function | SystemUnderTest | str
"""A function of an item's input, the import path of one, or a system."""


class LocalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How an evaluation is run, and what it is called."""

    trials: int = 1
    concurrency: int = 4
    name: str = ""
    version: str = ""
    release: str = ""
    server: str | bool | None = None
    gateway_url: str = ""
    requests_per_s: float | None = None
    tokens_per_min: int | None = None


def evaluate_locally(
    system: Evaluated,
    dataset: DatasetLike,
    evaluators: Sequence[EvaluatorLike] | str | Path,
    options: LocalOptions,
    done: Callable[[TrialRecord], None] = lambda _: None,
) -> EvaluationResult:
    """Run an evaluation and return what it found; see ``zirkel.client.evaluating.evaluate``."""
    clock = SystemClock()
    client = _client(options.server)
    with ExitStack() as stack:
        if client is not None:
            stack.enter_context(client)
        specs, judges = open_evaluators(evaluators)
        plan = LocalPlan(
            name=options.name or _name(system),
            version=options.version,
            items=open_dataset(dataset, client),
            evaluators=specs,
            judges=judges,
            trials=options.trials,
            concurrency=options.concurrency,
            requests_per_s=options.requests_per_s,
            tokens_per_min=options.tokens_per_min,
        )
        tools = _tools(options.gateway_url, stack)
        run = run_locally(plan, _system(system, clock, options.concurrency), tools, clock, done=done)
        result = EvaluationResult(with_units(run, list(judges)))
        return result if client is None else uploaded(client, result, options, new_id(clock))


def uploaded(client: Client, result: EvaluationResult, options: LocalOptions, repetition: str) -> EvaluationResult:
    """Return the result with the experiment that the server made of it; what was paid for is never lost to a fault."""
    try:
        return replace(result, experiment_id=upload_run(client, result.run, options, repetition=repetition))
    except ZirkelError as error:
        _log.warning("Zirkel: the evaluation %r was not uploaded: %s", result.run.experiment.service, error)
        return replace(result, upload_error=str(error))


def upload_run(client: Client, run: LocalRun, options: LocalOptions, *, repetition: str, origin: str = "local") -> str:
    """Send a run to the server as an experiment, and return its id.

    Raises:
        ZirkelError: What the server refuses.
        Unreachable: If it does not answer.
    """
    plan: Json = {
        "name": run.experiment.service,
        "version": options.version,
        "release": options.release,
        "origin": origin,
        "trials": run.experiment.trials,
        "repetition": repetition,
        "items": msgspec.to_builtins(run.items),
        "evaluators": msgspec.to_builtins(run.evaluators),
    }
    record = client.post("/api/v1/experiments", plan)
    experiment_id = str(record["experiment_id"])
    answers = [_answer(trial) for trial in run.trials]
    for start in range(0, len(answers), ANSWERS_A_REQUEST):
        part: Json = list(answers[start : start + ANSWERS_A_REQUEST])
        client.post(f"/api/v1/experiments/{experiment_id}/answers", part)
    return experiment_id


def _answer(trial: TrialRecord) -> dict[str, Json]:
    return {
        "item_id": trial.item_id,
        "trial": trial.trial,
        "output": trial.output,
        "error": trial.error or ("no answer" if trial.state == TrialState.ERRORED else ""),
        "scores": {name: dict(score) for name, score in (trial.scores or {}).items()},
        "cost_usd": None if trial.cost_usd is None else str(trial.cost_usd),
        "duration_ms": trial.duration_ms,
        "input_tokens": trial.input_tokens,
        "output_tokens": trial.output_tokens,
        "tool_calls": [dict(call) for call in trial.tool_calls],
        "trace_id": trial.trace_id,
    }


def _client(server: str | bool | None) -> Client | None:
    config = load_client_config()
    if server is False or (server is None and not config.api_key):
        return None
    if not config.api_key:
        raise Invalid("set ZIRKEL_API_KEY to a key of the server", path="server")
    return Client(server if isinstance(server, str) else config.url, config.api_key)


def _system(given: Evaluated, clock: Clock, threads: int) -> SystemUnderTest:
    if isinstance(given, str):
        return FunctionSystem(load_function(given), clock, threads=threads)
    if hasattr(given, "ask") and hasattr(given, "close"):
        return given
    if not callable(given):
        raise Invalid(f"{given!r:.100} is no function that could be evaluated", path="fn")
    return FunctionSystem(given, clock, threads=threads)


def _name(given: Evaluated) -> str:
    return given if isinstance(given, str) else str(getattr(given, "__name__", type(given).__name__))


def _tools(gateway_url: str, stack: ExitStack) -> AllTools:
    chat: Chat = NoTools()
    if gateway_url:
        key = load_client_config().api_key
        if not key:
            raise Invalid("judges are asked through a gateway with the key in ZIRKEL_API_KEY", path="gateway_url")
        gateway = GatewayChat(gateway_url, lambda _project: key)
        stack.callback(gateway.close)
        chat = RetryingChat(gateway, RetryPolicy(), sleep, Random())  # noqa: S311 (spreads load, guards nothing)
    code, poster = CodeRunner(), Poster()
    stack.callback(code.close)
    stack.callback(poster.close)
    return AllTools(chat, LocalEmbedder(), code, poster)
