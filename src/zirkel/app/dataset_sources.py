"""What was observed, for data sets: items made of traces, and samples of what a service is asked."""

from collections.abc import Sequence

from zirkel.core import Principal
from zirkel.core.filters import Text, format_value
from zirkel.observe.exporting import Exports
from zirkel.observe.search import Sought
from zirkel.version.dataset_ports import LiveInput, TraceItems, TraceWish


class ObservedInputs:
    """The telemetry's inputs; a ``TraceSource`` and a ``LiveTraffic``."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    def items(self, actor: Principal, wish: TraceWish) -> TraceItems:
        """Return items of the traces that are meant, each input once."""
        sought = Sought(wish.where, wish.since, wish.until)
        found = self._exports.items(actor, sought, limit=wish.limit, variable=wish.variable)
        return TraceItems(found.items, found.duplicates, [(one.trace_id, one.reason) for one in found.unusable])

    def inputs(self, actor: Principal, service: str, since: str, limit: int) -> Sequence[LiveInput]:
        """Return at most ``limit`` different inputs, of the newest traces since a time; experiments left out."""
        where = f'service = {format_value(Text(service))} and experiment = ""'
        found = self._exports.items(actor, Sought(where, since), limit=limit)
        return [LiveInput(_trace_id(item.metadata.get("provenance")), item.input) for item in found.items]


def _trace_id(provenance: object) -> str:
    return str(provenance.get("trace_id", "")) if isinstance(provenance, dict) else ""
