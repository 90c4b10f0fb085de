"""How items are spread over expected outputs, clusters and splits, and how old their labels are. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zirkel.core import DatasetItem, Invalid
from zirkel.core.filter_values import parse_moment
from zirkel.version.dataset_findings import Finding, find

MOST_CLASSES = 50
"""Different expected outputs up to which they count as classes, if each stands for two items or more on average."""
LARGEST_CLASS_SHARE = 0.9
LARGEST_CLUSTER_SHARE = 0.2
FEWEST_OF_CLASS = 5
LABELLED_AT = "labelled_at"
"""The member of an item's metadata that says when a person gave its expected output, in ISO 8601."""
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Balance:
    """How items are spread."""

    classes: Mapping[str, int]
    """Items by expected output; empty if those are no classes but texts of their own."""
    unlabelled: int
    clusters: int
    """Groups of items that share a source; an item without a cluster is one of its own."""
    effective_clusters: float
    """As many clusters of equal size would be as uneven."""
    largest_cluster: int
    """Its items."""


@dataclass(frozen=True, slots=True)
class LabelAge:
    """How old expected outputs are, in days."""

    labelled: int
    median_days: float
    oldest_days: float


def measure_balance(items: Sequence[DatasetItem]) -> Balance:
    """Return how items are spread.

    Source: the effective number of clusters is the Hill number of order 2, Hill (1973), Ecology 54(2).
    """
    labels = Counter(item.expected for item in items if item.expected is not None)
    labelled = labels.total()
    is_classes = len(labels) <= MOST_CLASSES and labelled >= 2 * len(labels)
    sizes = list(Counter(item.cluster or f"\0{item.id}" for item in items).values())
    squares = sum((size / len(items)) ** 2 for size in sizes)
    return Balance(
        classes=dict(labels.most_common()) if is_classes else {},
        unlabelled=len(items) - labelled,
        clusters=len(sizes),
        effective_clusters=1 / squares if squares else 0.0,
        largest_cluster=max(sizes, default=0),
    )


def balance_findings(items: Sequence[DatasetItem], balance: Balance) -> Iterator[Finding]:
    """Yield where one class or cluster has too much, a class too little, or a cluster is in several splits."""
    yield from _class_findings(items, balance)
    clusters: dict[str, list[DatasetItem]] = {}
    for item in items:
        if item.cluster:
            clusters.setdefault(item.cluster, []).append(item)
    for cluster, members in clusters.items():
        share = len(members) / len(items)
        if share > LARGEST_CLUSTER_SHARE and len(clusters) > 1:
            yield find(
                "cluster_dominates",
                "note",
                f"the cluster {cluster!r} has {len(members)} of {len(items)} items ({share:.0%})",
                "take fewer of it, or more of others: its items are one source, and intervals grow with it",
                [item.id for item in members],
            )
        splits = sorted({item.split for item in members if item.split})
        if len(splits) > 1:
            yield find(
                "cluster_in_splits",
                "warning",
                f"the cluster {cluster!r} is in the splits {', '.join(splits)}",
                "keep a source within one split: what was tuned on its one half knows the other",
                [item.id for item in members],
            )


def label_times(items: Sequence[DatasetItem], since_ns: Mapping[str, int]) -> dict[str, int]:
    """Return when each labelled item got its expected output, in UTC nanoseconds.

    Args:
        items: Of one version.
        since_ns: By item, when the version came that first had its expected output; counts where the item's metadata
            do not say ``labelled_at``.
    """
    found = {}
    for item in items:
        if item.expected is not None:
            noted = _noted_ns(item.metadata.get(LABELLED_AT))
            at_ns = since_ns.get(item.id) if noted is None else noted
            if at_ns is not None:
                found[item.id] = at_ns
    return found


def measure_label_age(times_ns: Mapping[str, int], now_ns: int) -> LabelAge | None:
    """Return how old labels are, ``None`` if there are none."""
    days = sorted((now_ns - at_ns) / _DAY_NS for at_ns in times_ns.values())
    if not days:
        return None
    middle = len(days) // 2
    median = days[middle] if len(days) % 2 else (days[middle - 1] + days[middle]) / 2
    return LabelAge(len(days), median, days[-1])


def age_findings(times_ns: Mapping[str, int], now_ns: int, most_days: float) -> Iterator[Finding]:
    """Yield a finding if labels are older than ``most_days``, the oldest first."""
    old = sorted((at_ns, item_id) for item_id, at_ns in times_ns.items() if now_ns - at_ns > most_days * _DAY_NS)
    if old:
        yield find(
            "old_label",
            "warning",
            f"{len(old)} of {len(times_ns)} labels are older than {most_days:g} days",
            "have a sample of them labelled again; if much changed, all of them",
            [item_id for _, item_id in old],
        )


def _class_findings(items: Sequence[DatasetItem], balance: Balance) -> Iterator[Finding]:
    labelled = sum(balance.classes.values())
    for label, count in balance.classes.items():
        share = count / labelled
        if len(balance.classes) > 1 and share > LARGEST_CLASS_SHARE:
            yield find(
                "class_imbalance",
                "note",
                f"{count} of {labelled} labelled items ({share:.0%}) expect {label[:60]!r}",
                "add items of the other classes: always answering this would look good",
                [item.id for item in items if item.expected == label],
            )
        elif len(balance.classes) > 1 and count < FEWEST_OF_CLASS <= labelled / len(balance.classes):
            yield find(
                "class_imbalance",
                "note",
                f"only {count} of {labelled} labelled items expect {label[:60]!r}",
                "add items of this class: nothing can be said about it",
                [item.id for item in items if item.expected == label],
            )


def _noted_ns(value: object) -> int | None:
    try:
        return parse_moment(value, 0) if isinstance(value, str) and value else None
    except Invalid:
        return None
