"""Statistics as whole series: with what is not there filled in. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from zirkel.core import Invalid
from zirkel.core.aggregates import Measure, nothing
from zirkel.core.search import AggregateRow, Bucket, Point, Series

MAX_BUCKETS = 2000
MAX_POINTS = 50_000
"""Most buckets of all series together."""


def bucket_starts(since_ns: int, until_ns: int, over_ns: int | None) -> list[int]:
    """Return when each stretch of a time begins, at multiples of ``over_ns`` since 1970; one if it is not cut.

    Raises:
        Invalid: If there are too many.
    """
    if over_ns is None:
        return [since_ns]
    first_ns = since_ns - since_ns % over_ns
    count = -(-(until_ns - first_ns) // over_ns)
    if count > MAX_BUCKETS:
        raise Invalid(
            f"the time has {count} stretches of that length; at most {MAX_BUCKETS} are shown, so take longer ones",
            path="over",
        )
    return [first_ns + number * over_ns for number in range(max(1, count))]


def whole_series(
    rows: Iterable[AggregateRow], measures: Sequence[Measure], starts: Sequence[int], by_count: int
) -> list[Series]:
    """Return the series of ``rows``, in their order, with a bucket for each of ``starts``.

    Without dimensions there is always one series, be it of nothing.

    Args:
        rows: Those of one series stand together.
        measures: What the points are.
        starts: Start of each stretch, or the one of the whole time if it is not cut.
        by_count: How many dimensions there are.
    """
    series = [
        Series(list(values), is_other, _buckets(list(found), measures, starts))
        for (is_other, values), found in groupby(rows, key=lambda row: (row.is_other, tuple(row.values)))
    ]
    if not series and by_count == 0:
        series.append(Series([], False, _buckets([], measures, starts)))
    return series


def _buckets(rows: Sequence[AggregateRow], measures: Sequence[Measure], starts: Sequence[int]) -> list[Bucket]:
    found = {row.start_ns: row for row in rows}
    if len(starts) == 1 and set(found) == {0}:
        found = {starts[0]: found[0]}
    empty = [Point(nothing(measure), 0) for measure in measures]
    return [
        Bucket(start, found[start].count, found[start].points) if start in found else Bucket(start, 0, empty)
        for start in starts
    ]
