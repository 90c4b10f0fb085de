"""What past experiments say of items: those that every system gets right, or that tell no systems apart. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zirkel.core.datasets import ItemOutcome
from zirkel.version.dataset_findings import Finding, find

FEWEST_RELEASES = 2
"""That must have answered an item before it counts as one that all get right, or wrong."""
FEWEST_ALIKE = 3
"""That must have answered an item alike before it counts as one that tells none apart."""
_ALIKE = 1e-9


@dataclass(slots=True)
class _Tally:
    """Scores of one release by one evaluator on one item."""

    count: int = 0
    total: float = 0.0
    low: float = 1.0
    high: float = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.low, self.high = min(self.low, value), max(self.high, value)


@dataclass(slots=True)
class OutcomeTable:
    """Scores by item, evaluator and release, folded as they come: as large as the items, however many trials."""

    answers: int = 0
    """That were added."""
    _cells: dict[str, dict[str, dict[str, _Tally]]] = field(default_factory=dict)
    _unbounded: set[str] = field(default_factory=set)

    def add(self, outcome: ItemOutcome) -> None:
        """Count one answer's scores; evaluators that did not score it are left out."""
        self.answers += 1
        for evaluator, score in outcome.scores.items():
            value = score.get("value")
            if score.get("state") != "scored" or not isinstance(value, int | float):
                continue
            if not 0 <= value <= 1:
                self._unbounded.add(evaluator)
            by_evaluator = self._cells.setdefault(outcome.item_id, {})
            by_evaluator.setdefault(evaluator, {}).setdefault(outcome.release, _Tally()).add(value)

    def releases(self) -> int:
        """Return how many releases were seen."""
        return len({release for item in self._cells.values() for found in item.values() for release in found})

    def findings(self, item_ids: Collection[str], lower_is_better: Collection[str] = ()) -> Iterator[Finding]:
        """Yield what can be said of the items, by evaluators whose scores lie from 0 to 1.

        Args:
            item_ids: Of the version that is looked at.
            lower_is_better: Evaluators whose best score is 0.
        """
        kinds: dict[str, list[str]] = {}
        for item_id in item_ids:
            known = self._cells.get(item_id, {})
            cells = {evaluator: found for evaluator, found in known.items() if evaluator not in self._unbounded}
            kind = _judge(cells, lower_is_better)
            if kind:
                kinds.setdefault(kind, []).append(item_id)
        yield from _findings(kinds, len(item_ids))


def fold_outcomes(outcomes: Iterable[ItemOutcome], unchanged: Mapping[str, Collection[str]]) -> OutcomeTable:
    """Return the table of the outcomes that are about items as they are now.

    Args:
        outcomes: Of experiments over any version.
        unchanged: By digest of a version, its items that are the same in the version looked at.
    """
    table = OutcomeTable()
    for outcome in outcomes:
        if outcome.item_id in unchanged.get(outcome.dataset_digest, ()):
            table.add(outcome)
    return table


def _judge(cells: Mapping[str, Mapping[str, _Tally]], lower_is_better: Collection[str]) -> str:
    fewest = min((len(found) for found in cells.values()), default=0)
    if fewest < FEWEST_RELEASES:
        return ""
    worst = [_extremes(evaluator in lower_is_better, found.values()) for evaluator, found in cells.items()]
    if all(low == 1 for low, _ in worst):
        return "saturated"
    if all(high == 0 for _, high in worst):
        return "never_right"
    means = [[tally.total / tally.count for tally in found.values()] for found in cells.values()]
    is_alike = all(max(found) - min(found) <= _ALIKE for found in means)
    return "never_discriminates" if is_alike and fewest >= FEWEST_ALIKE else ""


def _extremes(is_lower_better: bool, tallies: Iterable[_Tally]) -> tuple[float, float]:
    """Return the worst and the best score, 1 being the best there is."""
    found = list(tallies)
    low, high = min(tally.low for tally in found), max(tally.high for tally in found)
    return (1 - high, 1 - low) if is_lower_better else (low, high)


def _findings(kinds: Mapping[str, Sequence[str]], total: int) -> Iterator[Finding]:
    if ids := kinds.get("never_right"):
        yield find(
            "never_right",
            "warning",
            f"{len(ids)} of {total} items were never right, whatever release answered",
            "look at their expected outputs first: a wrong label looks just so",
            ids,
        )
    if ids := kinds.get("saturated"):
        yield find(
            "saturated",
            "note",
            f"{len(ids)} of {total} items are always right, whatever release answers",
            "keep some as a floor and put harder ones in the place of the rest: they cost calls and move no verdict",
            ids,
        )
    if ids := kinds.get("never_discriminates"):
        yield find(
            "never_discriminates",
            "note",
            f"{len(ids)} of {total} items got the same scores from all releases, neither all right nor all wrong",
            "look whether the evaluators can see a difference on them; if not, replace them",
            ids,
        )
