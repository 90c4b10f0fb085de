"""Whether the items look like what a service is really asked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from zirkel.core import DatasetItem
from zirkel.stats import Interval, wilson_interval
from zirkel.version.dataset_findings import Finding
from zirkel.version.dataset_ports import LiveInput
from zirkel.version.dataset_vectors import TextVectors
from zirkel.version.dataset_words import input_text

MOST_FAR = 2000
"""Inputs far from any item that are put into regions."""
MOST_REGIONS = 10
MOST_EXAMPLES = 5
USUALLY_FAR = 0.05
"""Share of inputs that are far even if traffic is like the items."""
FEWEST_FOR_LIMIT = 20
"""Items from which the threshold is taken from them."""
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Region:
    """Live inputs that are like each other and far from any item."""

    inputs: int
    share: float
    """Of the live inputs, 0 to 1."""
    trace_ids: tuple[str, ...]
    """Examples."""
    nearest_item: str
    similarity: float
    """Of the first example to that item."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a sample of live inputs is from the items."""

    compared_by: str
    threshold: float
    """Cosine below which an input is far from an item."""
    inputs: int
    far: int
    far_share: Interval
    """Of the inputs that are far from any item, with a Wilson interval."""
    regions: tuple[Region, ...]


def measure_coverage(
    items: Sequence[DatasetItem], live: Sequence[LiveInput], vectors: TextVectors, threshold: float | None = None
) -> Coverage | None:
    """Return how far live inputs are from the items; ``None`` if there are none of either.

    Args:
        items: Of one version.
        live: A sample; different inputs, since each counts once.
        vectors: Compares texts.
        threshold: Cosine below which an input is far from an item. If ``None``, the one that 1 of 20 items is below
            with regard to the items of other clusters: of traffic that is like the items, about 1 of 20 is far.

    Source: the threshold is that of a conformal test of novelty at the level 0.05, Vovk, Gammerman, Shafer (2005),
        Algorithmic Learning in a Random World; approximate, since the items are compared with each other.
    """
    if not items or not live:
        return None
    inputs = [*(item.input for item in items), *(one.input for one in live)]
    found = vectors.vectors([input_text(one) for one in inputs])
    known, asked = found[: len(items)], found[len(items) :]
    limit = _usual_limit(items, known, vectors.threshold) if threshold is None else threshold
    nearest, similarity = _nearest(asked, known)
    far = np.flatnonzero(similarity < limit)
    regions = [
        Region(
            inputs=len(group),
            share=len(group) / len(live),
            trace_ids=tuple(live[place].trace_id for place in group[:MOST_EXAMPLES]),
            nearest_item=items[int(nearest[group[0]])].id,
            similarity=float(similarity[group[0]]),
        )
        for group in _regions(asked, far[:MOST_FAR], limit)
    ]
    share = wilson_interval(len(far), len(live))
    return Coverage(vectors.name, limit, len(live), len(far), share, tuple(regions[:MOST_REGIONS]))


def coverage_findings(coverage: Coverage, *, smallest_share: float) -> list[Finding]:
    """Return a finding for each region that has at least ``smallest_share`` of the live inputs, or for all together."""
    advice = "make items of such traces with zirkel dataset collect, and label them"
    found = [
        Finding(
            "uncovered",
            "warning",
            f"{region.inputs} of {coverage.inputs} live inputs ({region.share:.0%}) are alike and far from any item",
            advice,
            (region.nearest_item,),
            1,
            region.similarity,
            region.trace_ids,
        )
        for region in coverage.regions
        if region.share >= smallest_share and region.inputs > 1
    ]
    if not found and coverage.far_share.low >= max(smallest_share, USUALLY_FAR):
        examples = tuple(trace for region in coverage.regions for trace in region.trace_ids)[:MOST_EXAMPLES]
        said = f"{coverage.far} of {coverage.inputs} live inputs are far from any item, and unlike each other"
        found = [Finding("uncovered", "warning", said, advice, trace_ids=examples)]
    return found


def _usual_limit(items: Sequence[DatasetItem], known: csr_array, otherwise: float) -> float:
    if len(items) < FEWEST_FOR_LIMIT:
        return otherwise
    clusters = np.unique([item.cluster or f"\0{item.id}" for item in items], return_inverse=True)[1]
    highest = []
    for start in range(0, len(items), _ROWS_AT_ONCE):
        cosines = (known[start : start + _ROWS_AT_ONCE] @ known.T).toarray()
        cosines[clusters[start : start + _ROWS_AT_ONCE, None] == clusters[None, :]] = 0.0
        highest.append(cosines.max(axis=1))
    return float(np.quantile(np.concatenate(highest), USUALLY_FAR)) or otherwise


def _nearest(asked: csr_array, known: csr_array) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each row of ``asked`` the nearest one of ``known``, and the cosine; a bounded block at a time."""
    nearest, similarity = [], []
    for start in range(0, asked.shape[0], _ROWS_AT_ONCE):
        cosines = (asked[start : start + _ROWS_AT_ONCE] @ known.T).toarray()
        nearest.append(cosines.argmax(axis=1))
        similarity.append(cosines.max(axis=1))
    return np.concatenate(nearest), np.concatenate(similarity)


def _regions(asked: csr_array, far: NDArray[np.int64], limit: float) -> list[list[int]]:
    """Return groups of rows that hang together by near pairs, the largest first, in each the most typical row first."""
    if not len(far):
        return []
    is_near = (asked[far] @ asked[far].T).toarray() >= limit
    count, names = connected_components(csr_array(is_near), directed=False)
    typical = np.argsort(-is_near.sum(axis=1), kind="stable")
    groups: list[list[int]] = [far[typical[names[typical] == name]].tolist() for name in range(count)]
    return sorted(groups, key=lambda group: (-len(group), group))
