"""``@observe``: what a function does becomes a span. Light: OpenTelemetry is imported at the first call."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar, cast, overload

if TYPE_CHECKING:
    from zirkel.client.recording import Recording

P = ParamSpec("P")
R = TypeVar("R")

ObservedKind = Literal[
    "span",
    "agent",
    "tool",
    "workflow",
    "retriever",
    "reranker",
    "chat",
    "completion",
    "embedding",
    "evaluator",
    "guardrail",
]


@dataclass(frozen=True, slots=True)
class Observed:
    """How a function is observed."""

    name: str
    kind: ObservedKind
    signature: inspect.Signature | None
    """``None`` if its arguments are not captured."""
    has_output: bool

    def arguments(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object] | None:
        """Return the arguments by name, without ``self``; ``None`` if they are not captured."""
        if self.signature is None:
            return None
        found = dict(self.signature.bind(*args, **kwargs).arguments)
        first = next(iter(self.signature.parameters), "")
        if first in ("self", "cls"):
            found.pop(first, None)
        return found


@overload
def observe(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def observe(
    *, name: str = "", kind: ObservedKind = "span", capture_input: bool = True, capture_output: bool = True
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def observe(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str = "",
    kind: ObservedKind = "span",
    capture_input: bool = True,
    capture_output: bool = True,
) -> Callable[P, R] | Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a span of each call of a function; spans nest as the calls do, also over ``await`` and ``contextvars``.

    Functions, coroutine functions, generators and asynchronous generators; of generators the span lasts from the
    first item asked for to the last, and its output is the items (texts joined). An exception is recorded and goes
    on. Whatever fails in observing never reaches the caller. Without ``init``, spans go to the program's own
    OpenTelemetry set-up, if there is one.

    Args:
        function: What is observed, where the decorator stands without parentheses.
        name: Name of the span; the function's own by default.
        kind: What the function is; ``agent``, ``tool`` and the like are shown and counted as such.
        capture_input: Whether the arguments are recorded, as JSON of at most some 32,000 characters.
        capture_output: The same for the result.
    """

    def decorate(observed: Callable[P, R]) -> Callable[P, R]:
        signature = _signature(observed) if capture_input else None
        own_name = getattr(observed, "__qualname__", type(observed).__qualname__).rpartition("<locals>.")[2]
        return _wrap(observed, Observed(name or own_name, kind, signature, capture_output))

    return decorate if function is None else decorate(function)


def _signature(function: Callable[P, R]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        # Some functions that are written in C do not say what they take.
        return None


def _wrap(function: Callable[P, R], observed: Observed) -> Callable[P, R]:
    # The casts say what the checks before them have found out, which the type system cannot follow.
    if inspect.isasyncgenfunction(function):
        stepping = cast("Callable[P, AsyncGenerator[object, object]]", function)
        return cast("Callable[P, R]", _wrap_async_generator(stepping, observed))
    if inspect.isgeneratorfunction(function):
        yielding = cast("Callable[P, Generator[object, object, object]]", function)
        return cast("Callable[P, R]", _wrap_generator(yielding, observed))
    if inspect.iscoroutinefunction(function):
        awaiting = cast("Callable[P, Coroutine[object, object, object]]", function)
        return cast("Callable[P, R]", _wrap_coroutine(awaiting, observed))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        recording = _begin(observed, args, kwargs)
        with recording:
            result = function(*args, **kwargs)
            recording.give_output(result)
        return result

    return call


def _wrap_coroutine(
    function: Callable[P, Coroutine[object, object, object]], observed: Observed
) -> Callable[P, Coroutine[object, object, object]]:
    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> object:
        recording = _begin(observed, args, kwargs)
        with recording:
            result = await function(*args, **kwargs)
            recording.give_output(result)
        return result

    return call


def _wrap_generator(
    function: Callable[P, Generator[object, object, object]], observed: Observed
) -> Callable[P, Generator[object, object, object]]:
    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Generator[object, object, object]:
        recording = _begin(observed, args, kwargs)
        generator = function(*args, **kwargs)
        try:
            with recording.step():
                item = next(generator)
            while True:
                recording.collect(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    with recording.step():
                        generator.close()
                    raise
                except BaseException as error:  # noqa: BLE001 (whatever is thrown in goes on into the function)
                    with recording.step():
                        item = generator.throw(error)
                else:
                    with recording.step():
                        item = generator.send(sent)
        except StopIteration as stop:
            return stop.value
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.end()

    return call


def _wrap_async_generator(
    function: Callable[P, AsyncGenerator[object, object]], observed: Observed
) -> Callable[P, AsyncGenerator[object, object]]:
    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[object, object]:
        recording = _begin(observed, args, kwargs)
        generator = function(*args, **kwargs)
        try:
            with recording.step():
                item = await anext(generator)
            while True:
                recording.collect(item)
                try:
                    sent = yield item
                except GeneratorExit:
                    with recording.step():
                        await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 (as above)
                    with recording.step():
                        item = await generator.athrow(error)
                else:
                    with recording.step():
                        item = await generator.asend(sent)
        except StopAsyncIteration:
            return
        except BaseException as error:
            recording.fail(error)
            raise
        finally:
            recording.end()

    return call


def _begin(observed: Observed, args: tuple[object, ...], kwargs: Mapping[str, object]) -> "Recording":
    recording = import_module("zirkel.client.recording")
    begin: Callable[[Observed, tuple[object, ...], Mapping[str, object]], Recording] = recording.begin_recording
    return begin(observed, args, kwargs)
