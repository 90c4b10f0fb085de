"""Instrumentation of model clients by OpenTelemetry's packages, found by the entry points that they declare."""

import logging
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from opentelemetry.trace import TracerProvider

from zirkel.core import Invalid

GROUP = "opentelemetry_instrumentor"
PACKAGES = {
    "openai": "opentelemetry-instrumentation-genai-openai",
    "anthropic": "opentelemetry-instrumentation-genai-anthropic",
}
"""What to install where nothing is."""
_PREFERRED = ("opentelemetry-instrumentation-genai-", "opentelemetry-instrumentation-openai-v2", "opentelemetry-")
"""Where several packages instrument the same client: OpenTelemetry's own, newest first."""

_log = logging.getLogger("zirkel")


class _Instrumentor(Protocol):
    @property
    def is_instrumented_by_opentelemetry(self) -> bool: ...

    def instrument(self, *, tracer_provider: TracerProvider) -> None: ...


def instrument_clients(
    names: Iterable[str], provider: TracerProvider, installed: Sequence[EntryPoint] | None = None
) -> None:
    """Have the clients of ``names`` (``openai``, ``anthropic``, …) instrumented; one that is already stays as it is.

    Args:
        names: Entry point names of group ``opentelemetry_instrumentor``.
        provider: Where their spans go.
        installed: The entry points to choose from; all that are installed by default.

    Raises:
        Invalid: If no package instruments a client, naming one that does.
    """
    found = list(entry_points(group=GROUP)) if installed is None else installed
    chosen = [_choose(name, [entry for entry in found if entry.name == name]) for name in names]
    for entry in chosen:
        instrumentor: _Instrumentor = entry.load()()
        if instrumentor.is_instrumented_by_opentelemetry:
            _log.debug("Zirkel: %s is instrumented already", entry.name)
        else:
            instrumentor.instrument(tracer_provider=provider)


def _choose(name: str, entries: Sequence[EntryPoint]) -> EntryPoint:
    if not entries:
        package = PACKAGES.get(name, f"opentelemetry-instrumentation-{name}")
        raise Invalid(f"nothing installed here instruments {name!r}; run: pip install {package}", path="instrument")
    return min(entries, key=_rank)


def _rank(entry: EntryPoint) -> tuple[int, str]:
    package = entry.dist.name if entry.dist else ""
    rank = next((i for i, start in enumerate(_PREFERRED) if package.startswith(start)), len(_PREFERRED))
    return rank, package
