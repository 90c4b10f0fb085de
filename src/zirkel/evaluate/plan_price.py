"""What an evaluation will cost, and what each further item adds. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from zirkel.evaluate.estimate import Estimate, Range
from zirkel.evaluate.measure import Measured

MEASURED_SPREAD = 0.2
"""How far the mean price of further items may be off from that of those measured."""


@dataclass(frozen=True, slots=True)
class PricePlan:
    """What a data set costs to run now, and what items like its own cost."""

    items: int
    """Of the data set."""
    now_usd: Range | None
    """Of running the data set; what is answered already costs nothing. None if a price is unknown."""
    per_item_usd: Range | None
    """Of a further item: all trials, releases and judges. None if a price is unknown."""
    basis: tuple[str, ...]
    """Where this comes from, or why it is unknown."""

    def of(self, items: int) -> Range | None:
        """Return the price of running so many items: those of the data set, and others like them."""
        if items < self.items:
            return self.per_item_usd.times(items) if self.per_item_usd else None
        if items == self.items or self.now_usd is None or self.per_item_usd is None:
            return self.now_usd if items == self.items else None
        return self.now_usd.plus(self.per_item_usd.times(items - self.items))


def plan_price(
    estimate: Estimate, measured: Sequence[Measured], items: int, trials: int, releases: Sequence[str]
) -> PricePlan:
    """Return what a plan costs.

    Args:
        estimate: Of running the data set now.
        measured: Experiments on this very data set and evaluators, newest first.
        items: Of the data set.
        trials: Answers an item.
        releases: Digests of candidate and, if there is one, baseline.
    """
    parts = (*estimate.systems, *estimate.judges)
    basis = dict.fromkeys(part.basis for part in parts if part.calls)
    known = [next((m for m in measured if m.experiment.release == release), None) for release in releases]
    found = [_per_item(one, trials) for one in known if one is not None]
    if len(found) < len(releases):
        total = estimate.total_usd
        found.append(total.times(1 / items) if total is not None else None)
    else:
        basis = {"further items: as measured on these releases": None, **basis}
    per_item: Range | None = Range(0, 0, 0)
    for one in found:
        per_item = per_item.plus(one) if per_item is not None and one is not None else None
    return PricePlan(items, estimate.total_usd, per_item, tuple(basis))


def _per_item(measured: Measured, trials: int) -> Range | None:
    if measured.cost_usd is None or measured.judging_usd is None or not measured.answered:
        return None
    each = float(measured.cost_usd + measured.judging_usd) / measured.answered * trials
    return Range(each * (1 - MEASURED_SPREAD), each, each * (1 + MEASURED_SPREAD))
