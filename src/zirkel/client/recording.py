"""One observed call while it runs: its span, its context, what it was given and gave. Never raises to the caller."""

import logging
from collections.abc import Mapping
from contextvars import Token
from functools import cache
from types import TracebackType

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, Status, StatusCode, Tracer

from zirkel import __version__
from zirkel.client.capture import LONGEST_TEXT
from zirkel.client.contents import input_attributes, kind_attributes, output_attributes
from zirkel.client.observing import Observed

_log = logging.getLogger("zirkel")
_CURRENT = context.create_key("zirkel-recording")
_NO_OUTPUT = Observed("", "span", None, has_output=False)


class Recording:
    """An observed call."""

    __slots__ = ("_context", "_items", "_items_left", "_observed", "_output_is_set", "_token", "span")

    def __init__(self, observed: Observed, span: Span) -> None:
        self.span = span
        self._observed = observed
        self._context = context.set_value(_CURRENT, self, trace.set_span_in_context(span))
        self._token: Token[Context] | None = None
        self._items: list[object] = []
        self._items_left = LONGEST_TEXT
        self._output_is_set = not (observed.has_output and span.is_recording())

    def __enter__(self) -> "Recording":
        self._token = context.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        self._detach()
        if error is not None:
            self.fail(error)
        self.end()

    def step(self) -> "_Step":
        """Return a block in which the span is the current one, without ending it."""
        return _Step(self._context)

    def set_input(self, value: object) -> None:
        """Record what the call was given, in place of its arguments."""
        self.span.set_attributes(input_attributes(self._observed.kind, value))

    def set_output(self, value: object) -> None:
        """Record what the call gives, in place of its result."""
        self.span.set_attributes(output_attributes(self._observed.kind, value))
        self._output_is_set = True

    def give_output(self, value: object) -> None:
        """Record the result, unless the function itself has said what its output is."""
        if not self._output_is_set:
            try:
                self.set_output(value)
            except Exception:  # noqa: BLE001 (observing must not break what is observed)
                _log.debug("Zirkel: the output of %s could not be captured", self._observed.name, exc_info=True)

    def collect(self, item: object) -> None:
        """Keep an item of a generator, as long as there is room."""
        if not self._output_is_set and self._items_left > 0:
            self._items.append(item)
            self._items_left -= len(item) if isinstance(item, str) else 1 + LONGEST_TEXT // 1000

    def fail(self, error: BaseException) -> None:
        """Record how the call ended, if it is not that its generator was left early."""
        if isinstance(error, GeneratorExit):
            return
        try:
            kind = type(error)
            module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
            self.span.set_attribute("error.type", f"{module}{kind.__qualname__}")
            self.span.record_exception(error)
            self.span.set_status(Status(StatusCode.ERROR, str(error)[:1000]))
        except Exception:  # noqa: BLE001 (as above)
            _log.debug("Zirkel: the error of %s could not be recorded", self._observed.name, exc_info=True)

    def end(self) -> None:
        """End the span."""
        if self._items:
            is_text = all(isinstance(item, str) for item in self._items)
            self.give_output("".join(map(str, self._items)) if is_text else self._items)
        try:
            self.span.end()
        except Exception:  # noqa: BLE001 (as above: a span processor of the program's may fail)
            _log.debug("Zirkel: the span %s could not be ended", self._observed.name, exc_info=True)

    def _detach(self) -> None:
        if self._token is not None:
            context.detach(self._token)
            self._token = None


class _Step:
    """A block in which a context is the current one."""

    __slots__ = ("_context", "_token")

    def __init__(self, of: Context) -> None:
        self._context = of
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        self._token = context.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_back: TracebackType | None
    ) -> None:
        if self._token is not None:
            context.detach(self._token)


def begin_recording(observed: Observed, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Recording:
    """Start the span of a call; if that fails, one that goes nowhere."""
    try:
        span = tracer().start_span(observed.name, attributes=kind_attributes(observed.kind, observed.name))
    except Exception:  # noqa: BLE001 (observing must not break what is observed)
        _log.debug("Zirkel: no span for %s", observed.name, exc_info=True)
        return Recording(_NO_OUTPUT, INVALID_SPAN)
    recording = Recording(observed, span)
    if span.is_recording():
        try:
            arguments = observed.arguments(args, kwargs)
            if arguments is not None:
                recording.set_input(arguments)
        except Exception:  # noqa: BLE001 (as above; the call itself will tell the caller of wrong arguments)
            _log.debug("Zirkel: the arguments of %s could not be captured", observed.name, exc_info=True)
    return recording


def current_recording() -> Recording | None:
    """Return the innermost observed call, if its span is the current one."""
    found = context.get_value(_CURRENT)
    return found if isinstance(found, Recording) and found.span is trace.get_current_span() else None


@cache
def tracer() -> Tracer:
    """Return the tracer of the program's tracer provider, present or to come."""
    return trace.get_tracer("zirkel", __version__)
