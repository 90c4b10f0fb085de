"""What an evaluation can show before it is paid for: smallest difference, items and trials needed, chances. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zirkel.core import GatePolicy, MetricPolicy
from zirkel.core.wording import say_amount
from zirkel.evaluate.estimate import Range
from zirkel.evaluate.measure import ItemFrame
from zirkel.evaluate.metrics import Metric
from zirkel.evaluate.needed import POWER, power_per_metric
from zirkel.evaluate.plan_basis import Basis
from zirkel.evaluate.plan_power import (
    MOST_TRIALS,
    Size,
    design_of,
    first_items,
    first_trials,
    floor_chances,
    margin_chances,
)
from zirkel.evaluate.plan_price import PricePlan
from zirkel.stats import minimum_detectable_effect

Outlook = Literal["enough", "unlikely", "impossible", "unknown"]


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """What the planned size can say of one metric."""

    name: str
    metric: Metric
    outlook: Outlook
    says: str
    size: Size
    margin: float | None
    is_relative: bool
    detectable: float | None
    """Smallest true loss or gain that a two-sided comparison would find, at the power asked for."""
    power: float | None
    """Probability that this metric passes if both releases are equally good."""
    items_needed: int | None
    """Items in all for the power asked for, at these trials; None if it is unknown, or beyond ten million."""
    trials_needed: int | None
    """Trials an item for that power with these items; None if no number of up to a hundred is enough."""
    basis: str
    is_assumed: bool


@dataclass(frozen=True, slots=True)
class GatePlan:
    """What a gate could say after an evaluation of this size, and what that costs."""

    service: str
    items: int
    sources: int
    trials: int
    releases: int
    """How many releases are run: candidate, and baseline if there is one."""
    outlook: Outlook
    """The worst of the metrics'."""
    says: str
    power: float | None
    """Probability, at least, that the whole gate passes a release that is as good as the baseline."""
    power_wanted: float
    power_per_metric: float
    metrics: tuple[MetricPlan, ...]
    items_needed: int | None
    """Items in all for every metric."""
    price_usd: Range | None
    """Of running this size now, judges included; what is answered already costs nothing. None if it is unknown."""
    price_needed_usd: Range | None
    """Of ``items_needed``; None if either is unknown."""
    price_basis: tuple[str, ...]
    """Where the prices come from, or why they are unknown."""


def plan_gate(
    service: str,
    policy: GatePolicy,
    metrics: Mapping[str, Metric],
    frame: ItemFrame,
    bases: Mapping[str, Basis | None],
    price: PricePlan,
    *,
    trials: int,
    has_baseline: bool,
    items: int | None = None,
) -> GatePlan:
    """Return what a gate could say of the data set at its size.

    Args:
        service: Whose gate it is.
        policy: The gate.
        metrics: What is measured, by name.
        frame: The data set's items.
        bases: How each metric of the policy varies, by its name with segment; None if nobody knows.
        price: What items cost.
        trials: Answers an item.
        has_baseline: Whether there is something to compare with.
        items: Plan for so many items like these instead of those that are there.
    """
    wanted = power_per_metric(len(policy.metric))
    share = 1.0 if items is None else items / len(frame.ids)
    plans = tuple(
        _plan_metric(
            m,
            metrics[m.evaluator],
            _size(frame, m.segment, trials, share),
            bases[m.name],
            policy,
            wanted,
            has_baseline=has_baseline,
        )
        for m in policy.metric
    )
    known = [plan.power for plan in plans if plan.power is not None]
    whole = max(0.0, 1 - sum(1 - power for power in known)) if len(known) == len(plans) else None
    size = _size(frame, "", trials, share)
    needed = _needed_in_all(plans, size)
    outlook = _worst(plans)
    return GatePlan(
        service=service,
        items=size.items,
        sources=size.sources,
        trials=trials,
        releases=2 if has_baseline else 1,
        outlook=outlook,
        says=_say_gate(outlook, plans, whole, needed),
        power=whole,
        power_wanted=POWER,
        power_per_metric=wanted,
        metrics=plans,
        items_needed=needed,
        price_usd=price.of(size.items),
        price_needed_usd=price.of(needed) if needed is not None else None,
        price_basis=price.basis,
    )


def _plan_metric(
    wanted: MetricPolicy,
    metric: Metric,
    size: Size,
    basis: Basis | None,
    policy: GatePolicy,
    power: float,
    *,
    has_baseline: bool,
) -> MetricPlan:
    margin = wanted.margin if wanted.margin is not None else wanted.relative_margin
    if basis is None or not size.has_spread:
        few = f"{size.items} items of {size.sources} independent sources are there"
        why = "no experiment measured it yet" if basis is None else few
        return _unknown(wanted, metric, size, margin, why)
    asked = wanted.minimum_items if wanted.minimum_items is not None else policy.minimum_items
    parts = []
    if margin is not None and has_baseline:
        parts.append(margin_chances(margin, basis, policy.alpha))
    if wanted.floor is not None:
        parts.append(floor_chances(wanted.floor, wanted.direction or metric.direction, basis, policy.alpha))
    if not parts:
        return _unknown(wanted, metric, size, margin, "there is nothing to compare with, and it has no floor")
    chance = max(0.0, 1 - sum(1 - part.power(size) for part in parts)) if size.items >= asked else 0.0
    target = 1 - (1 - power) / len(parts)
    needed = first_items(parts, size, target, asked)
    trials = first_trials(parts, size, target) if chance < power else size.trials
    can = all(part.can_pass(size) for part in parts) and size.items >= asked
    outlook: Outlook = "enough" if chance >= power else "unlikely" if can else "impossible"
    detectable = minimum_detectable_effect(size.items, design_of(basis, size), power=power, alpha=policy.alpha)
    return MetricPlan(
        name=wanted.name,
        metric=metric,
        outlook=outlook,
        says=_say_metric(outlook, chance, power, size, needed, trials, detectable, metric, wanted),
        size=size,
        margin=margin,
        is_relative=wanted.relative_margin is not None,
        detectable=detectable,
        power=chance,
        items_needed=needed,
        trials_needed=trials,
        basis=basis.source,
        is_assumed=basis.is_assumed,
    )


def _size(frame: ItemFrame, segment: str, trials: int, share: float) -> Size:
    rows = frame.rows(segment)
    sizes = np.unique(frame.sources[rows], return_counts=True)[1]
    # The size of the cluster of an average item: large clusters weigh more.
    cluster_size = float(np.sum(sizes**2) / len(rows)) if len(rows) else 1.0
    return Size(round(len(rows) * share), round(len(sizes) * share), trials, cluster_size)


def _needed_in_all(plans: Sequence[MetricPlan], size: Size) -> int | None:
    if any(plan.items_needed is None for plan in plans):
        return None
    more = [(plan.items_needed or 0) - plan.size.items for plan in plans]
    return size.items + max(*more, 0) if any(gap > 0 for gap in more) else size.items


def _worst(plans: Sequence[MetricPlan]) -> Outlook:
    order: tuple[Outlook, ...] = ("impossible", "unknown", "unlikely", "enough")
    return min((plan.outlook for plan in plans), key=order.index)


def _unknown(wanted: MetricPolicy, metric: Metric, size: Size, margin: float | None, why: str) -> MetricPlan:
    says = f"cannot be planned: {why}"
    is_relative = wanted.relative_margin is not None
    return MetricPlan(
        wanted.name, metric, "unknown", says, size, margin, is_relative, None, None, None, None, why, is_assumed=True
    )


def _say_metric(
    outlook: Outlook,
    chance: float,
    power: float,
    size: Size,
    needed: int | None,
    trials: int | None,
    detectable: float,
    metric: Metric,
    wanted: MetricPolicy,
) -> str:
    unit = "relative" if wanted.relative_margin is not None else metric.unit
    finds = f"finds differences of {say_amount(detectable, unit)} and more"
    if outlook == "enough":
        return f"passes an equally good release with {chance:.0%} probability; {finds}"
    more = f"needs about {needed} items" if needed is not None else "no number of items up to ten million is enough"
    if trials is not None:
        more += f", or {trials} trials of each"
    elif size.trials < MOST_TRIALS:
        more += "; no number of trials makes up for items"
    if outlook == "impossible":
        few = f"{size.items} items ({size.sources} independent) are too few to pass, even if nothing gets worse"
        return f"{few}; {more}"
    return f"passes an equally good release with {chance:.0%} probability, {power:.0%} is wanted; {more}; {finds}"


def _say_gate(outlook: Outlook, plans: Sequence[MetricPlan], whole: float | None, needed: int | None) -> str:
    bad = [plan.name for plan in plans if plan.outlook == outlook]
    if outlook == "impossible":
        more = f"; about {needed} items would do" if needed is not None else ""
        return f"this gate cannot be passed at this size by an equally good release ({', '.join(bad)}){more}"
    if outlook == "unknown":
        return f"this gate cannot be planned yet ({', '.join(bad)}); run an experiment first"
    chance = f"{whole:.0%}" if whole is not None else "an unknown"
    if outlook == "enough":
        return f"this gate passes an equally good release with at least {chance} probability"
    more = f"; about {needed} items would do" if needed is not None else ""
    return f"this gate will probably be INCONCLUSIVE: it passes an equally good release with {chance} probability{more}"
