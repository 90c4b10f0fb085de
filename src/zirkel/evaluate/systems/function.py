"""A Python function as the system under test, in this process."""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from importlib import import_module

from zirkel.core import Clock, Invalid
from zirkel.evaluate.ports import Answer, Question
from zirkel.evaluate.subject import ToolCall

Function = Callable[[Mapping[str, object]], object]
"""Takes an item's input, and returns the answer or an awaitable of it."""


class FunctionSystem:
    """Calls a function, in threads if it is not asynchronous.

    It returns the answer: a text, or a mapping with ``output`` and, if they are known, ``cost_usd``, ``contexts``,
    ``tool_calls`` (each with ``name`` and ``arguments``), ``input_tokens`` and ``output_tokens``; anything else is
    taken as JSON. What it raises is an errored answer.
    """

    def __init__(self, function: Function, clock: Clock, *, threads: int) -> None:
        self._function = function
        self._clock = clock
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    async def ask(self, question: Question) -> Answer:
        """Return what the function says."""
        started_ns = self._clock.now_ns()
        try:
            said = await self._call(question.variables)
            duration_ms = (self._clock.now_ns() - started_ns) / 1e6
            return _answer(said, duration_ms)
        except Exception as error:  # noqa: BLE001 (somebody else's code: what it raises is recorded)
            duration_ms = (self._clock.now_ns() - started_ns) / 1e6
            return Answer("", f"{type(error).__name__}: {error}", duration_ms=duration_ms, is_retryable=False)

    async def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    async def _call(self, variables: Mapping[str, object]) -> object:
        if _is_asynchronous(self._function):
            said = self._function(variables)
        else:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="system")
            said = await asyncio.get_running_loop().run_in_executor(self._pool, self._function, variables)
        return await said if isinstance(said, Awaitable) else said


def load_function(path: str) -> Function:
    """Return the function at ``package.module:name``.

    Raises:
        Invalid: If it cannot be imported, or is no function.
    """
    module_name, _, name = path.partition(":")
    try:
        found: object = import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise Invalid(f"{path!r} is no function that can be imported: {error}", path="function") from error
    if not name or not callable(found):
        raise Invalid(f"{path!r} is no function; name one as package.module:function", path="function")
    return found


def _is_asynchronous(function: Function) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _answer(said: object, duration_ms: float) -> Answer:
    if not isinstance(said, Mapping) or "output" not in said:
        return Answer(_text(said), duration_ms=duration_ms)
    cost, contexts, calls = said.get("cost_usd"), said.get("contexts") or (), said.get("tool_calls") or ()
    return Answer(
        _text(said["output"]),
        cost_usd=None if cost is None else Decimal(str(cost)),
        duration_ms=duration_ms,
        contexts=tuple(_text(text) for text in contexts),
        tool_calls=tuple(ToolCall(str(call["name"]), _text(call["arguments"])) for call in calls),
        input_tokens=said.get("input_tokens"),
        output_tokens=said.get("output_tokens"),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
