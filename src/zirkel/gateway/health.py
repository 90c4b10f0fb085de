"""Which places are resting: a sick upstream is left alone, then probed by one call, then used again."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from zirkel.core import Resilience

LONGEST_REST_S = 3600.0
"""A place that asks for a longer pause is probed after this one all the same; its clock may be wrong."""
_MOST_PLACES = 10_000
_NS = 1_000_000_000


class Visit(msgspec.Struct, frozen=True, eq=False):
    """Leave to call a place once."""

    place: str


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    rests_until_ns: int = 0
    """0 until it rests; in the past once it may be probed."""
    probe: Visit | None = None


class Health:
    """The health of every place that has failed lately, as one worker saw it. Places that are well are not kept."""

    def __init__(self) -> None:
        self._circuits: OrderedDict[str, _Circuit] = OrderedDict()

    def may_enter(self, place: str, policy: Resilience, now_ns: int) -> bool:
        """Return whether a call may go to ``place``: it does not rest, or one that rested long enough has no probe."""
        circuit = self._circuits.get(place)
        if circuit is None or not circuit.rests_until_ns or policy.failures <= 0:
            return True
        return now_ns >= circuit.rests_until_ns and circuit.probe is None

    def enter(self, place: str, policy: Resilience, now_ns: int) -> Visit | None:
        """Return leave to call ``place``, ``None`` while it rests. After a rest the first visit is the only one.

        Tell ``succeeded``, ``failed`` or ``abandoned`` of every visit; what is told later has no effect on a probe.
        """
        if not self.may_enter(place, policy, now_ns):
            return None
        visit = Visit(place)
        circuit = self._circuits.get(place)
        if circuit is not None and circuit.rests_until_ns and policy.failures > 0:
            circuit.probe = visit
        return visit

    def succeeded(self, visit: Visit) -> None:
        """Note an answer, also one that is the caller's own fault: the place is well."""
        if self._circuits:
            self._circuits.pop(visit.place, None)

    def failed(self, visit: Visit, policy: Resilience, now_ns: int, *, asked_s: float | None = None) -> bool:
        """Note a failure; return whether the place begins to rest.

        It does after as many failures in a row as the policy says, if a probe fails, or if it asks for a pause of
        ``asked_s`` seconds that is longer than the policy's rest; for the longer of the two. A visit that began before
        the rest shows nothing new when it fails.
        """
        if policy.failures <= 0:
            self.abandoned(visit)
            return False
        circuit = self._circuit(visit.place)
        circuit.failures += 1
        asked_s = min(asked_s or 0.0, LONGEST_REST_S)
        if circuit.rests_until_ns and circuit.probe is not visit:
            circuit.rests_until_ns = max(circuit.rests_until_ns, now_ns + int(asked_s * _NS))
            return False
        if circuit.probe is visit or circuit.failures >= policy.failures or asked_s > policy.rest_s:
            circuit.probe = None
            circuit.rests_until_ns = now_ns + int(max(policy.rest_s, asked_s) * _NS)
            return True
        return False

    def abandoned(self, visit: Visit) -> None:
        """Note a visit that ended without showing anything about the place: if it was the probe, the next one is."""
        circuit = self._circuits.get(visit.place)
        if circuit is not None and circuit.probe is visit:
            circuit.probe = None

    def resting(self, now_ns: int) -> Iterator[str]:
        """Return the places that rest now."""
        return (place for place, circuit in self._circuits.items() if circuit.rests_until_ns > now_ns)

    def _circuit(self, place: str) -> _Circuit:
        circuit = self._circuits.setdefault(place, _Circuit())
        self._circuits.move_to_end(place)
        if len(self._circuits) > _MOST_PLACES:
            self._circuits.popitem(last=False)
        return circuit
