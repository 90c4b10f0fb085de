"""What a model costs at an upstream, where no release says so: names as they are, and names with ``*``."""

import fnmatch
import re
from collections.abc import Mapping, Sequence

from zirkel.gateway.snapshot import ModelPrice

_MOST_FOUND = 4096
_WILD = re.compile(r"[*?\[]")


class PriceLookup:
    """Finds prices in one snapshot's table; goes when the snapshot goes."""

    def __init__(self, prices: Mapping[str, Sequence[ModelPrice]]) -> None:
        self._prices = prices
        self._patterns: Mapping[str, Sequence[tuple[re.Pattern[str], Sequence[ModelPrice]]]] | None = None
        self._found: dict[str, Sequence[ModelPrice]] = {}

    def find(self, project_id: str, upstream: str, model: str) -> Sequence[ModelPrice]:
        """Return a model's prices, newest first; none is *unknown*.

        The model's name as it is counts before its lower case, and that before the first pattern that fits.
        """
        key = f"{project_id}/{upstream}/{model}"
        exact = self._prices.get(key)
        if exact is not None:
            return exact
        found = self._found.get(key)
        if found is None:
            # Callers make up names: what is remembered has an end.
            if len(self._found) >= _MOST_FOUND:
                self._found.clear()
            found = self._found[key] = self._search(f"{project_id}/{upstream}", model.lower())
        return found

    def _search(self, place: str, model: str) -> Sequence[ModelPrice]:
        exact = self._prices.get(f"{place}/{model}")
        if exact is not None:
            return exact
        if self._patterns is None:
            self._patterns = _patterns(self._prices)
        return next((prices for pattern, prices in self._patterns.get(place, ()) if pattern.match(model)), ())


def _patterns(
    prices: Mapping[str, Sequence[ModelPrice]],
) -> Mapping[str, Sequence[tuple[re.Pattern[str], Sequence[ModelPrice]]]]:
    found: dict[str, list[tuple[re.Pattern[str], Sequence[ModelPrice]]]] = {}
    for key, value in prices.items():
        project_id, _, rest = key.partition("/")
        upstream, _, model = rest.partition("/")
        if _WILD.search(model):
            compiled = re.compile(fnmatch.translate(model))
            found.setdefault(f"{project_id}/{upstream}", []).append((compiled, value))
    return found
